# `make demo` runs the main job, `make test` passes the tests; both make their own environment in .venv.
# Debian: apt install make git python3-venv
PYTHON ?= python3
CORES ?= all
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test check clean

demo: .venv/workflow
	snakemake --cores $(CORES)
	snakemake --report results/report.html
	@cat results/tables/main.md
	@echo "Tables: results/tables   figures: results/figures   report: results/report.html"

test: .venv/test
	python -m pytest -q $(TESTS)

check: .venv/check
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	snakefmt --check Snakefile workflow
	@# Two findings are meant: jobs write to the terminal (a log file would cost the progress bars), and where and how
	@# jobs compute is no param, since a param that changes runs everything again.
	! snakemake --lint 2>&1 | grep '^ *\* ' | grep -v 'No log directive\|variable study from outside'

clean:
	rm -rf .venv results/* .snakemake

# One stamp an extra: installing again only when the dependencies changed.
.venv/workflow .venv/test .venv/check: .venv/%: pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --editable ".[workflow,$*]"
	touch $@
