"""What a configuration will make and take, told before anything runs."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslpipe.commands.inputs import INPUT_FILE, module_named
from zslpipe.machine.errors import InputError

if TYPE_CHECKING:
    from zslpipe.datasets.extents import Pictures
    from zslpipe.formats.extents import Extent
    from zslpipe.machine.dry_run import DueJob
    from zslpipe.study.known_sizes import KnownSizes
    from zslpipe.study.measurements import Measured, Measurement
    from zslpipe.study.study import Study

RESULTS = Path("results")


@click.command("plan")
@click.argument("targets", nargs=-1)
@click.option(
    "--configfile",
    "files",
    type=INPUT_FILE,
    multiple=True,
    help="As snakemake's: a configuration in place of config.yaml; several are laid over each "
    "other.",
)
@click.option(
    "--config", "assignments", multiple=True, help='As snakemake\'s: set="dazle.epochs=2".'
)
@click.option("--cores", type=click.IntRange(min=1), help="Cores to count on; default all.")
@click.option(
    "--calibrate",
    is_flag=True,
    help="First measure what is not known yet, on this machine: some minutes at most.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan_study(
    targets: tuple[str, ...],
    files: tuple[Path, ...],
    assignments: tuple[str, ...],
    cores: int | None,
    calibrate: bool,
    as_json: bool,
) -> None:
    """Tell what a run of the workflow will make: jobs, hours, bytes.

    To be called in a checkout. TARGETS are snakemake's: files or rules, by default all. Nothing
    runs but, where asked, a calibration. Times are those of finished jobs, else those that a
    calibration measured; each line says which.
    """
    from zslpipe.machine.dry_run import due_jobs
    from zslpipe.study.given import as_arguments, given_configuration
    from zslpipe.study.plan import planned
    from zslpipe.study.plan_text import plan_text
    from zslpipe.study.study import Study

    checkout = Path.cwd()
    if not (checkout / "Snakefile").is_file():
        raise InputError(f"plan: {checkout} is no checkout (it has no Snakefile); call it in one")
    study = Study(given_configuration(checkout, files, assignments))
    processors = cores or len(os.sched_getaffinity(0))
    jobs = due_jobs(checkout, [*targets, *as_arguments(files, assignments)], processors)
    sizes, measured = _known(study, jobs)
    if calibrate:
        _calibrate(study, jobs, sizes, measured)
        sizes, measured = _known(study, jobs, sizes)
    free = shutil.disk_usage(RESULTS if RESULTS.is_dir() else checkout).free
    plan = planned(study, jobs, sizes, measured, checkout, processors, free)
    click.echo(json.dumps(plan.as_json(), indent=1) if as_json else plan_text(plan))


def _known(
    study: "Study", jobs: Sequence["DueJob"], earlier: "KnownSizes | None" = None
) -> tuple["KnownSizes", "Measured"]:
    """Return the sizes that costs follow from, of the datasets of all jobs, and what was measured;
    datasets are counted once.
    """
    from zslpipe.formats.rates import read_rates
    from zslpipe.machine.hardware import machine_kind
    from zslpipe.study.known_sizes import KnownSizes, known_widths
    from zslpipe.study.measurements import Measured, of_extractor

    measured = Measured(read_rates(Path(study.paths.rates)), machine_kind())
    widths = {}
    for name in study.extractors.computed:
        numbers, _ = measured.of(of_extractor(study, name))
        if "width" in numbers:
            widths[name] = int(numbers["width"])
    if earlier is None:
        named = {job.wildcards.get("dataset", "") for job in jobs} | _of_first_jobs(jobs)
        datasets = [name for name in study.datasets.entries if name in named]
        extents = {name: _extent(study, name) for name in datasets}
        irrelevant = {study.datasets.irrelevant_of(name) for name in datasets} - {None}
        counts = {str(name): _irrelevant(study, str(name)) for name in irrelevant}
        earlier = KnownSizes(extents, counts)
    found = KnownSizes(earlier.extents, earlier.irrelevant, known_widths(study, widths))
    return found, measured


def _of_first_jobs(jobs: Iterable["DueJob"]) -> set[str]:
    """Return the folders under results/ that jobs write to: names of datasets among them."""
    paths = [Path(output).parts for job in jobs for output in job.outputs]
    return {parts[1] for parts in paths if len(parts) > 2}


def _extent(study: "Study", dataset: str) -> "Extent":
    """Return the sizes of a dataset: from its index, its files, or as published."""
    from zslpipe.datasets.extents import extent_of_source
    from zslpipe.formats.extents import extent_of, published_extent
    from zslpipe.formats.index import read_index

    path = Path(study.paths.index.format(dataset=dataset))
    if path.is_file():
        return extent_of(read_index(path), "its index")
    entry = study.datasets.entries[dataset]
    adapter = module_named("zslpipe.datasets.adapters", entry["adapter"], "adapter")
    try:
        return extent_of_source(dataset, adapter, entry["source"], Path(study.data_root))
    except InputError as error:
        name = entry["source"].get("known_as") or entry.get("settings_of") or dataset
        published = published_extent(str(name))
        if published is None:
            advice = "put its files there, or name a published dataset as settings_of"
            raise InputError(f"plan: the sizes are not known: {error}; {advice}") from None
        return published


def _irrelevant(study: "Study", name: str) -> int:
    """Return how many task-irrelevant images a set has, 0 where they cannot be counted, which is
    said.
    """
    from zslpipe.datasets.extents import count_irrelevant

    rendered = study.config["irrelevant"][name].get("rendered")
    if rendered is not None:
        source = study.datasets.entries[rendered]["source"]
        return int(source["auxiliary_classes"] * source["auxiliary_images_per_class"])
    try:
        return count_irrelevant(study.datasets.irrelevant_settings(name), Path(study.data_root))
    except InputError as error:
        click.echo(f"task-irrelevant images {name!r} count as none: {error}", err=True)
        return 0


def _calibrate(
    study: "Study", jobs: Sequence["DueJob"], sizes: "KnownSizes", measured: "Measured"
) -> None:
    """Measure what is not known yet, and keep it; what cannot be measured is said and left out."""
    from zslpipe.formats.rates import write_rates
    from zslpipe.machine.quiet import quiet
    from zslpipe.study.plan import wanted

    with tempfile.TemporaryDirectory() as folder:
        pictures: dict[str, Pictures] = {}
        failed: set[str] = set()
        while lacking := measured.lacking(wanted(study, jobs, sizes), failed):
            for one in lacking:
                click.echo(f"measuring {one.kind} {one.name}", err=True)
                if one.dataset and one.dataset not in pictures:
                    pictures[one.dataset] = _pictures(study, one.dataset, Path(folder))
                try:
                    with quiet():
                        numbers = _measured(one, pictures.get(one.dataset))
                except InputError as error:
                    failed.add(one.key)
                    click.echo(f"{one.name} is not measured: {error}", err=True)
                    continue
                measured.rates.setdefault(measured.kind, {})[one.key] = numbers
                write_rates(Path(study.paths.rates), measured.rates)
            sizes, measured = _known(study, jobs, sizes)  # widths of features, told by extractors


def _pictures(study: "Study", dataset: str, folder: Path) -> "Pictures":
    """Return pictures that a dataset's jobs would decode; drawn ones where its own cannot be had
    yet.
    """
    from zslpipe.datasets.extents import drawn_pictures, pictures_of_source

    entry = study.datasets.entries[dataset]
    if entry["adapter"] != "demo" and study.datasets.has_images(dataset):
        adapter = module_named("zslpipe.datasets.adapters", entry["adapter"], "adapter")
        try:
            root = Path(study.data_root)
            return pictures_of_source(dataset, adapter, entry["source"], root)
        except InputError as error:
            click.echo(f"{error}; drawn pictures stand in for its own", err=True)
    return drawn_pictures(folder / dataset)


def _measured(one: "Measurement", pictures: "Pictures | None") -> dict[str, Any]:
    """Return the numbers of a measurement, made here and now."""
    from zslpipe.formats.extents import Extent
    from zslpipe.runs.calibration import measure_extractor, measure_starts, measured_on
    from zslpipe.runs.rehearsed_run import RehearsedRun

    asked = one.asked
    if one.kind == "start" or pictures is None:
        return measure_starts()
    compute = measured_on(asked["device"], asked["threads"])
    if one.kind == "extractor":
        return measure_extractor(asked, pictures.root, pictures.paths, compute)
    extent, shape = Extent(**asked["extent"], told=""), tuple(asked["shape"])
    from_images = (pictures.root, pictures.paths)
    run = RehearsedRun(asked["spec"], extent, shape, asked["words"], *from_images, compute)
    return run.taken(asked["validated"])
