"""Memory and time that jobs ask for, against sums written out here and what was measured."""

import math
import shutil
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.configuration import given
from tests.made_up.miniature import write_miniature
from tests.made_up.places import ROOT
from zslpipe.datasets.adapters import demo
from zslpipe.datasets.creatures import ATTRIBUTES
from zslpipe.study import expected_counts
from zslpipe.study.expected_counts import UNKNOWN, Counts, counts_of
from zslpipe.study.study import Study


def of(run: str, dataset: str = "creatures", **more: str) -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, run=run, seed="0", **more)


@pytest.fixture(autouse=True)
def _nothing_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def study(device: str = "cpu", images: int = 50) -> Study:
    source = f"datasets.creatures.source={{'images_per_class':{images}}}"
    return Study(given(f"compute.device={device} {source}"))


def test_the_demo_is_known_before_it_is_drawn():
    classes = len(demo.FAMILIES) * len(demo.HABITATS)
    assert (classes, len(ATTRIBUTES)) == (
        expected_counts.DEMO_CLASSES,
        expected_counts.DEMO_ATTRIBUTES,
    )
    found = counts_of("creatures", study().config["datasets"]["creatures"])
    assert found == Counts(classes * 50, classes, len(ATTRIBUTES))


def test_sizes_are_the_index_s_or_the_published_ones(tmp_path):
    entry = {"adapter": "xlsa17", "source": {"known_as": "CUB"}}
    assert counts_of("birds", entry) == Counts(11788, 200, 312)
    assert counts_of("birds", {**entry, "source": {}, "settings_of": "SUN"}).classes == 717
    fashion = counts_of("DeepFashion", {**entry, "source": {}})
    assert fashion == Counts(204_885 + 84_337, 46, 1000)
    assert counts_of("mine", {**entry, "source": {}}) == UNKNOWN
    (tmp_path / "results" / "birds").mkdir(parents=True)
    write_miniature(tmp_path / "results" / "birds")
    assert counts_of("birds", entry) == Counts(6 * 14 + 2 * 4, 8, 5)
    (tmp_path / "results" / "birds" / "index.h5").write_bytes(b"cut off")
    assert counts_of("birds", entry) == Counts(11788, 200, 312)


def test_regions_in_memory_are_asked_for_twice():
    """A job holds what fits into half of its free memory."""
    found = study().resources
    images, width, cells = 40 * 50, 192, 7**2
    held = images * cells * width * 2
    head = 2 * 256 * 34 * (width + cells) * 4
    scores = 3 * images * 40 * 4
    expected = (350 + 850) + 600 + (2 * held + head + scores) / 1e6
    assert found.training(of("dazle/default"), 1) == math.ceil(expected)
    assert found.training(of("dazle/default"), 3) == 3 * math.ceil(expected)
    larger = study(images=20_000).resources  # 15 GB are held
    assert larger.training(of("dazle/default"), 1) > 30_000
    largest = study(images=40_000).resources  # 30 GB are not
    assert largest.training(of("dazle/default"), 1) < 3000


def test_on_a_gpu_the_host_holds_no_features_but_a_gpu_s_libraries():
    run = of("dazle/default")
    on_gpu = study("auto").resources.training(run, 1)
    assert on_gpu - study().resources.training(run, 1) == pytest.approx(3000 - 75, abs=2)
    assert study("cuda", 20_000).resources.training(run, 1) < on_gpu + 500


def test_a_feature_file_says_how_wide_its_features_are(tmp_path):
    found = study().resources
    before = found.training(of("eszsl/default", "birds"), 1)
    folder = tmp_path / "results" / "birds" / "features"
    folder.mkdir(parents=True)
    paths = write_miniature(tmp_path)
    shutil.copy(paths["features"], folder / "own.h5")
    # UNKNOWN images, 2048 wide at first, then 12: eight copies in float32
    saved = 8 * UNKNOWN.images * (2048 - 12) * 4 / 1e6
    assert before - found.training(of("eszsl/default", "birds"), 1) == pytest.approx(saved, abs=1)


# MB at the peak that Snakemake measured of the demo (max_rss of results/benchmarks, two cores, the
# largest of two seeds), and the two Snakemakes of a job of SLURM beside it.
MEASURED = {
    "dazle/default": 852,
    "eszsl/default": 757,
    "mlis/default": 833,
    "rsan/default": 932,
    "rsan/cached": 842,
    "sgma/default": 1026,
    "crafting/default": 752,
    "crafting/fine_tuned": 952,
}
SNAKEMAKES = 2 * 165


@pytest.fixture
def demo_study() -> Study:
    return Study(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf8")))


@pytest.mark.parametrize("run", MEASURED)
def test_a_training_is_given_what_it_takes_and_at_most_twice(demo_study, run):
    taken = MEASURED[run] + SNAKEMAKES
    assert taken <= demo_study.resources.training(of(run, "demo"), 1) <= 2 * taken


def test_extraction_and_pretraining_are_given_what_they_take(demo_study):
    found = demo_study.resources
    wildcards = SimpleNamespace(dataset="demo", extractor="demo_7x7")
    assert 1268 + SNAKEMAKES <= found.extraction(wildcards, 1) <= 2 * (1268 + SNAKEMAKES)
    assert 958 + SNAKEMAKES <= found.pretraining(wildcards, 1) <= 2 * (958 + SNAKEMAKES)
    assert 807 + SNAKEMAKES <= found.irrelevant(of("crafting/default", "demo"), 1) <= 2400


def test_time_is_a_method_s_kind_times_the_attempt(demo_study):
    found = demo_study.resources
    assert found.training_minutes(of("dazle/default", "demo"), 1) == 240
    assert found.training_minutes(of("rsan/default", "demo"), 2) == 2 * 1440
    assert found.scoring_minutes(of("dazle/default", "demo"), 1) == 60
    assert found.scoring_minutes(of("sgma/default", "demo"), 1) == 240
    wildcards = SimpleNamespace(dataset="demo", extractor="demo_7x7")
    assert 120 < found.extraction_minutes(wildcards, 1) < 130
    assert found.extraction_minutes(wildcards, 2) == 2 * found.extraction_minutes(wildcards, 1)


def test_memory_is_times_the_attempt_in_every_job(demo_study):
    found = demo_study.resources
    cached, network = of("dazle/default", "demo"), of("rsan/default", "demo")
    features = SimpleNamespace(dataset="demo", extractor="demo_7x7")
    asked = [
        (found.training, cached),
        (found.training, network),
        (found.irrelevant, of("crafting/default", "demo")),
        (found.extraction, features),
        (found.pretraining, features),
        (found.reading, features),
        (found.scores, cached),
    ]
    for ask, wildcards in asked:
        assert [ask(wildcards, attempt) for attempt in (2, 3)] == [
            2 * ask(wildcards, 1),
            3 * ask(wildcards, 1),
        ], ask


def test_an_extraction_asks_for_the_memory_of_all_its_tasks():
    wildcards = SimpleNamespace(dataset="creatures", extractor="fine")
    four = Study(given("compute.device=cpu compute.extract_tasks=4")).resources
    one = Study(given("compute.device=cpu")).resources
    assert four.extraction(wildcards, 1) == 4 * one.extraction(wildcards, 1)


def test_score_matrices_are_held_eight_times_in_float64(demo_study):
    images = 40 * demo_study.config["datasets"]["demo"]["source"]["images_per_class"]
    expected = (350 + 300) + 8 * images * 40 * 8 / 1e6
    assert demo_study.resources.scores(of("dazle/default", "demo"), 1) == math.ceil(expected)


def test_what_is_read_decides_of_jobs_without_torch(tmp_path):
    (tmp_path / "words.txt").write_bytes(bytes(50_000_000))
    config = given("data_root=. words.drawn={'kind':'glove','file':'words.txt'}")
    found = Study(config).resources
    assert found.word_vectors(SimpleNamespace(words="drawn"), 2) == 2 * (350 + 300 + 150)
    assert found.word_vectors(SimpleNamespace(words="other"), 1) == 350 + 300
