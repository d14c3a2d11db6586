# Every target makes its own environment in .venv. Debian: apt install make git python3-venv
PYTHON ?= python3
CORES ?= all
TESTS ?=
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo studies quick test faults slurm check docs bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

demo: .venv/workflow ## the main job: the demo dataset, features, training, tables, figures, report
	snakemake --cores $(CORES)
	snakemake --report results/report.html
	@cat results/tables/main.md
	@echo "Report: results/report/index.html   tables: results/tables   figures: results/figures"
	@echo "Which job made what: results/report.html"

studies: .venv/workflow ## every table and figure of the papers, scaled down, on the demo; minutes after the demo
	snakemake --cores $(CORES) --configfile config.yaml workflow/studies/scaled_down/demo.yaml -- studies
	@echo "Studies: results/studies"

quick: .venv/test .venv/check ## what a change usually needs: ruff and the fast tests
	ruff check .
	ruff format --check .
	python -m pytest -q -m "not slow" --ignore=tests/workflow $(TESTS)

test: .venv/test ## every test; TESTS="tests/scores -k gating" for some
	python -m pytest -q $(TESTS)

faults: .venv/test ## jobs killed, disks filled, files damaged, in whole runs; minutes, best as root on Linux
	python -m pytest -q -m faults $(TESTS)

slurm: .venv/test ## the workflow on a SLURM of one node; minutes, as root on Debian with slurm-wlm and munge
	python -m pytest -q -m slurm $(TESTS)

check: .venv/check .venv/docs ## ruff, mypy, imports between rooms, snakefmt, snakemake --lint, the documentation's links
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	snakefmt --check Snakefile workflow
	@# Two findings are meant: jobs write to the terminal (a log file would cost the progress bars), and where and how
	@# jobs compute is no param, since a param that changes runs everything again.
	! snakemake --lint 2>&1 | grep '^ *\* ' | grep -v 'No log directive\|variable study from outside'
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

docs: .venv/docs ## the documentation, in site/index.html; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

bench: .venv/test ## what each stage costs, into docs/performance.md; twenty minutes on a machine with nothing else to do
	python benchmarks/page.py

clean: ## remove the environment and everything under results
	rm -rf .venv .snakemake site
	find results -mindepth 1 ! -name README.md -delete

# One stamp an extra: installing again only when the dependencies changed.
.venv/workflow .venv/test .venv/check .venv/docs: .venv/%: pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --editable ".[workflow,$*]"
	touch $@
