"""What a job takes: as it took before, else as a calibration measured its parts, else, for light
jobs alone, what such jobs took elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zslpipe.machine.dry_run import DueJob
from zslpipe.machine.stopwatch import Taken
from zslpipe.study.config import Run
from zslpipe.study.declarations import read_method
from zslpipe.study.finished_jobs import configured_run, finished
from zslpipe.study.known_sizes import KnownSizes
from zslpipe.study.made_files import Made, made
from zslpipe.study.measurements import START, Measured, of_extractor, of_run, taken
from zslpipe.study.study import Study
from zslpipe.study.texts import DEMO

# Where a number is from.
MEASURED, CALIBRATED, DEFAULT, UNKNOWN = "measured", "calibrated", "default", "unknown"
# Files of jobs that start torch.
OF_TORCH = (
    *("features", "irrelevant_features", "weights", "validation", "irrelevant"),
    *("attention", "gradcam", "backbone", "pair", "texts", "words"),
)
# And of those, whatever run they are of, the ones that decode images or train step by step too:
# either starts torch's compiler, which nobody uses (measured: 1.5 s of 3.4).
OF_IMAGES = ("features", "irrelevant_features", "backbone", "pair", "gradcam")
# Of jobs that are heavy only on large data, without start (ours: measured on two cores of an EPYC):
# a figure for the screen and for print, the page of all results, tables, rebalancings, other jobs.
SECONDS_OF_A_FIGURE, SECONDS_OF_THE_PAGE, SECONDS_OF_TABLES = 1.5, 4.5, 0.7
SECONDS_OF_REBALANCING, SECONDS_OF_A_FILE, SECONDS_OF_GRADCAM = 1.2, 0.3, 2.2
# Of drawing a picture of the demo, and of a picture in an epoch of its backbone (ours, likewise).
SECONDS_OF_DRAWING, SECONDS_OF_PRETRAINING = 0.0075, 0.0064
PRETRAINING_EPOCHS = 10
# Of a picture of its pair, in all (ours, likewise).
SECONDS_OF_PAIRING = 0.0037
# Of opening a text encoder and of a text (ours: the tower of ViT-B-32, likewise), and of the
# demo's, which has a layer.
SECONDS_OF_AN_ENCODER, SECONDS_OF_A_TEXT, SECONDS_OF_DEMO_TEXTS = 5.0, 0.08, 0.3
# Endings of figures; one has the same name on the screen and in print.
DRAWN = (".webp", ".png", ".pdf")
# What a heavy job's file is called by, as its pattern says.
NAMED = ("run", "extractor", "texts", "words")
# Starts of jobs where none was measured (ours, likewise).
STARTS = {
    "start_images": Taken(3.4, 3.4),
    "start_torch": Taken(1.8, 1.8),
    "start_numpy": Taken(0.4, 0.4),
}


@dataclass(frozen=True)
class JobCost:
    """What a job takes, None where nobody knows, by the clock times the cards that it holds;
    ``source`` says how it is known, ``title`` and ``dataset`` what kind of job it is, ``alone`` the
    seconds of it that its threads do not share.
    """

    job: DueJob
    title: str
    dataset: str
    taken: Taken | None
    source: str
    machine: str = ""
    alone: float = 0.0


class JobCosts:
    """Costs of the jobs of a study."""

    def __init__(self, study: Study, sizes: KnownSizes, measured: Measured, checkout: Path):
        self.study, self.sizes, self.measured = study, sizes, measured
        self.checkout = checkout

    def of(self, job: DueJob) -> JobCost:
        """Return what a job takes."""
        files = [file for file in map(made, job.outputs) if file is not None]
        heavy = [file for file in files if self._is_heavy(file)]
        title, dataset = self._title(job, heavy)
        begun = self._start(heavy)
        before = finished(job, self.study, self.checkout)
        if before is not None:
            held = Taken(before.core, before.wall * max(1, job.gpu))
            return JobCost(job, title, dataset, held, MEASURED, alone=begun.core)
        parts, machines = [], set[str]()
        for file in heavy:
            part, machine = self._part(file)
            if part is None:
                return JobCost(job, title, dataset, None, UNKNOWN)
            parts.append(part)
            machines |= {machine} - {""}
        if not heavy:
            parts.append(_light(job.outputs))
        whole, told = sum(parts, begun), ", ".join(sorted(machines))
        source = CALIBRATED if machines else DEFAULT
        return JobCost(job, title, dataset, whole, source, told, begun.core)

    def _is_heavy(self, file: Made) -> bool:
        """Return whether a file is worth a row of its own: not an ensemble's scores, which are
        means of others.
        """
        if file.kind in ("validation", "irrelevant"):
            return configured_run(self.study, file) is not None
        if file.kind == "features":
            return file.of["extractor"] in self.study.extractors.computed
        if file.kind == "words":
            return file.of["words"] in self.study.texts.encoded_words
        heavy = ("irrelevant_features", "weights", "attention", "gradcam", "texts")
        return file.kind in (*heavy, "backbone", "pair", "images")

    def _title(self, job: DueJob, heavy: list[Made]) -> tuple[str, str]:
        """Return what a job is called and its dataset; light ones by their rule alone."""
        for file in heavy:
            named = [file.of[kind] for kind in NAMED if kind in file.of]
            name = "".join(named[:1]).removesuffix("/default")
            return f"{job.rule} {name}".strip(), file.dataset
        return job.rule, ""

    def _start(self, heavy: list[Made]) -> Taken:
        """Return what the start of a job takes: what is imported is most of it."""
        kind = "start_torch" if any(file.kind in OF_TORCH for file in heavy) else "start_numpy"
        for file in heavy:
            run = configured_run(self.study, file) if "run" in file.of else None
            if file.kind in OF_IMAGES or (run is not None and self._starts_more(file, run)):
                kind = "start_images"
        return taken(self.measured.of(START)[0], kind) or STARTS[kind]

    def _starts_more(self, file: Made, run: Run) -> bool:
        """Return whether a run's file is made from images, or by steps."""
        fits = file.kind in ("weights", "validation") and self.numbers(run)[0].get("fits", False)
        return run.trunk is not None or bool(fits)

    def _part(self, file: Made) -> tuple[Taken | None, str]:
        """Return what making a file takes, without the job's start, and on what kind of machine
        that was measured.
        """
        if file.kind in ("features", "irrelevant_features"):
            return self._extraction(file)
        if file.kind in ("backbone", "pair", "images"):
            return self._of_demo(file), ""
        if file.kind in ("texts", "words"):
            return self._encoding(file), ""
        run = configured_run(self.study, file)
        if file.kind == "gradcam" or run is None:
            return Taken(SECONDS_OF_GRADCAM, SECONDS_OF_GRADCAM), ""
        numbers, machine = self.numbers(run)
        extent = self.sizes.extents[run.dataset]
        trained, tested = extent.splits["trainval"], extent.tested
        validated = extent.splits["train"] + extent.splits["val"]
        irrelevant = self.sizes.irrelevant_images(self.study, run.dataset)
        looked = tested if read_method(run.method).has_attention else tested + trained
        parts: Mapping[str, tuple[str, str, int]] = {
            "weights": ("train", "score", trained + tested),
            "validation": ("validate", "score", validated),
            "irrelevant": ("", "score", irrelevant),
            "attention": ("", "attend", looked),
        }
        once, an_image, images = parts[file.kind]
        each = taken(numbers, an_image)
        whole = taken(numbers, once) if once else Taken()
        if each is None or whole is None:
            return None, ""
        return whole + each.times(images), machine

    def numbers(self, run: Run) -> tuple[Mapping[str, object], str]:
        """Return what was measured of a run, with its validation where that was."""
        for validated in (True, False):
            found = self.measured.of(of_run(self.study, self.sizes, run, validated))
            if found[0]:
                return found
        return {}, ""

    def _extraction(self, file: Made) -> tuple[Taken | None, str]:
        """Return what an extraction takes."""
        images = self.sizes.extents[file.dataset].images
        if file.kind == "irrelevant_features":
            images = self.sizes.irrelevant_images(self.study, file.dataset)
        numbers, machine = self.measured.of(of_extractor(self.study, file.of["extractor"]))
        each = taken(numbers, "image")
        return (None if each is None else each.times(images)), machine

    def _encoding(self, file: Made) -> Taken:
        """Return what an encoder of texts takes, of classes or attributes."""
        entry = self.study.config[file.kind][file.of[file.kind]]
        extent = self.sizes.extents[file.dataset]
        seconds = SECONDS_OF_DEMO_TEXTS
        if entry["encoder"] != DEMO:
            each = max(1, len(entry.get("templates") or ()))
            texts = extent.attributes if file.kind == "words" else each * extent.classes
            seconds = SECONDS_OF_AN_ENCODER + SECONDS_OF_A_TEXT * texts
        return Taken(seconds, seconds)

    def _of_demo(self, file: Made) -> Taken:
        """Return what the demo's pictures, its backbone and its pair take."""
        source = self.study.config["datasets"][file.dataset]["source"]
        auxiliary = source["auxiliary_classes"] * source["auxiliary_images_per_class"]
        if file.kind == "backbone":
            seconds = SECONDS_OF_PRETRAINING * PRETRAINING_EPOCHS * auxiliary
        elif file.kind == "pair":
            seconds = SECONDS_OF_PAIRING * auxiliary
        else:
            drawn = self.sizes.extents[file.dataset].images + auxiliary
            seconds = SECONDS_OF_DRAWING * drawn
        return Taken(seconds, seconds)


def _light(outputs: tuple[str, ...]) -> Taken:
    """Return what a light job takes beside its start."""
    figures = {path.rpartition(".")[0] for path in outputs if path.endswith(DRAWN)}
    seconds = SECONDS_OF_A_FIGURE * len(figures)
    if any(path.endswith(".html") for path in outputs):
        seconds += SECONDS_OF_THE_PAGE
    elif any(path.endswith(".tex") for path in outputs):
        seconds += SECONDS_OF_TABLES
    elif any(file is not None and file.kind == "rebalanced_scores" for file in map(made, outputs)):
        seconds += SECONDS_OF_REBALANCING
    seconds = seconds or SECONDS_OF_A_FILE
    return Taken(seconds, seconds)
