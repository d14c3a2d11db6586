"""What follows from a configuration: targets, files of the chain, slices that decide what runs
again.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.configuration import GIVEN, given
from tests.made_up.places import ROOT
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical
from zslpipe.study.datasets import folder_fingerprint
from zslpipe.study.extractors import FEATURES_VERSION
from zslpipe.study.study import Study


def study(changes: str = "") -> Study:
    return Study(given(changes))


def test_a_study_names_every_file_of_the_chain() -> None:
    made = study("seeds=[3,5] dazle.variants={}")
    assert made.targets.localizations() == [
        f"results/creatures/runs/dazle/default/seed{seed}/localization.json" for seed in (3, 5)
    ]
    assert made.results.scores_of_first_seed("birds") == [
        "results/birds/runs/eszsl/default/seed3/scores.h5"
    ]
    figures = {
        *(f"creatures.{kind}" for kind in ("curves", "calibration", "confusion")),
        *(f"birds.{kind}" for kind in ("curves", "calibration", "confusion")),
        *(f"creatures.dazle.default.{kind}" for kind in ("parts", "losses", "maps")),
    }
    kinds = ("scores.h5", "weights.pt", "history.csv", "metrics.json")
    looked = ("attention.h5", ".attention.done", "localization.json")
    left = {
        "creatures/runs/dazle/default": (*kinds, *looked),
        "creatures/runs/eszsl/default": kinds,
        "birds/runs/eszsl/default": kinds,
    }
    runs = {
        f"results/{run}/seed{seed}/{kind}"
        for run, files in left.items()
        for seed in ((3,) if "eszsl" in run else (3, 5))  # a closed form
        for kind in files
    }
    read = {
        *("creatures/index.h5", "birds/index.h5", "creatures/words/drawn.h5"),
        *("creatures/features/coarse.h5", "creatures/backbone.pt", "birds/features/own.h5"),
    }
    tables = {
        f"results/tables/{name}.{kind}"
        for name in ("main", "localization")
        for kind in ("csv", "md", "tex")
    }
    evaluated = {
        f"results/{name}.json"
        for name in (
            "creatures/.evaluated/seed3",
            "creatures/.evaluated/seed5",
            "birds/.evaluated/seed3",
        )
    }
    assert set(made.targets.all()) == {
        "results/report/index.html",
        *evaluated,
        *tables,
        *("results/tables/main.intervals.md", "results/tables/main.intervals.tex"),
        *("results/tables/localization.parts.md", "results/tables/localization.parts.tex"),
        *(f"results/figures/{name}.{kind}" for name in figures for kind in ("webp", "pdf")),
        *("results/creatures/inspect.png", "results/creatures/inspect.txt"),
        *runs,
        *(f"results/{name}" for name in read),
    }
    assert (made.datasets.rendered, made.datasets.read) == (["creatures"], ["birds"])
    assert (made.extractors.stored, made.extractors.computed) == (
        ["own"],
        ["fine", "coarse", "named"],
    )
    assert made.extractors.weights_file("creatures", "coarse") == ["results/creatures/backbone.pt"]
    assert made.extractors.weights_file("birds", "own") == []
    assert made.extractors.weights_file("birds", "named") == []


def test_weights_files_lie_under_the_data_folder_and_the_slice_names_them_as_written() -> None:
    made = study("extractors.named.weights=weights/x.pt data_root=/elsewhere")
    assert made.extractors.weights_file("birds", "named") == ["/elsewhere/weights/x.pt"]
    assert made.extractors.settings("named")["weights"] == "weights/x.pt"
    assert made.extractors.settings("coarse")["name"] == "coarse"
    assert "weights" not in made.extractors.settings("coarse")


def test_a_folder_of_weights_is_asked_for_by_the_file_in_it(tmp_path) -> None:
    given = "extractors.named.weights='hf:vit' extractors.named.backbone=timm/test_vit"
    given += f" extractors.named.layer=blocks.5 data_root='{tmp_path}'"
    found = str(tmp_path / "vit" / "model.safetensors")
    assert study(given).extractors.weights_file("birds", "named") == [found]
    (tmp_path / "vit").mkdir()
    with pytest.raises(InputError, match=r"named\.weights: the folder .*vit holds no weights"):
        study(given)
    (tmp_path / "vit" / "pytorch_model.bin").touch()
    found = str(tmp_path / "vit" / "pytorch_model.bin")
    assert study(given).extractors.weights_file("birds", "named") == [found]
    (tmp_path / "vit" / "config.json").write_text('{"architecture": "test_vit2"}')
    with pytest.raises(InputError, match="says architecture 'test_vit2', not 'test_vit'"):
        study(given)


def test_pooled_features_are_told_where_they_are_not_the_mean() -> None:
    given = "extractors.named.backbone=timm/test_vit extractors.named.weights=random"
    for written in ("", " extractors.named.pooled=mean"):
        made = study(given + written)
        assert "pooled" not in made.extractors.settings("named")
    made = study(f"{given} extractors.named.pooled=head eszsl.extractor=named")
    assert made.extractors.settings("named")["pooled"] == "head"
    # Features have to be of that kind.
    assert made.runs.named("birds", "eszsl", "default").cache["pooled"] == "head"
    assert "pooled" not in made.runs.named("creatures", "dazle", "default").cache
    # A network that a method trains has maps alone.
    trained = "methods=[eszsl,rsan] rsan.extractor=named datasets.creatures.methods=[rsan]"
    made = study(f"{given} extractors.named.pooled=head eszsl.extractor=named {trained}")
    assert made.runs.named("creatures", "rsan", "default").trunk["backbone"] == "timm/test_vit"
    assert "pooled" not in made.runs.named("creatures", "rsan", "default").trunk


def test_an_image_folder_is_one_word_of_the_command() -> None:
    made = study("datasets.birds.source.images='my birds/images'")
    assert made.datasets.image_option("birds") == "--images 'my birds/images'"
    assert made.datasets.image_option("creatures") == ""


def test_the_class_of_the_confusions_is_an_option_of_one_word() -> None:
    assert study().datasets.confused_option("birds") == ""
    named = study("datasets.birds.confused_class='great owl'")
    assert named.datasets.confused_option("birds") == "--class 'great owl'"


def test_attributes_that_grad_cam_takes_away_are_options_of_one_word_each() -> None:
    made = study("datasets.birds.removed_attributes=['is black', timid]")
    assert made.datasets.removed_option("birds") == "--without 'is black' --without timid"
    assert made.datasets.removed_option("creatures") == ""
    with pytest.raises(InputError, match="removed_attributes"):
        study("datasets.birds.removed_attributes=[timid, timid]")


def test_images_depend_on_what_lists_and_crops_them_alone() -> None:
    def images(changes: str, dataset: str = "birds") -> str:
        return canonical(study(changes).datasets.images(dataset))

    before = images("")
    assert before == '{"adapter":"xlsa17","source":{"features":"res101.mat"}}'
    for same in ("splits=other.mat", "seed=3", "attribute_names=x.txt", "unseen_classes=y.txt"):
        assert images(f"datasets.birds.source.{same}") == before
    for other in ("features=x.mat", "images=folder", "anchor=there", "boxes=[a.txt]"):
        assert images(f"datasets.birds.source.{other}") != before
    drawn = images("", "creatures")
    assert images("datasets.creatures.source.images_per_class=3", "creatures") != drawn
    assert images("dazle.lr=0.5", "creatures") == drawn


def test_gpus_are_asked_for_unless_the_device_is_the_cpu() -> None:
    gpus = [study(f"compute.device={device}").gpu for device in ("auto", "cuda", "cpu")]
    assert gpus == [1, 1, 0]


def test_an_extraction_asks_for_a_gpu_a_task_and_for_srun_where_it_has_several() -> None:
    four = study("compute.extract_tasks=4")
    assert (four.gpu, four.extract_gpu, four.launcher) == (1, 4, "srun")
    assert study("compute.extract_tasks=4 compute.device=cpu").extract_gpu == 0
    assert (study("").extract_gpu, study("").launcher) == (1, None)


def test_source_files_are_inputs_where_they_exist(tmp_path: Path) -> None:
    (tmp_path / "res101.mat").touch()
    there, absent = study(f"data_root='{tmp_path}'"), study(f"data_root='{tmp_path}/none'")
    assert there.datasets.source_files("birds") == [str(tmp_path / "res101.mat")]
    assert absent.datasets.source_files("birds") == []


def test_the_shipped_configuration_is_valid() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf8"))
    assert list(Study(config).config["datasets"]) == ["demo"]


def test_neither_the_study_nor_the_command_line_imports_torch() -> None:
    code = (
        "import sys, zslpipe.study.study, zslpipe.commands.cli\n"
        f"zslpipe.study.study.Study({GIVEN!r}).targets.all()\n"
        "print(sorted({'torch', 'torchvision', 'timm', 'matplotlib', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_how_an_extractor_computes_is_no_part_of_its_features() -> None:
    def settings(changes: str) -> dict:
        return study(f"extractors.fine.grid=14 {changes}").extractors.settings("fine")

    plain = settings("compute.device=cpu")
    for same in ("extractors.fine.batch_size=8", "extractors.fine.dtype=float32", ""):
        assert settings(f"compute.device=cpu {same}") == plain
    assert settings("compute.device=auto extractors.fine.batch_size=8") == plain
    assert settings("compute.device=auto extractors.fine.dtype=bfloat16") == plain
    # A GPU computes in what somebody chose.
    chosen = settings("compute.device=auto extractors.fine.dtype=float32")
    assert chosen == plain | {"dtype": "float32"}
    how = study("extractors.fine.batch_size=8 extractors.fine.dtype=float32").extractors.how()
    assert how["fine"] == {
        "batch_size": 8,
        "dtype": "float32",
        "features_version": FEATURES_VERSION,
    }


def test_a_run_reads_its_cache_or_its_images() -> None:
    made = study("methods=[dazle,rsan] rsan={} rsan.extractor=fine datasets.birds.methods=[]")
    light = SimpleNamespace(dataset="creatures", run="dazle/default")
    folder = "results/creatures"
    assert made.runs.inputs(light) == {
        "index": f"{folder}/index.h5",
        "words": f"{folder}/words/drawn.h5",
        "features": f"{folder}/features/coarse.h5",
    }
    expected = f"--index {folder}/index.h5 --words {folder}/words/drawn.h5"
    assert made.runs.options(light) == f"{expected} --features {folder}/features/coarse.h5"
    images = SimpleNamespace(dataset="creatures", run="rsan/default")
    found = made.runs.inputs(images)
    assert (found["images"], found["trunk"]) == ([f"{folder}/images"], [f"{folder}/backbone.pt"])
    assert made.runs.options(images).endswith(f"--trunk {folder}/backbone.pt")
    assert (made.runs.threads(light), made.runs.threads(images)) == (2, 8)


def test_methods_that_publish_nothing_for_a_dataset_are_told() -> None:
    assert Study(given()).runs.notes == [
        "config, datasets.creatures.settings_of: eszsl publishes no settings for CUB and starts "
        "from its own defaults"
    ]
    changes = "datasets.creatures.settings_of=FLO datasets.creatures.methods=[dazle]"
    assert Study(given(changes)).runs.notes == [
        "config, datasets.creatures.settings_of: dazle publishes no settings for FLO (it does for "
        "CUB, CUB standard split, SUN, AWA2, DeepFashion) and starts from its own defaults"
    ]
    assert Study(given("datasets.creatures.settings_of=null")).runs.notes == []


def test_files_that_list_images_are_watched_and_others_are_not(tmp_path: Path) -> None:
    for name in ("res101.mat", "att_splits.mat"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, ns=(1, 10**18))
    before = study(f"data_root='{tmp_path}'").datasets.listed("birds")
    os.utime(tmp_path / "att_splits.mat", ns=(1, 10**18 + 1))
    assert study(f"data_root='{tmp_path}'").datasets.listed("birds") == before
    tmp_path.rename(tmp_path.with_name("moved"))
    moved = tmp_path.with_name("moved")
    assert study(f"data_root='{moved}'").datasets.listed("birds") == before
    os.utime(moved / "res101.mat", ns=(1, 10**18 + 1))
    assert study(f"data_root='{moved}'").datasets.listed("birds") != before
    assert study().datasets.listed("creatures") == ""


def test_an_image_folder_is_watched_where_it_is_the_users(tmp_path: Path) -> None:
    """Path, size and time of every file that is no system's; the same wherever the folder lies."""
    pictures = tmp_path / "here/pictures"
    pictures.mkdir(parents=True)
    for name in ("1.png", "2.png"):
        (pictures / name).write_bytes(b"x")
        os.utime(pictures / name, ns=(1, 10**18))
    root = pictures.parent
    shutil.copytree(root, tmp_path / "there")

    def watched(root: Path) -> str:
        folder_fingerprint.cache_clear()
        given = "datasets.birds.source.images=pictures"
        return study(f"data_root='{root}' {given}").datasets.watched("birds")

    first = watched(root)
    assert watched(tmp_path / "there") == watched(root) == first != ""
    (pictures / ".DS_Store").write_bytes(b"x")
    assert watched(root) == first
    seen = {first}
    changes = [
        lambda: (pictures / "3.png").write_bytes(b"x"),
        lambda: os.utime(pictures / "1.png", ns=(1, 10**18 + 1)),
        lambda: (pictures / "2.png").rename(pictures / "4.png"),
        lambda: (pictures / "4.png").unlink(),
        lambda: (pictures / "5.png").symlink_to("nowhere"),
    ]
    for change in changes:
        change()
        seen.add(watched(root))
    assert len(seen) == 1 + len(changes)
    whole = (pictures / "1.png").stat()
    (pictures / "1.png").write_bytes(b"xy")
    os.utime(pictures / "1.png", ns=(1, whole.st_mtime_ns))
    assert watched(root) not in seen
    assert study().datasets.watched("creatures") == ""


def test_a_ranking_is_made_where_three_datasets_have_three_results_in_common() -> None:
    third = "datasets.more={adapter: demo, extractors: [coarse], words: drawn}"
    rebalanced = "eszsl.rebalancing=[none,calibrated_stacking,oracle]"
    wanted = {f"results/tables/ranking.{kind}" for kind in ("csv", "md", "tex")}
    wanted |= {f"results/figures/ranking.{kind}" for kind in ("webp", "pdf")}

    def asked(changes: str) -> bool:
        made = study(changes)
        targets = wanted.intersection(made.targets.all())
        assert targets in (set(), wanted)
        assert (made.targets.ranked() == made.results.metrics) == bool(targets)
        return bool(targets)

    assert not asked("")
    assert not asked(f"{third} {rebalanced}")  # the oracle is no third result
    three = "eszsl.variants={one: {normalisation: none}, two: {normalisation: unit}}"
    assert asked(f"{third} {three}")
    assert not asked(three)  # two datasets


def test_the_papers_datasets_are_ranked_where_they_have_the_same_results() -> None:
    made = Study(yaml.safe_load((ROOT / "workflow/experiments/papers.yaml").read_text("utf8")))
    assert made.targets.ranked() == made.results.metrics
