"""What an edit reruns: exact sets of jobs from dry runs on copies of one finished run."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable

import pytest
import yaml

from tests.made_up.checkouts import CONFIG, Checkout

DAZLE = ("dazle/default", "dazle/no_calibration")
ESZSL = ("eszsl/default",)
RSAN = ("rsan/cached", "rsan/default")  # the default trains from images
PAGE = {"page"}
SUMMARY = {"tables", "curves demo", "calibration demo"} | PAGE
NOTHING: set[str] = set()
# What the command attend does, and something else.
ATTEND = (
    "run(weights, inputs, words, seed, output, count)",
    "run(weights, inputs, words, seed, output, 1 + count)",
)


def scored(runs: Iterable[str], seeds: Iterable[int] = (0, 1)) -> set[str]:
    """Return training of every run from every seed, which evaluates too, and the look at whether
    all is evaluated by the present code.
    """
    trained = {
        f"{'train_end_to_end' if run == 'rsan/default' else 'train'} demo/{run}" for run in runs
    }
    return {f"{job}/{seed}" for job in trained | {"evaluate demo"} for seed in seeds}


EVALUATED = {"evaluate demo/0", "evaluate demo/1"}


def attending(runs: Iterable[str], seeds: Iterable[int] = (0, 1)) -> set[str]:
    """Return what writes where every run from every seed looks."""
    runs, seeds = tuple(runs), tuple(seeds)
    kinds = {run: "attend_end_to_end" if run == "rsan/default" else "attend" for run in runs}
    return {f"{kinds[run]} demo/{run}/{seed}" for run in runs for seed in seeds}


def shown(runs: Iterable[str], seeds: Iterable[int] = (0, 1)) -> set[str]:
    """Return what shows losses and maps of runs that have them, and how often these fall on the
    annotated parts.
    """
    runs = tuple(runs)
    drawn = {"figures_demo", "localize_demo"}
    looked = attending(runs, seeds)
    # Where an unseen class goes is drawn for the methods as configured.
    compared = {"confusion demo"} if any(run.endswith("/default") for run in runs) else set()
    return drawn | looked | {"localization_tables"} | compared


EVERYTHING = (
    {"render demo", "pretrain demo", "extract demo/demo_7x7", "words demo/random", "inspect demo"}
    | {"specify_backbone demo", "specify_features demo/demo_7x7"}
    | scored(DAZLE + ESZSL + RSAN)
    | shown(DAZLE + RSAN)
    | SUMMARY
)


def test_a_second_run_does_nothing(finished: Checkout) -> None:
    assert "Nothing to be done" in finished.snakemake("--cores", "2")
    assert finished.planned("--forceall") == EVERYTHING


# A file, the job that makes it, one that stands on it.
DELETED = {
    "demo/features/demo_7x7.h5": ("extract demo/demo_7x7", "train demo/dazle/default/0"),
    "demo/backbone.pt": ("pretrain demo", "extract demo/demo_7x7"),
    "demo/index.h5": ("render demo", "train demo/eszsl/default/1"),
    "demo/words/random.h5": ("words demo/random", "train demo/dazle/default/0"),
    "demo/runs/dazle/default/seed1/weights.pt": ("train demo/dazle/default/1", "tables"),
    "demo/runs/eszsl/default/seed0/scores.h5": ("train demo/eszsl/default/0", "confusion demo"),
    "demo/runs/rsan/default/seed0/history.csv": (
        "train_end_to_end demo/rsan/default/0",
        "figures_demo",
    ),
    "demo/runs/eszsl/default/seed0/metrics.json": ("train demo/eszsl/default/0", "tables"),
    "demo/.evaluated/seed1.json": ("evaluate demo/1", "tables"),
    "demo/runs/rsan/cached/seed1/attention.h5": (
        "attend demo/rsan/cached/1",
        "localization_tables",
    ),
    "figures/demo.curves.pdf": ("curves demo", "curves demo"),
}


@pytest.mark.parametrize("path", DELETED)
def test_a_deleted_file_is_made_again_and_what_stands_on_it(checkout: Checkout, path: str) -> None:
    (checkout.folder / "results" / path).unlink()
    assert checkout.planned().issuperset(DELETED[path])


# Small results, of a light head, of one from images, of one with a closed form.
SMALL = {
    "dazle/default/seed0/metrics.json",
    "rsan/default/seed1/history.csv",
    "eszsl/default/seed0/metrics.json",
    "dazle/default/seed1/.attention.done",
}


def test_a_deleted_small_result_costs_nothing_dear(checkout: Checkout) -> None:
    """It comes back, and what trained networks have made stays, byte for byte."""
    runs = checkout.folder / "results/demo/runs"
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    for name in SMALL:
        (runs / name).unlink()
    again = {
        *("train demo/dazle/default/0", "train demo/eszsl/default/0"),
        *("train_end_to_end demo/rsan/default/1", "attend_end_to_end demo/rsan/default/1"),
        *("attend demo/dazle/default/0", "attend demo/dazle/default/1"),
    }
    planned = checkout.planned()
    assert {job for job in planned if job.startswith(("train", "attend"))} == again
    said = checkout.snakemake("--cores", "2")
    # A training tells its seconds in history.csv: another one has others.
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before
    assert said.count("attention.h5: there already, of the same") == 3
    assert said.count("trained already, of the same") == 3
    assert checkout.planned() == NOTHING


def test_what_was_measured_of_jobs_may_be_missing(checkout: Checkout) -> None:
    """As of results made before jobs were measured."""
    measured = checkout.folder / "results" / "benchmarks"
    runs = {path.parent.name for path in measured.glob("train/demo/*/*/seed0.tsv")}
    assert runs == {"default", "no_calibration", "cached"}
    shutil.rmtree(measured)
    assert checkout.planned() == NOTHING


def test_every_file_that_a_job_leaves_is_asked_for(finished: Checkout) -> None:
    made = finished.snakemake("--summary").splitlines()
    outputs = {line.split("\t")[0] for line in made if line.startswith("results/")}
    # Of these other jobs' outputs come with the same job.
    beside = {f"results/demo/{name}" for name in ("images", "auxiliary", "captions.csv")}
    settings = {"results/demo/backbone.json", "results/demo/features/demo_7x7.json"}
    program = f"from zslpipe.study.study import Study; import yaml; {ASKED}"
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=finished.folder, capture_output=True, text=True
    )
    assert outputs - set(asked.stdout.split()) == beside | settings, asked.stderr


ASKED = "print(*Study(yaml.safe_load(open('config.yaml'))).targets.all())"


def test_moving_the_checkout_and_toggling_conda(checkout: Checkout) -> None:
    assert checkout.planned() == NOTHING
    conda_stand_in(checkout)
    assert checkout.planned("--use-conda") == NOTHING


def test_comments_docstrings_layout_and_the_order_of_keys(checkout: Checkout) -> None:
    checkout.replace(
        "zslpipe/methods/dazle.py",
        '"""DAZLE: Fine-Grained',
        '"""DAZLE, better explained: Fine-Grained',
    )
    for module in (
        "methods/eszsl.py",
        "training/fit.py",
        "training/contract.py",
        "scores/evaluation.py",
        "datasets/words.py",
        "reports/tables/results.py",
        "datasets/adapters/demo.py",
    ):
        checkout.append(f"zslpipe/{module}", "\n\n# A comment.\n")
    checkout.append("workflow/rules/runs.smk", "\n# A comment.\n")
    sections = yaml.safe_load(CONFIG)
    reversed_order = yaml.safe_dump(reversed_keys(sections), sort_keys=False)
    assert list(yaml.safe_load(reversed_order)["dazle"]) == [
        "variants",
        "weight_decay",
        "lr",
        "epochs",
    ]
    (checkout.folder / "config.yaml").write_text(f"# A comment.\n{reversed_order}", encoding="utf8")
    assert checkout.planned() == NOTHING


def reversed_keys(value: object) -> object:
    """Return mappings with their keys in the opposite order, at every depth."""
    return (
        {key: reversed_keys(value[key]) for key in reversed(value)}
        if isinstance(value, dict)
        else value
    )


def test_where_and_how_it_runs(checkout: Checkout) -> None:
    (checkout.folder / "elsewhere").mkdir()
    threads = "threads: 2, extract_threads: 3, image_threads: 2"
    tasks = "extract_tasks: 4, extract_alignment: 1048576, storage: zarr"
    changes = f"compute={{device: auto, {threads}, {tasks}, checkpoint_seconds: 5}}"
    assert (
        checkout.planned("--config", f"set=data_root=./elsewhere/../elsewhere {changes}") == NOTHING
    )


def test_a_learning_rate(checkout: Checkout) -> None:
    checkout.replace("config.yaml", "lr: 0.001", "lr: 0.01")
    assert checkout.planned() == scored(DAZLE) | shown(DAZLE) | SUMMARY


def test_a_setting_of_one_variant(checkout: Checkout) -> None:
    checkout.replace("config.yaml", "margin: 0.0", "margin: 0.5")
    changed = DAZLE[1:]
    assert checkout.planned() == scored(changed) | shown(changed) | SUMMARY


def test_a_tracked_variant(checkout: Checkout) -> None:
    checkout.replace("config.yaml", "no_calibration: {", "no_calibration: {track: test, ")
    changed = DAZLE[1:]
    best = {f"best_on_test demo/{changed[0]}/{seed}" for seed in (0, 1)}
    assert checkout.planned() == scored(changed) | shown(changed) | SUMMARY | best


def test_two_values_swapped(checkout: Checkout) -> None:
    checkout.replace(
        "config.yaml", "lr: 0.001\n  weight_decay: 0.0001", "lr: 0.0001\n  weight_decay: 0.001"
    )
    assert checkout.planned() == scored(DAZLE) | shown(DAZLE) | SUMMARY


def test_what_is_only_said_and_where_a_job_runs(checkout: Checkout) -> None:
    for module in ("errors", "devices", "gpu_lock", "files", "progress", "interruption"):
        checkout.append(f"zslpipe/machine/{module}.py", "\nADDED = 1\n")
    checkout.append("zslpipe/provenance.py", "\nADDED = 1\n")
    checkout.replace("zslpipe/training/checkpoint.py", "starting afresh", "beginning afresh")
    checkout.replace("zslpipe/runs/train.py", "chosen on the validation classes: ", "the choice: ")
    checkout.replace(
        "zslpipe/methods/dazle.py", "DAZLE needs word vectors", "DAZLE cannot do without words"
    )
    assert checkout.planned() == NOTHING


def test_a_default_written_out(checkout: Checkout) -> None:
    checkout.replace(
        "config.yaml", "  epochs: 2\n", "  epochs: 2\n  momentum: 0.9\n  margin: 1.0\n"
    )
    checkout.replace("config.yaml", "grid: 7}", "grid: 7, batch_size: 32, dtype: bfloat16}")
    checkout.replace(
        "config.yaml", "    words: random\n", "    words: random\n    semantics: att\n"
    )
    assert checkout.planned() == NOTHING


def test_how_an_extractor_computes(checkout: Checkout) -> None:
    how = "extractors.demo_7x7.batch_size=8 extractors.demo_7x7.dtype=float32"
    assert checkout.planned("--config", f"set={how}") == NOTHING


def test_code_that_opens_the_inputs_of_runs(checkout: Checkout) -> None:
    checkout.append("zslpipe/runs/opening.py", "\nADDED = 1\n")
    runs = (*DAZLE, *RSAN)
    assert checkout.planned() == scored([*runs, *ESZSL]) | shown(runs) | SUMMARY


def test_code_of_one_command(checkout: Checkout) -> None:
    checkout.replace("zslpipe/commands/runs.py", *ATTEND)
    runs = (*DAZLE, *RSAN)
    assert attending(runs) <= checkout.planned() <= shown(runs) | PAGE


def test_code_of_one_method(checkout: Checkout) -> None:
    checkout.replace("zslpipe/methods/eszsl.py", "BATCH = 1024", "BATCH = 512")
    assert checkout.planned() == scored(ESZSL) | {"confusion demo"} | SUMMARY


def test_code_that_one_method_calls(checkout: Checkout) -> None:
    checkout.append("zslpipe/training/fit.py", "\nADDED = 1\n")
    assert checkout.planned() == scored(DAZLE + RSAN) | shown(DAZLE + RSAN) | SUMMARY


def test_code_that_reads_images_for_training(checkout: Checkout) -> None:
    checkout.append("zslpipe/runs/image_inputs.py", "\nADDED = 1\n")
    assert checkout.planned() == scored(["rsan/default"]) | shown(["rsan/default"]) | SUMMARY


def test_code_that_reads_the_cache(checkout: Checkout) -> None:
    checkout.append("zslpipe/runs/cached_inputs.py", "\nADDED = 1\n")
    light = ("rsan/cached", *DAZLE)
    assert checkout.planned() == scored([*light, *ESZSL]) | shown(light) | SUMMARY


def test_code_that_every_method_calls(checkout: Checkout) -> None:
    checkout.append("zslpipe/training/contract.py", "\nADDED = 1\n")
    assert checkout.planned() == scored(DAZLE + ESZSL + RSAN) | shown(DAZLE + RSAN) | SUMMARY


def test_evaluation_code(checkout: Checkout) -> None:
    checkout.append("zslpipe/scores/evaluation.py", "\nADDED = 1\n")
    assert checkout.planned() == EVALUATED | SUMMARY


def test_code_of_the_tables(checkout: Checkout) -> None:
    checkout.append("zslpipe/reports/tables/results.py", "\nADDED = 1\n")
    assert checkout.planned() == {"tables"} | PAGE


def test_published_numbers(checkout: Checkout) -> None:
    checkout.append("zslpipe/reports/tables/published.yaml", "\n# One more.\n")
    assert checkout.planned() == {"tables"} | PAGE


def test_extraction_code_costs_no_extraction(checkout: Checkout) -> None:
    checkout.append("zslpipe/features/extraction.py", "\nADDED = 1\n")
    assert checkout.planned() == NOTHING
    checkout.replace(
        "zslpipe/study/extractors.py", "FEATURES_VERSION = 2", "FEATURES_VERSION = 1002"
    )
    assert "extract demo/demo_7x7" in checkout.planned()


FEATURE_JOBS = {"pretrain demo", "extract demo/demo_7x7"}


def test_refactoring_an_adapter_costs_no_extraction(checkout: Checkout) -> None:
    features = checkout.folder / "results/demo/features/demo_7x7.h5"
    images = checkout.folder / "results/demo/images"
    before = {path.name: path.read_bytes() for path in images.rglob("*.png")}
    checkout.append("zslpipe/formats/index.py", "\nADDED = 1\n")
    planned = checkout.planned()
    assert "render demo" in planned
    assert not planned & FEATURE_JOBS
    # Nor when the images and the index have been written again.
    modified = features.stat().st_mtime_ns
    checkout.snakemake("--cores", "1", "results/demo/inspect.png")
    assert (checkout.folder / "results/demo/index.h5").stat().st_mtime_ns > modified
    assert {path.name: path.read_bytes() for path in images.rglob("*.png")} == before
    assert not checkout.planned() & FEATURE_JOBS
    assert checkout.planned(str(features.relative_to(checkout.folder))) == NOTHING


def test_other_drawings_are_extracted(checkout: Checkout) -> None:
    assert (
        checkout.planned("--config", "set=datasets.demo.source.images_per_class=3") >= FEATURE_JOBS
    )
    checkout.append("zslpipe/datasets/creatures.py", "\nADDED = 1\n")
    assert checkout.planned() >= FEATURE_JOBS


def test_an_extractor_changed_together_with_an_adapter(checkout: Checkout) -> None:
    checkout.append("zslpipe/formats/index.py", "\nADDED = 1\n")
    planned = checkout.planned("--config", "set=extractors.demo_7x7.layer=features")
    assert planned >= {"render demo", "extract demo/demo_7x7"}
    assert "pretrain demo" not in planned


def test_a_new_seed(checkout: Checkout) -> None:
    looked = attending(DAZLE + RSAN, [2]) | {"localize_demo"}
    # Losses are of all seeds; curves show the first one.
    added = scored(DAZLE + ESZSL + RSAN, [2]) | {"figures_demo"} | looked | PAGE
    added |= {"tables", "localization_tables"}
    assert checkout.planned("--config", "set=seeds=[0, 1, 2]") == added


def test_a_method_dropped(checkout: Checkout) -> None:
    checkout.replace("config.yaml", "methods: [dazle, eszsl, rsan]", "methods: [eszsl]")
    assert checkout.planned() == {"confusion demo"} | EVALUATED | SUMMARY


def test_word_vectors(checkout: Checkout) -> None:
    checkout.replace("config.yaml", "dimension: 8", "dimension: 9")
    assert (
        checkout.planned()
        == {"words demo/random"} | scored(DAZLE + RSAN) | shown(DAZLE + RSAN) | SUMMARY
    )


def test_assignments_on_the_command_line_are_typed(checkout: Checkout) -> None:
    same = "dazle.lr=1.0e-3 dazle.epochs=2 seeds=[0,1] datasets.demo.source.images_per_class=2"
    assert checkout.planned("--config", f"set={same}") == NOTHING
    only = checkout.planned("--config", "set=dazle.lr=0.5 seeds=[0]")
    # The table of localisations has one seed less of every method.
    assert only == scored(DAZLE, [0]) | shown(DAZLE, [0]) | SUMMARY


@pytest.mark.parametrize(
    ("assignments", "line"),
    [
        ("methods=[dazel,eszsl]", "no method 'dazel'; did you mean 'dazle'?"),
        ("dazle.learning=0.1", "config, dazle: unknown setting 'learning'; "),
        ("compute.thread=3", "config, compute: unknown key 'thread'; did you mean 'threads'?"),
        (
            "dazle.lr=1e-4",
            "config, dazle.lr: '1e-4' is not of type float (YAML reads 1e-4 as text: write 1.0e-4)",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(
    finished: Checkout, assignments: str, line: str
) -> None:
    said = finished.snakemake("--dry-run", "--config", f"set={assignments}", fails=True)
    assert [text for text in said.splitlines() if text.startswith(line)], said
    assert "Traceback" not in said


def test_slurm_profile_and_gpus(checkout: Checkout) -> None:
    pytest.importorskip(
        "snakemake_executor_plugin_slurm", reason="the SLURM plugin is not installed"
    )
    profile = ("--profile", "workflow/profiles/slurm")
    assert checkout.planned(*profile) == NOTHING
    said = checkout.snakemake(
        "--dry-run", "--forceall", *profile, "--config", "set=compute.device=cuda"
    )
    gpus = dict(
        re.findall(r"^ *rule (\w+):\n(?: .*\n)*? +resources: .*?gpu=(\d)", said, re.MULTILINE)
    )
    assert gpus == dict.fromkeys(
        ("pretrain", "extract", "train", "train_end_to_end", "attend", "attend_end_to_end"), "1"
    )


def test_conda_is_asked_for_exactly_our_environments(checkout: Checkout) -> None:
    conda_stand_in(checkout)
    checkout.snakemake("--cores", "1", "--forceall", "--use-conda", "--conda-create-envs-only")
    asked = [
        file.read_text(encoding="utf8") for file in sorted((checkout.folder / "asked").iterdir())
    ]
    # No job here encodes texts, which has an environment of its own.
    used = [checkout.folder / "envs" / f"{name}.yaml" for name in ("numpy", "torch")]
    ours = [file.read_text(encoding="utf8") for file in used]
    assert sorted(asked) == sorted(ours)
    assert len(ours) == 2


def conda_stand_in(checkout: Checkout) -> None:
    """Put a ``conda`` on the path that answers Snakemake's questions and keeps the environment
    files it is given.
    """
    checkout.program(
        "conda",
        f"""\
case "$1" in
  --version) echo "conda 24.7.1" ;;
  info) echo '{{"conda_prefix": "/nowhere", "platform": "linux-64"}}' ;;
  config) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  env)
    mkdir -p "{checkout.folder}/asked"
    for word in "$@"; do
      [ "$previous" = --file ] && cp "$word" "{checkout.folder}/asked/"
      [ "$previous" = --prefix ] && mkdir -p "$word"
      previous=$word
    done ;;
esac
""",
    )


SIXTH_METHOD = '''\
"""Nearest class vector: ridge regression from pooled features, then the inner product."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zslpipe.training.contract import Classes, Pooled, TrainingData

INPUT = Pooled(size=224)


@dataclass(frozen=True)
class Config:
    ridge: float = 1.0  # ours


class Model(nn.Module):
    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.register_buffer("W", torch.zeros(input_shape[-1], classes.attributes.shape[1]))
        self.register_buffer("attributes", classes.attributes.clone())

    def scores(self, inputs: Tensor) -> Tensor:
        return inputs @ self.W @ self.attributes.T


def train(model: Model, config: Config, data: TrainingData) -> None:
    batch = next(data.in_order(len(data.rows)))
    gram = batch.inputs.T @ batch.inputs + config.ridge * torch.eye(len(model.W))
    model.W.copy_(torch.linalg.solve(gram, batch.inputs.T @ data.classes.attributes[batch.labels]))
'''


def test_a_method_is_one_file_and_one_word(checkout: Checkout) -> None:
    (checkout.folder / "zslpipe" / "methods" / "prototype.py").write_text(
        SIXTH_METHOD, encoding="utf8"
    )
    checkout.replace(
        "config.yaml", "methods: [dazle, eszsl, rsan]", "methods: [dazle, eszsl, prototype]"
    )
    table = "results/tables/main.csv"
    call = (table, "--config", "set=seeds=[0]")
    assert checkout.planned(*call) == scored(["prototype/default"], [0]) | {"tables"}
    said = checkout.snakemake("--cores", "2", *call)
    # The default profile was found: one card, one job.
    assert re.search(r"^Provided resources: gpu=.*\b1\b", said, re.MULTILINE)
    with (checkout.folder / table).open(encoding="utf8", newline="") as file:
        rows = {(row["method"], row["variant"]): row for row in csv.DictReader(file)}
    assert list(rows) == [
        ("dazle", "default"),
        ("dazle", "no_calibration"),
        ("eszsl", "default"),
        ("prototype", "default"),
    ]
    metrics = checkout.folder / "results/demo/runs/prototype/default/seed0/metrics.json"
    figures = json.loads(metrics.read_text(encoding="utf8"))
    row = rows["prototype", "default"]
    assert row["seeds"] == "1"
    assert row["extractor"] == "demo_7x7"
    assert row["words"] == ""
    for name in ("T1", "U", "S", "H", "AUSUC"):
        assert float(row[f"{name}_mean"]) == pytest.approx(100 * figures[name], abs=0.005)
