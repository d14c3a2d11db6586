"""A plan's numbers: bytes against files that are written, seconds against sums done by hand."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import yaml

from tests.made_up.checkouts import CONFIG
from zslpipe.formats.extents import Extent, published_extent
from zslpipe.formats.features import create_slabs
from zslpipe.formats.scores import ScoreMatrix, write_scores
from zslpipe.machine.dry_run import DueJob
from zslpipe.machine.errors import InputError
from zslpipe.machine.hardware import has_card, machine_kind
from zslpipe.machine.stopwatch import Taken
from zslpipe.study.file_sizes import FileSizes
from zslpipe.study.finished_jobs import epochs_ratio, read_benchmark
from zslpipe.study.given import as_arguments, given_configuration
from zslpipe.study.job_costs import (
    SECONDS_OF_A_FIGURE,
    SECONDS_OF_A_FILE,
    SECONDS_OF_A_TEXT,
    SECONDS_OF_AN_ENCODER,
    SECONDS_OF_DEMO_TEXTS,
    JobCost,
    JobCosts,
)
from zslpipe.study.known_sizes import KnownSizes
from zslpipe.study.made_files import made
from zslpipe.study.measurements import START, Measured, of_extractor, of_run
from zslpipe.study.plan import planned, wanted
from zslpipe.study.plan_text import plan_text, size_text
from zslpipe.study.schedule import wall_seconds
from zslpipe.study.study import Study

HERE, ELSEWHERE = "this processor, 2 cores", "another, 8 cores, NVIDIA H100"
EXTENT = Extent(
    images=500,
    splits={"trainval": 300, "test_seen": 80, "test_unseen": 120, "train": 200, "val": 100},
    seen=6,
    unseen=2,
    validation=2,
    attributes=34,
    vectors={"att": 34},
    told="made up",
)
RUN = "results/demo/runs/dazle/default/seed0"
FEATURES = "results/demo/features/demo_7x7.h5"


def configured(**changed) -> Study:
    return Study({**yaml.safe_load(CONFIG), **changed})


@pytest.fixture(scope="module")
def study() -> Study:
    return configured()


@pytest.fixture
def sizes() -> KnownSizes:
    return KnownSizes({"demo": EXTENT}, {}, {"demo_7x7": 192})


def job(*outputs: str, **changed) -> DueJob:
    return DueJob(**{"rule": "train", "inputs": (), "outputs": outputs, "wildcards": {}, **changed})


TRAINING = job(f"{RUN}/weights.pt", f"{RUN}/scores.h5", f"{RUN}/history.csv")
EXTRACTION = job(FEATURES, rule="extract")


# What a path is


@pytest.mark.parametrize(
    ("path", "kind", "of"),
    [
        (FEATURES, "features", {"dataset": "demo", "extractor": "demo_7x7"}),
        (
            "results/d/features/e.f.irrelevant.h5",
            "irrelevant_features",
            {"dataset": "d", "extractor": "e.f"},
        ),
        (f"{RUN}/scores.h5", "scores", {"dataset": "demo", "run": "dazle/default", "seed": "0"}),
        (
            f"{RUN}/cosmo/scores.h5",
            "rebalanced_scores",
            {"dataset": "demo", "run": "dazle/default", "seed": "0", "rebalancing": "cosmo"},
        ),
        ("results/d/index.h5", "index", {"dataset": "d"}),
    ],
)
def test_a_path_tells_what_it_is(path: str, kind: str, of: dict[str, str]) -> None:
    found = made(path)
    assert found is not None
    assert (found.kind, dict(found.of)) == (kind, of)


def test_a_figure_and_a_table_are_nothing_of_their_own() -> None:
    assert made("results/figures/demo.curves.webp") is None
    assert made("results/tables/main.csv") is None


# Bytes


def test_features_have_the_bytes_of_a_file_that_is_written(tmp_path, study, sizes) -> None:
    shapes = {
        "regions": ((500, 49, 192), "float16"),
        "pooled": ((500, 192), "float32"),
        "contents": ((500,), "uint64"),
    }
    create_slabs(tmp_path / "f.h5", shapes, {})
    written = (tmp_path / "f.h5").stat().st_size
    assert FileSizes(study, sizes, {}).of(FEATURES) == pytest.approx(written, rel=0.01)


def test_scores_have_the_bytes_of_a_file_that_is_written(tmp_path, study, sizes) -> None:
    counts = {split: EXTENT.splits[split] for split in ("trainval", "test_seen", "test_unseen")}
    seen = np.arange(8) < 6
    of_split = {"trainval": 0, "test_seen": 1, "test_unseen": 7}
    matrix = ScoreMatrix(
        **dict.fromkeys(("dataset", "method", "variant", "extractor", "semantics"), "x"),
        words="",
        selection="last epoch",
        protocol="own split",
        seed=0,
        classes=tuple(f"class {number}" for number in range(8)),
        seen=seen,
        scores={split: np.random.default_rng(0).random((n, 8)) for split, n in counts.items()},
        labels={split: np.full(n, of_split[split]) for split, n in counts.items()},
        images=_rows(counts),
    )
    write_scores(tmp_path / "s.h5", matrix)
    written = (tmp_path / "s.h5").stat().st_size
    assert FileSizes(study, sizes, {}).of(f"{RUN}/scores.h5") == pytest.approx(written, rel=0.2)


def _rows(counts: dict[str, int]) -> dict[str, np.ndarray]:
    rows, start = {}, 0
    for split, count in counts.items():
        rows[split] = np.arange(start, start + count)
        start += count
    return rows


def test_what_nothing_tells_has_no_bytes(study, sizes) -> None:
    unknown = FileSizes(study, replace(sizes, widths={}), {})
    assert unknown.of(FEATURES) is None
    assert unknown.of(f"{RUN}/weights.pt") is None
    known = FileSizes(study, sizes, {("demo", "dazle/default"): 1_000_000})
    assert known.of(f"{RUN}/weights.pt") == pytest.approx(1_000_000, rel=0.02)


def test_published_sizes_are_those_of_the_papers() -> None:
    cub = published_extent("CUB")
    assert cub is not None
    assert (cub.images, cub.seen, cub.unseen, cub.attributes) == (11788, 150, 50, 312)
    assert (cub.splits["trainval"], cub.tested) == (7057, 1764 + 2967)
    assert cub.splits["train"] + cub.splits["val"] == 7057
    fashion = published_extent("DeepFashion")
    assert fashion is not None
    assert (fashion.images, fashion.classes) == (204_885 + 84_337, 46)
    assert (fashion.validation, fashion.seen) == (6, 30 + 6)  # "30 (6) / 10"
    assert published_extent("cub127") is None


# Seconds


def rates(study: Study, sizes: KnownSizes, kind: str = HERE, validated: bool = False) -> Measured:
    """Return numbers of the extractor and of DAZLE: 20 s a start where images are decoded, 10 s one
    with torch, 0.5 s an image, 100 s of steps, 0.1 s a scored image.
    """
    run = of_run(study, sizes, study.runs.all["demo", "dazle", "default"], validated)
    assert run is not None
    numbers = {
        START.key: {
            "start_images": seconds(20),
            "start_torch": seconds(10),
            "start_numpy": seconds(1),
        },
        of_extractor(study, "demo_7x7").key: {"image": seconds(0.5), "width": 192},
        run.key: {"train": seconds(100), "score": seconds(0.1), "attend": seconds(0.2)},
    }
    numbers[run.key] |= {"weights": 1000, "validate": seconds(70)}
    return Measured({kind: numbers}, HERE)


def seconds(core: float) -> dict[str, float]:
    return {"core": core, "wall": 2 * core}


def test_a_training_is_start_steps_and_scores(study, sizes, tmp_path) -> None:
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(TRAINING)
    assert cost.taken == Taken(10 + 100 + 0.1 * 500, 2 * (10 + 100 + 0.1 * 500))
    told = (cost.title, cost.dataset, cost.source, cost.machine)
    assert told == ("train dazle", "demo", "calibrated", HERE)


def test_an_extractor_that_a_method_alone_names_is_measured_on_pictures() -> None:
    other = {"backbone": "demo", "size": 64, "grid": 4}
    extractors = {**yaml.safe_load(CONFIG)["extractors"], "other": other}
    named = configured(extractors=extractors, eszsl={"extractor": "other"})
    assert of_extractor(named, "other").dataset == "demo"
    assert of_extractor(named, "demo_7x7").dataset == "demo"


def test_an_extraction_is_start_and_images(study, sizes, tmp_path) -> None:
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(EXTRACTION)
    assert cost.taken is not None
    assert cost.taken.core == 20 + 0.5 * 500


def test_maps_are_of_all_test_images(study, sizes, tmp_path) -> None:
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(job(f"{RUN}/attention.h5"))
    assert cost.taken is not None
    assert cost.taken.core == pytest.approx(10 + 0.2 * 200)


def test_a_validation_scores_its_own_images(study, sizes, tmp_path) -> None:
    measured = rates(study, sizes, validated=True)
    cost = JobCosts(study, sizes, measured, tmp_path).of(job(f"{RUN}/validation.h5"))
    assert cost.taken is not None
    assert cost.taken.core == pytest.approx(10 + 70 + 0.1 * 300)


def test_one_job_that_makes_several_files_starts_once(study, sizes, tmp_path) -> None:
    both = job(
        f"{RUN}/weights.pt", f"{RUN}/scores.h5", f"{RUN}/metrics.json", f"{RUN}/attention.h5"
    )
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(both)
    assert cost.taken is not None
    assert cost.taken.core == pytest.approx(10 + 100 + 50 + 40)


def test_a_run_from_images_starts_as_an_extraction_does(study, sizes, tmp_path) -> None:
    run = study.runs.all["demo", "rsan", "default"]
    measured = rates(study, sizes)
    numbers = measured.rates[HERE]
    numbers[of_run(study, sizes, run, False).key] = {"score": seconds(0.1), "train": seconds(100)}
    training = job("results/demo/runs/rsan/default/seed0/weights.pt")
    found = JobCosts(study, sizes, measured, tmp_path).of(training)
    assert (found.taken.core, found.alone) == (20 + 100 + 0.1 * 500, 20)


def test_a_training_by_steps_starts_as_an_extraction_does(study, sizes, tmp_path) -> None:
    """An optimiser imports what torchvision does; what only scores makes none."""
    measured = rates(study, sizes)
    key = of_run(study, sizes, study.runs.all["demo", "dazle", "default"], False).key
    measured.rates[HERE][key]["fits"] = True
    costs = JobCosts(study, sizes, measured, tmp_path)
    assert costs.of(TRAINING).alone == 20
    assert costs.of(job(f"{RUN}/attention.h5")).alone == 10


def test_a_job_draws_each_of_its_figures(study, sizes, tmp_path) -> None:
    costs = JobCosts(study, sizes, rates(study, sizes), tmp_path)
    names = [f"results/figures/demo.{name}" for name in ("a.losses", "a.maps", "b.losses")]
    drawn = job(
        *(f"{name}.{end}" for end in ("webp", "pdf") for name in names), rule="figures_demo"
    )
    assert costs.of(drawn).taken.core == pytest.approx(1 + 3 * SECONDS_OF_A_FIGURE)
    assert costs.of(job("results/demo/a.json")).taken.core == pytest.approx(1 + SECONDS_OF_A_FILE)


def test_texts_are_encoded_by_a_job_of_their_own_whose_card_is_no_other_s(sizes, tmp_path) -> None:
    """In the row of all other jobs they would lend their card to tables and figures."""
    texts = {
        "small": {"encoder": "demo", "templates": ["a {class}"]},
        "large": {
            "encoder": "open_clip/ViT-B-32",
            "weights": "absent.pt",
            "templates": ["a {class}", "one {class}"],
        },
    }
    study = configured(texts=texts)
    jobs = [job(f"results/demo/texts/{name}.h5", rule="texts", gpu=1) for name in texts]
    jobs += [job("results/tables/main.csv", rule="tables")] * 3
    plan = planned(study, jobs, sizes, rates(study, sizes), tmp_path, 1, 10**9)
    wall = {row.title: row.taken.wall for row in plan.jobs}
    assert wall["texts small"] == pytest.approx(20 + SECONDS_OF_DEMO_TEXTS)  # 10 s, twice by clock
    encoded = SECONDS_OF_AN_ENCODER + SECONDS_OF_A_TEXT * 2 * 8
    assert wall["texts large"] == pytest.approx(20 + encoded)
    assert plan.gpu_seconds == pytest.approx(wall["texts small"] + wall["texts large"])
    assert {row.title: row.gpu for row in plan.jobs}["other jobs"] == 0


# Seconds beside a start of 1 s with numpy, 10 s with torch, 20 s where images are decoded; 16
# auxiliary pictures, 500 of the dataset, 34 attributes.
OTHERS = {
    "results/report/index.html": 1 + 4.5,
    "results/tables/main.csv results/tables/main.tex": 1 + 0.7,
    f"{RUN}/cosmo/scores.h5 {RUN}/cosmo/metrics.json": 1 + 1.2,
    "results/demo/index.h5": 1 + 0.3,
    "results/demo/words/random.h5": 1 + 0.3,
    "results/demo/words/phrases.h5": 10 + 5.0 + 0.08 * 34,
    "results/demo/backbone.pt": 20 + 0.0064 * 10 * 16,
    "results/demo/pair.pt": 20 + 0.0037 * 16,
    "results/demo/images": 1 + 0.0075 * (500 + 16),
    f"{RUN}/gradcam.h5": 20 + 2.2,
}


@pytest.mark.parametrize("outputs", OTHERS)
def test_jobs_that_no_calibration_measures_count_as_they_took_elsewhere(
    outputs, sizes, tmp_path
) -> None:
    phrases = {"kind": "text", "encoder": "open_clip/ViT-B-32", "weights": "absent.pt"}
    study = configured(words={"random": {"kind": "random", "dimension": 8}, "phrases": phrases})
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(job(*outputs.split()))
    assert cost.taken is not None
    assert cost.taken.core == pytest.approx(OTHERS[outputs])


def test_small_files_may_be_most_of_the_space(study, sizes, tmp_path) -> None:
    tables = job("results/tables/main.csv", rule="tables")
    plan = planned(study, [tables], sizes, rates(study, sizes), tmp_path, 1, 10**6)
    lines = plan_text(plan).splitlines()
    assert lines[-2:] == ["most time: other jobs, 100%", "most space: other files, 100%"]


def test_what_was_not_measured_is_not_known(study, sizes, tmp_path) -> None:
    costs = JobCosts(study, sizes, Measured({}, HERE), tmp_path)
    assert costs.of(TRAINING).taken is None
    assert costs.of(EXTRACTION).source == "unknown"
    light = costs.of(job("results/tables/main.csv", rule="tables"))
    assert (light.source, light.dataset) == ("default", "")


def test_other_settings_are_measured_again(study, sizes) -> None:
    measured = rates(study, sizes)
    section = {**yaml.safe_load(CONFIG)["dazle"], "epochs": 3}
    changed = configured(dazle=section)
    key = ("demo", "dazle", "default")
    assert measured.of(of_run(study, sizes, study.runs.all[key], False))[1] == HERE
    assert measured.of(of_run(changed, sizes, changed.runs.all[key], False)) == ({}, "")
    assert measured.of(of_extractor(changed, "demo_7x7"))[1] == HERE


def test_another_machine_s_numbers_do_and_are_told(study, sizes, tmp_path) -> None:
    measured = rates(study, sizes, ELSEWHERE)
    assert JobCosts(study, sizes, measured, tmp_path).of(TRAINING).machine == ELSEWHERE
    assert len(measured.lacking(wanted(study, [TRAINING], sizes))) == 3
    plan = planned(study, [TRAINING], sizes, measured, tmp_path, 1, 10**9)
    assert f"measured on another machine: {ELSEWHERE}" in plan_text(plan)


def test_a_calibration_is_asked_for_what_is_due(study, sizes) -> None:
    asked = wanted(study, [TRAINING], sizes)
    assert [one.name for one in asked] == ["starts of jobs", "demo_7x7", "demo/dazle/default"]
    unknown = replace(sizes, widths={})
    assert [one.name for one in wanted(study, [TRAINING], unknown)] == [
        "starts of jobs",
        "demo_7x7",
    ]
    again = wanted(study, [TRAINING, job(f"{RUN}/validation.h5")], sizes)
    assert again[-1].asked["validated"] is True


# Finished jobs


def benchmark(path, wall: float, core: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{wall}\t0:00:01\t10\t{core}\n")


@pytest.mark.parametrize(
    ("wall", "core", "expected"),
    [(10.0, 8.0, 8.0), (10.3, 8.0, 8.0 * 10.3 / 10), (60.5, 45.5, 60.5), (31.0, 15.5, 31.0)],
)
def test_processor_time_after_snakemake_s_last_look_is_made_up_for(
    tmp_path, wall: float, core: float, expected: float
) -> None:
    benchmark(tmp_path / "b.tsv", wall, core)
    found = read_benchmark(tmp_path / "b.tsv")
    assert found is not None
    assert (found.core, found.wall) == (pytest.approx(expected), wall)


@pytest.mark.parametrize("text", ["", "s\tcpu_time\n", "s\tcpu_time\n0.2\tNA\n"])
def test_a_benchmark_that_says_nothing_is_none(tmp_path, text: str) -> None:
    (tmp_path / "b.tsv").write_text(text)
    assert read_benchmark(tmp_path / "b.tsv") is None


def test_a_run_that_was_finished_is_better_than_a_rehearsal(study, sizes, tmp_path) -> None:
    folder = "results/benchmarks/train/demo/dazle/default"
    for seed, core in enumerate((20.0, 30.0)):
        benchmark(tmp_path / folder / f"seed{seed}.tsv", 10.0, core)
    due = replace(TRAINING, benchmark=f"{folder}/seed7.tsv")
    cost = JobCosts(study, sizes, rates(study, sizes), tmp_path).of(due)
    assert (cost.taken, cost.source) == (Taken(25.0, 10.0), "measured")


def test_a_finished_job_held_all_of_its_cards(study, sizes, tmp_path) -> None:
    benchmark(tmp_path / "results/benchmarks/extract/demo/demo_7x7.tsv", 10.0, 20.0)
    name = "results/benchmarks/extract/demo/demo_7x7.tsv"
    due = replace(EXTRACTION, benchmark=name, gpu=4)
    plan = planned(study, [due], sizes, rates(study, sizes), tmp_path, 1, 10**9)
    assert (plan.gpu_seconds, plan.core_seconds) == (40.0, 20.0)


def test_a_finished_run_counts_by_its_epochs_and_not_where_more_has_changed(
    study, sizes, tmp_path
) -> None:
    run = study.runs.all["demo", "dazle", "default"]
    folder = "results/benchmarks/train/demo/dazle/default"
    benchmark(tmp_path / folder / "seed0.tsv", 10.0, 20.0)
    scores = tmp_path / RUN / "scores.h5"
    scores.parent.mkdir(parents=True)
    due = replace(TRAINING, benchmark=f"{folder}/seed0.tsv")
    costs = JobCosts(study, sizes, Measured({}, HERE), tmp_path)
    for changed, expected in (({"epochs": 1}, 40.0), ({}, 20.0), ({"batch_size": 9}, None)):
        stored = {**run.slice, "settings": {**run.settings, **changed}}
        with h5py.File(scores, "w") as file:
            file.attrs["run"] = json.dumps(stored)
        found = costs.of(due).taken
        assert (found.core if found else None) == expected
    assert epochs_ratio(run, {}) is None


# Together


def cost_of(outputs: str, core: float, inputs: str = "", threads: int = 1, gpu: int = 0) -> JobCost:
    files = tuple(inputs.split())
    made_by = job(*outputs.split(), inputs=files, threads=threads, gpu=gpu)
    return JobCost(made_by, outputs, "", Taken(core, core), "calibrated")


@pytest.mark.parametrize(
    ("jobs", "cores", "expected"),
    [
        ([("a", 3.0), ("b", 4.0), ("c", 5.0)], 1, 12.0),
        ([("a", 3.0), ("b", 4.0), ("c", 5.0)], 2, 7.0),
        ([("a", 3.0), ("b", 4.0), ("c", 5.0)], 8, 5.0),
        ([("a", 3.0), ("b", 4.0, "a"), ("c", 5.0)], 2, 7.0),
        ([("a", 8.0, "", 2), ("b", 6.0)], 2, 10.0),  # 8 s of two processors, then 6 s
        ([("a", 8.0, "", 4)], 2, 4.0),  # it gets what there is
        ([("a", 3.0, "", 1, 1), ("b", 4.0, "", 1, 1), ("c", 5.0)], 4, 7.0),  # one card
        # b waits for both cores, and c goes before it
        ([("a", 6.0), ("b", 8.0, "", 2), ("c", 5.0)], 2, 10.0),
        ([], 2, 0.0),
    ],
)
def test_jobs_share_cores_and_wait_for_their_inputs(jobs, cores: int, expected: float) -> None:
    costs = [cost_of(*one) for one in jobs]
    assert wall_seconds(costs, cores, cards=1) == pytest.approx(expected)


def test_threads_do_not_share_a_start() -> None:
    cost = replace(cost_of("a", 13.0, threads=4), alone=3.0)
    assert wall_seconds([cost], 4, cards=1) == 3 + 10 / 4
    assert wall_seconds([cost], 2, cards=1) == 3 + 10 / 2
    assert wall_seconds([replace(cost, alone=20.0)], 4, cards=1) == 13.0


def simulated(costs: list[JobCost], cores: int) -> float:
    """Return the seconds that jobs take: whenever some have ended, those that may start do, in the
    order of the longest way to the end.
    """

    def way(cost: JobCost) -> float:
        behind = [one for one in costs if set(cost.job.outputs) & set(one.job.inputs)]
        return cost.taken.core + max(map(way, behind), default=0.0)

    order = sorted(costs, key=way, reverse=True)
    left = {cost.title: cost.taken.core for cost in costs}
    working: list[JobCost] = []
    done: set[str] = set()
    clock = 0.0
    while len(done) < len(costs):
        for cost in order:
            fits = sum(one.job.threads for one in working) + cost.job.threads <= cores
            fits = fits and sum(one.job.gpu for one in working) + cost.job.gpu <= 1
            begun = cost in working or cost.title in done
            if set(cost.job.inputs) <= done and fits and not begun:
                working.append(cost)
        paces = {one.title: 1 if one.job.gpu else one.job.threads for one in working}
        step = min(left[title] / pace for title, pace in paces.items())
        clock += step
        for title, pace in paces.items():
            left[title] -= step * pace
        ended = {title for title in paces if left[title] < 1e-9}
        working = [one for one in working if one.title not in ended]
        done |= ended
    return clock


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_the_one_of_plain_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cores, costs = int(rng.integers(1, 5)), []
    for number in range(25):
        threads = int(rng.integers(1, cores + 1))
        before = rng.choice(number, size=min(number, int(rng.integers(0, 3))), replace=False)
        inputs = " ".join(f"f{one}" for one in before)
        seconds, card = 30 * float(rng.random()), int(rng.random() < 0.2)
        costs.append(cost_of(f"f{number}", seconds, inputs, threads, card))
    assert wall_seconds(costs, cores, cards=1) == pytest.approx(simulated(costs, cores))


def test_a_plan_tells_jobs_bytes_and_what_costs_most(study, sizes, tmp_path) -> None:
    other = job("results/demo/runs/eszsl/default/seed0/weights.pt")
    tables = job("results/tables/main.csv", "results/tables/main.md", rule="tables")
    jobs = [EXTRACTION, TRAINING, tables]
    plan = planned(study, jobs, sizes, rates(study, sizes), tmp_path, 1, 10**6)
    assert (plan.count, plan.unknown) == (3, ())
    assert plan.core_seconds == pytest.approx(270 + 160 + 1.3)
    assert plan.wall == pytest.approx(plan.core_seconds)
    text = plan_text(plan)
    assert "demo: 500 images, 8 classes (made up)" in text
    assert "most time: extract demo_7x7 (demo), 63%; less by a smaller network" in text
    assert "most space: features demo_7x7 (demo), 99%" in text
    assert "IT DOES NOT FIT" in text
    told = plan.as_json()
    assert told["core_seconds"] == plan.core_seconds
    assert sum(row["bytes"] for row in told["files"]) == told["bytes"] == plan.size
    lacking = planned(study, [*jobs, other], sizes, rates(study, sizes), tmp_path, 1, 10**9)
    assert lacking.unknown == ("train eszsl",)
    assert "at least" in plan_text(lacking)
    assert "zslpipe plan --calibrate measures it" in plan_text(lacking)
    assert "IT DOES NOT FIT" not in plan_text(lacking)


def test_hours_of_a_card_are_those_of_the_clock(study, sizes, tmp_path) -> None:
    due = replace(TRAINING, gpu=1)
    plan = planned(study, [due], sizes, rates(study, sizes, ELSEWHERE), tmp_path, 4, 10**9)
    assert plan.gpu_seconds == pytest.approx(2 * 160)
    assert plan.wall == pytest.approx(2 * 160)
    assert plan.on_card
    without = planned(study, [due], sizes, rates(study, sizes), tmp_path, 4, 10**9)
    assert "calibrate on a machine that has the GPU" in plan_text(without)


def test_nothing_due_is_told(study, sizes, tmp_path) -> None:
    plan = planned(study, [], sizes, Measured({}, HERE), tmp_path, 1, 1)
    assert plan_text(plan).startswith("nothing is due")


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 B"), (4_100, "4 kB"), (39.2e6, "39 MB"), (3.44e9, "3.4 GB")]
)
def test_bytes_as_people_say_them(size: float, text: str) -> None:
    assert size_text(size) == text


# The configuration, the machine


def test_the_configuration_is_put_together_as_snakemake_does(tmp_path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("seeds: [0]\ndazle: {epochs: 2, lr: 0.1}\n")
    second.write_text("dazle: {epochs: 5}\n")
    assignments = ['set="seeds=[1]"', "data_root=x"]
    found = given_configuration(tmp_path, [first, second], assignments)
    assert found == {
        "seeds": [0],
        "dazle": {"epochs": 5, "lr": 0.1},
        "set": "seeds=[1]",
        "data_root": "x",
    }
    arguments = as_arguments([first, second], assignments)
    assert arguments == ["--configfile", str(first), str(second), "--config", *assignments]
    assert as_arguments([], []) == []
    (tmp_path / "config.yaml").write_text("seeds: [3]\n")
    assert given_configuration(tmp_path, [], []) == {"seeds": [3]}
    with pytest.raises(InputError, match="not name=value"):
        given_configuration(tmp_path, [first], ["dazle"])


def test_a_kind_of_machine_is_its_processor_and_cards(tmp_path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Xeon Gold\n")
    assert machine_kind(tmp_path).startswith("Xeon Gold, ")
    assert not has_card(machine_kind(tmp_path))
    card = tmp_path / "driver" / "nvidia" / "gpus" / "0000"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA H100\nIRQ: 5\n")
    assert machine_kind(tmp_path).endswith(" cores, NVIDIA H100")
    assert has_card(machine_kind(tmp_path))
