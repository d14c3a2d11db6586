"""The shipped experiments against look-alikes of the true layouts: true counts, tiny files."""

import importlib
import os
import re
import subprocess
import sys

import pytest
import scipy.io
import yaml

from tests.made_up import lookalike
from tests.made_up.places import PACKAGE, ROOT
from zslpipe.formats.index import read_index
from zslpipe.formats.published_sizes import EXPECTED
from zslpipe.study.study import Study

EXPERIMENTS = ROOT / "workflow" / "experiments"
XLSA17 = {"cub": "CUB", "sun": "SUN", "awa1": "AWA1", "awa2": "AWA2", "apy": "aPY", "flo": "FLO"}


def experiment(name):
    return yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())


def write_data(root, name):
    """Write what an experiment's source names, below ``root``."""
    source = experiment(name)["datasets"][XLSA17[name]]["source"]
    lookalike.write_xlsa17(root, XLSA17[name], "c", true_counts=True, images="images" in source)
    folder = root / XLSA17[name]
    if "images" in source and not (root / source["images"]).exists():
        (folder / "images").rename(root / source["images"])
    sizes = EXPECTED[XLSA17[name]]
    if "attribute_names" in source:
        (root / source["attribute_names"]).write_text(
            "".join(f"{n + 1} bill_{n}\n" for n in range(sizes.attributes))
        )
    if "class_names" in source:
        (root / source["class_names"]).write_text(
            "".join(f"flower {n}\n" for n in range(sizes.seen + sizes.unseen))
        )
    if "boxes" in source:
        stored = [cell[0][0] for cell in scipy.io.loadmat(folder / "res101.mat")["image_files"]]
        lookalike.write_boxes(folder, stored)


def planned_jobs(configuration, data_root, folder):
    """Return {rule: number of jobs} of a dry run."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--cores",
        "1",
    ]
    command += ["--configfile", str(configuration), "--config", f"set=data_root={data_root}"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = (done.stdout + done.stderr).split("Job stats:")[1]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


@pytest.mark.parametrize("name", XLSA17)
def test_an_experiment_reads_the_true_layout_and_plans_every_run(name, tmp_path):
    data = tmp_path / "data"
    write_data(data, name)
    config = experiment(name)
    entry = config["datasets"][XLSA17[name]]
    output = tmp_path / XLSA17[name] / "index.h5"
    importlib.import_module(f"zslpipe.datasets.adapters.{entry['adapter']}").write(
        entry["source"], output, data
    )
    index, sizes = read_index(output), EXPECTED[XLSA17[name]]
    found = [len(index.splits[split]) for split in ("trainval", "test_seen", "test_unseen")]
    assert found == [sizes.trainval, sizes.test_seen, sizes.test_unseen]
    assert [index.seen.sum(), (~index.seen).sum(), index.validation.sum()] == [
        sizes.seen,
        sizes.unseen,
        sizes.validation,
    ]

    jobs = planned_jobs(EXPERIMENTS / f"{name}.yaml", data, tmp_path)
    rows = len(Study(config).runs.all)
    assert jobs["train"] == 5 * rows
    assert jobs["evaluate"] == 5 * len(config["datasets"])
    # Of the standard split DAZLE alone, on features of its own.
    assert rows == {"cub": 3 + 2}.get(name, 3 if "dazle" in config["methods"] else 1)
    extraction = {"awa1": {"store": 1}, "cub": {"extract": 2}}.get(name, {"extract": 1})
    assert {
        rule: count for rule, count in jobs.items() if rule in ("extract", "store")
    } == extraction


def test_the_standard_split_has_the_decay_of_the_papers_notebook():
    found = {}
    for run in Study(experiment("cub")).runs.all.values():
        if run.method == "dazle":
            found[run.dataset, run.variant] = run.settings["weight_decay"]
    variants = ("default", "no_calibration")
    assert {found["CUB_standard", variant] for variant in variants} == {0.00005}
    assert {found["CUB", variant] for variant in variants} == {0.0001}


def test_deepfashion_plans_every_row_of_the_ablation_table(tmp_path):
    jobs = planned_jobs(EXPERIMENTS / "deepfashion.yaml", tmp_path, tmp_path)
    ablation = experiment("deepfashion")["dazle"]["variants"]
    assert len(ablation) == 6
    assert jobs["train"] == 5 * (1 + 6 + 1)


def test_the_study_of_texts_encodes_each_once(tmp_path):
    jobs = planned_jobs(EXPERIMENTS / "cub_text.yaml", tmp_path, tmp_path)
    assert (jobs["texts"], jobs["words"], jobs["encoded_words"], jobs["extract"]) == (4, 1, 1, 1)
    assert jobs["train"] == 3 * ((1 + 4) + (1 + 2) + (1 + 1))
    study = Study(experiment("cub_text"))
    own, cub = experiment("cub_text")["datasets"]["CUB"], experiment("cub")["datasets"]["CUB"]
    assert own["source"] == cub["source"]
    assert study.runs.named("CUB", "mlis", "prompts").semantics == "text/prompts"


OF_METHODS = ("mlis", "rsan", "sgma", "crafting")


def test_papers_reads_the_datasets_of_the_other_experiments():
    papers = experiment("papers")
    single = {
        name: entry
        for path in [*XLSA17, "deepfashion"]
        for name, entry in experiment(path)["datasets"].items()
    }
    assert list(papers["datasets"]) == list(single)
    for name, entry in papers["datasets"].items():
        entry["source"].pop("extra_semantics", None)  # MLIS' sentences beside the attributes
        for key in ("adapter", "source", "extractors"):
            assert entry[key] == single[name][key], (name, key)
    for path in [*XLSA17, "deepfashion", *OF_METHODS]:
        for name, extractor in experiment(path)["extractors"].items():
            assert papers["extractors"][name] == extractor


def settings_of_run(run):
    """What a run is trained by; the sentences of CUB are called att in a file of their own."""
    kept = {key: value for key, value in run.slice.items() if key not in ("index", "variant")}
    if (run.dataset, run.method) == ("CUB", "mlis"):
        assert kept.pop("semantics") in ("att", "sent_att")
    return kept


@pytest.mark.parametrize("name", [*XLSA17, "deepfashion", *OF_METHODS])
def test_papers_trains_what_the_other_experiments_train(name):
    papers = Study(experiment("papers"))
    for key, run in Study(experiment(name)).runs.all.items():
        if key in papers.runs.known:
            found = papers.runs.named(*key)
            assert settings_of_run(found) == settings_of_run(run), key
        else:
            assert run.variant != "default" and name in OF_METHODS, key


def test_papers_plans_all_six_methods(tmp_path):
    papers = Study(experiment("papers"))
    rows = {(run.dataset, run.method) for run in papers.runs.all.values()}
    assert {method for dataset, method in rows if dataset == "CUB"} == set(papers.config["methods"])
    assert len(papers.config["methods"]) == 6
    assert papers.runs.named("CUB", "mlis", "default").semantics == "sent_att"
    jobs = planned_jobs(EXPERIMENTS / "papers.yaml", tmp_path, tmp_path)
    light = [run for run in papers.runs.all.values() if run.trunk is None]
    assert jobs["train"] == 5 * len(light)
    assert jobs["train_end_to_end"] == 5 * (len(papers.runs.all) - len(light))


def test_published_rows_exist_for_the_variants_of_the_experiments():
    from zslpipe.reports.tables.published import published

    for variant in experiment("papers")["dazle"]["variants"]:
        assert published("dazle", variant, "DeepFashion", "proposed split"), variant


@pytest.mark.parametrize("name", ["rsan", "mlis"])
def test_an_experiment_of_one_paper_has_every_printed_row(name):
    config = experiment(name)
    rows = {(run.dataset, run.variant) for run in Study(config).runs.all.values()}
    table = yaml.safe_load((PACKAGE / "reports" / "tables" / "published.yaml").read_text())[name][
        "rows"
    ]
    # The last rows of ablations are the method itself, printed once more.
    whole = {
        "semantic_kernels",
        "episodes_16_ways_2_shots",
    }
    printed = {(row["dataset"], row["variant"]) for row in table if row["variant"] not in whole}
    assert printed <= rows


def test_sgma_is_the_reports_on_its_datasets():
    """Sections 2.1, 3.1 and 3.2: VGG-19 sees 448 px, and each view is one of 224; the baseline has
    one loss and one inference, the method three.
    """
    runs = list(Study(experiment("sgma")).runs.all.values())
    assert {run.dataset for run in runs} == {"CUB", "FLO", "AWA2"}
    for run in runs:
        assert run.input == "images"
        assert (run.trunk["backbone"], run.trunk["size"], run.trunk["grid"]) == ("vgg19", 448, 14)
        assert run.settings["view"] * run.trunk["size"] == 224
        assert (run.settings["batch_size"], run.settings["epochs"]) == (32, 30)
        assert (run.settings["lr"], run.settings["smallest_lr"]) == (0.05, 5e-4)
    rows = {run.variant: run for run in runs if run.dataset == "CUB"}
    said = {name: (run.settings["parts"], run.settings["inference"]) for name, run in rows.items()}
    assert said["baseline"] == ("none", "compatibility")
    assert [said[name] for name in ("compatibility", "centres", "default")] == [
        ("two", "compatibility"),
        ("two", "centres"),
        ("two", "sum"),
    ]
    assert rows["cropping_network"].settings["crop"] == "network"
    assert rows["default"].settings["crop"] == "peak"
    # Figure 3 has a validation loss, which choosing measures.
    assert rows["chosen_epochs"].selection == "validation"


@pytest.mark.parametrize("name", ["sgma"])
def test_an_experiment_of_images_plans_every_run(name, tmp_path):
    jobs = planned_jobs(EXPERIMENTS / f"{name}.yaml", tmp_path, tmp_path)
    assert jobs["train_end_to_end"] == 5 * len(Study(experiment(name)).runs.all) == 5 * 3 * 7


def test_mlis_reads_the_papers_stored_features_at_the_familys_settings_of_each_dataset():
    """Section 4.2, and the five datasets of table 2."""
    runs = Study(experiment("mlis")).runs.all.values()
    of_default = {run.dataset: run for run in runs if run.variant == "default"}
    assert set(of_default) == {"CUB", "AWA2", "SUN", "FLO", "aPY"}
    for name, run in of_default.items():
        assert experiment("mlis")["extractors"][run.extractor]["backbone"] == "stored"
        assert run.settings["generator_steps"] != 6200 or name == "CUB", name


@pytest.mark.parametrize("name", ["rsan", "sgma"])
def test_no_row_of_an_experiment_is_trained_twice(name):
    slices = []
    for run in Study(experiment(name)).runs.all.values():
        slices.append({key: value for key, value in run.slice.items() if key != "variant"})
    twice = [one for number, one in enumerate(slices) if one in slices[:number]]
    assert not twice


def test_rows_of_rsan_with_the_dot_product_choose_their_calibration():
    for run in Study(experiment("rsan")).runs.all.values():
        unscaled = run.settings["similarity"] == "dot product"
        assert ("calibration" in run.choose) == unscaled, run.variant
        assert run.selection == ("validation" if unscaled else "last"), run.variant


def test_crafting_has_each_backbone_with_both_rules_and_their_ensemble():
    config = experiment("crafting")
    runs = {run.variant: run for run in Study(config).runs.all.values() if run.dataset == "FLO"}
    ensembles = config["ensembles"]
    for backbone in ("alexnet", "densenet201", "darknet53"):
        pair = [f"crafting/{backbone}", f"crafting/{backbone}_visual"]
        assert ensembles[f"vs_cc_{backbone}"]["of"] == pair
        found = {
            runs[member.split("/")[1]].trunk["backbone"].removeprefix("timm/") for member in pair
        }
        assert found == {backbone}
    assert {len(entry["rebalancing"]) for entry in ensembles.values()} == {5}


def test_cub127_plans_every_method(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mobilenet_v2.pt").touch()
    jobs = planned_jobs(EXPERIMENTS / "cub127.yaml", tmp_path, tmp_path)
    study = Study(experiment("cub127"))
    assert {run.method for run in study.runs.all.values()} == {
        "dazle",
        "rsan",
        "sgma",
        "mlis",
        "crafting",
        "eszsl",
    }
    light = [run for run in study.runs.all.values() if run.trunk is None]
    assert jobs["train"] == 3 * len(light)
    assert jobs["train_end_to_end"] == 3 * (len(study.runs.all) - len(light))
    assert jobs["rebalance"] == 3 * 6  # four kinds each


def test_cub_clip_plans_every_row_of_one_pair(tmp_path):
    data = tmp_path / "data"
    write_data(data, "cub")
    (data / "clip").mkdir()
    (data / "clip" / "open_clip_model.safetensors").touch()
    jobs = planned_jobs(EXPERIMENTS / "cub_clip.yaml", data, tmp_path)
    config = experiment("cub_clip")
    runs = {f"{run.method}/{run.variant}": run for run in Study(config).runs.all.values()}
    assert {name: run.semantics for name, run in runs.items()} == {
        "clip/default": "text/birds",
        "clip/photos": "text/photos",
        "eszsl/default": "att",
    }
    wanted = {"extract": 1, "texts": 2, "train": 3, "ensemble": 1, "validate": 2, "evaluate": 1}
    assert wanted.items() <= jobs.items()
    # Both towers are of one architecture, with the activation of its weights.
    [extractor] = config["extractors"].values()
    assert "_clip_quickgelu_" in extractor["backbone"] and extractor["pooled"] == "head"
    for texts in config["texts"].values():
        assert texts["encoder"].endswith("-quickgelu")
        assert texts["weights"] == extractor["weights"]
        assert all(template.count("{class}") == 1 for template in texts["templates"])


@pytest.mark.parametrize(("name", "grid"), [("cub_vit", 14), ("awa2_dinov2", 16)])
def test_a_transformer_that_is_the_only_extractor_serves_every_method(name, grid, tmp_path):
    study = Study(experiment(name))
    (extractor,) = study.config["extractors"]
    assert study.config["extractors"][extractor]["grid"] == grid
    assert {run.extractor for run in study.runs.all.values()} == {extractor}
    assert {run.method for run in study.runs.all.values()} == set(study.config["methods"])
    jobs = planned_jobs(EXPERIMENTS / f"{name}.yaml", tmp_path, tmp_path)
    assert (jobs["extract"], jobs["train"]) == (1, 5 * len(study.runs.all))


def test_the_demo_on_a_random_transformer_fetches_nothing(tmp_path):
    study = Study(experiment("demo_random_vit"))
    (extractor,) = study.config["extractors"].values()
    assert (extractor["backbone"], extractor["weights"]) == ("timm/vit_tiny_patch16_224", "random")
    runs = study.runs.all.values()
    assert [(run.method, run.input) for run in runs] == [
        *(("dazle", "regions"), ("rsan", "regions"), ("eszsl", "pooled"))
    ]
    jobs = planned_jobs(EXPERIMENTS / "demo_random_vit.yaml", tmp_path, tmp_path)
    assert (jobs["extract"], jobs["train"]) == (1, 3)
    assert {"pretrain", "train_end_to_end"}.isdisjoint(jobs)


def test_the_same_methods_on_six_networks_are_one_table(tmp_path):
    study = Study(experiment("networks"))
    networks = list(study.config["extractors"])
    assert len(networks) == 6
    for method in ("dazle", "rsan", "eszsl"):
        runs = [run for run in study.runs.all.values() if run.method == method]
        for dataset in ("CUB", "AWA2"):
            assert [run.extractor for run in runs if run.dataset == dataset] == networks
    rows = study.config["studies"]["networks"]["rows"]
    assert [row["method"] for row in rows] == [
        method for method in ("dazle", "rsan", "eszsl") for _ in networks
    ]
    assert [row.get("variant", "resnet101") for row in rows] == 3 * networks
    # All of the table's rows are those of the configuration: nothing is trained for it alone.
    jobs = planned_jobs(EXPERIMENTS / "networks.yaml", tmp_path, tmp_path)
    assert (jobs["extract"], jobs["train"]) == (2 * 6, 5 * 2 * 3 * 6)


def test_the_networks_of_the_experiments_are_timms():
    import timm

    for path in EXPERIMENTS.glob("*.yaml"):
        for entry in experiment(path.stem)["extractors"].values():
            name = entry["backbone"].removeprefix("timm/")
            if entry["backbone"] != name and entry.get("weights") == "pretrained":
                known = timm.list_models(f"{name.partition('.')[0]}*", pretrained=True)
                assert any(one == name or one.startswith(f"{name}.") for one in known), name
