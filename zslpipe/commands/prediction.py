"""What a finished run does on other people's pictures."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslpipe.commands.inputs import (
    ANY_PATH,
    INPUT_FILE,
    INPUT_FOLDER,
    OUTPUT_FILE,
    OUTPUT_FOLDER,
    data_root_option,
)
from zslpipe.machine.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from zslpipe.runs.prediction import Predictor

FORMATS = ("text", "csv", "json", "html")

result_argument = click.argument("result", type=INPUT_FOLDER)


@click.command("predict")
@result_argument
@click.argument("images", nargs=-1, required=True, type=ANY_PATH)
@click.option("--top", type=click.IntRange(min=1), default=5, help="Classes to name of each image.")
@click.option(
    "--all", "group", flag_value="all", default=True, help="Of all classes (this is so without it)."
)
@click.option("--seen", "group", flag_value="seen", help="Of classes with training images alone.")
@click.option("--unseen", "group", flag_value="unseen", help="Of classes without training images.")
@click.option("--new", "group", flag_value="new", help="Of the classes of --classes alone.")
@click.option(
    "--classes",
    type=INPUT_FILE,
    help="Classes that nobody trained on: a CSV with a header, class and then the run's "
    "attributes (and new ones, where the method knows attributes by their words), and a row a "
    "class, in the units of the dataset's own class attributes; for a run that knows classes by "
    "texts the columns class,text.",
)
@click.option(
    "--word-vectors",
    type=INPUT_FILE,
    help="File of the run's word vectors, for new attributes; without it the one that was "
    "configured, below --data-root.",
)
@click.option(
    "--missing-as-zero",
    is_flag=True,
    help="Take attributes that --classes leaves out as 0; without it they are listed and refused.",
)
@click.option(
    "--attributes",
    type=click.IntRange(min=0),
    default=3,
    help="Attributes to name that did most for a class, where a method's score is a sum over them.",
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", help="What is written."
)
@click.option("--output", type=OUTPUT_FILE, help="File to write; without it the terminal.")
@data_root_option
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), default=2, help="Threads that compute.")
def predict(
    result: Path,
    images: tuple[Path, ...],
    top: int,
    group: str,
    classes: Path | None,
    word_vectors: Path | None,
    missing_as_zero: bool,
    attributes: int,
    form: str,
    output: Path | None,
    data_root: Path,
    device: str,
    threads: int,
) -> None:
    """Predict the classes of pictures.

    RESULT is the folder of a trained seed (results/{dataset}/runs/{method}/{variant}/seed0), of an
    ensemble's, of a rebalancing in either, or one that export wrote; IMAGES are files, folders and
    globs. Pictures that cannot be read are named, the others predicted.
    """
    from zslpipe.datasets.more_words import more_vectors
    from zslpipe.datasets.reading.descriptions import read_new_classes
    from zslpipe.names import text_name
    from zslpipe.runs.prediction import open_predictor

    if classes is None and group == "new":
        raise InputError("predict: --new needs --classes")
    source = partial(more_vectors, data_root=data_root, file=word_vectors)
    predictor = open_predictor(result, data_root, device, threads, source)
    if classes is not None and text_name(predictor.member.spec["semantics"]) is not None:
        pairs = [parent / "pair.pt" for parent in result.resolve().parents]
        pair = next(filter(Path.is_file, pairs), None)
        predictor = predictor.with_texts(read_new_classes(classes), data_root, pair)
    elif classes is not None:
        predictor = predictor.with_classes(_new_classes(classes), missing_as_zero)
    found = predictor.predict(images, top, None, group, attributes)
    _write(_written(found, form, predictor), output)
    _tell(found, predictor)


def _new_classes(path: Path) -> "pd.DataFrame":
    """Return a user's table of classes: a row a class, a column an attribute."""
    import pandas as pd

    from zslpipe.datasets.reading.attributes import read_class_attributes

    strengths, attributes, notes = read_class_attributes(path)
    for note in notes:
        click.echo(note, err=True)
    return pd.DataFrame.from_dict(strengths, orient="index", columns=list(attributes))


def _written(found: "pd.DataFrame", form: str, predictor: "Predictor") -> str:
    """Return predictions as they are asked for."""
    from zslpipe.reports.predicted import as_csv, as_json, as_text

    if form == "html":
        return _page(found, predictor)
    if form == "json":
        return as_json(found, predictor.trained.name, predictor.notes)
    return as_csv(found) if form == "csv" else as_text(found)


def _page(found: "pd.DataFrame", predictor: "Predictor") -> str:
    """Return predictions as a page with pictures, and where the method looks for the attribute that
    did most for the likeliest class.
    """
    from zslpipe.reports.prediction_page import page, picture_data
    from zslpipe.runs.looking import looks

    asked = {}
    for row in found[found["rank"] == 1].to_dict("records"):
        asked[row["image"]] = row["attributes"][0][0] if row["attributes"] else ""
    pictures = {}
    for image, look in looks(predictor, asked).items():
        pictures[image] = picture_data(look.square, look.attribute, look.attention, look.centres)
    return page(found, predictor.trained.name, predictor.notes, pictures)


def _write(text: str, output: Path | None) -> None:
    """Write a text to a file, whole or not at all, or to the terminal."""
    from zslpipe.machine.files import written_whole

    if output is None:
        click.echo(text)
        return
    with written_whole(output) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def _tell(found: "pd.DataFrame", predictor: "Predictor") -> None:
    """Say on the standard error which pictures cannot be read, what has to be said of the
    predictions, and how many there are; InputError where there is none.
    """
    broken = found[found["problem"] != ""]
    for row in broken.to_dict("records"):
        click.echo(f"cannot be read: {row['image']}: {row['problem']}", err=True)
    count = found["image"].nunique()
    if len(broken) == count:
        raise InputError(f"predict: none of {count} images can be read")
    for note in predictor.notes:
        click.echo(note, err=True)
    told = f"{count - len(broken)} of {count} images predicted by {predictor.trained.name}"
    click.echo(told, err=True)


@click.command("export")
@result_argument
@click.argument("folder", type=OUTPUT_FOLDER)
@data_root_option
def export_result(result: Path, folder: Path, data_root: Path) -> None:
    """Put a trained run in a folder of its own, to be used elsewhere.

    RESULT is the folder of a trained seed, or of a rebalancing in it; FOLDER gets
    model.safetensors, config.json and README.md, the model card. It opens by predict, or
    zslpipe.load in Python, on a machine without these results.
    """
    from zslpipe.reports.model_card import model_card
    from zslpipe.runs.export import described, export
    from zslpipe.runs.prediction import open_result
    from zslpipe.runs.trained import Trained

    trained = open_result(result, data_root)
    if not isinstance(trained, Trained):
        members = ", ".join(member.name for member in trained.members)
        raise InputError(f"{result}: an ensemble is not exported; export its members: {members}")
    export(trained, folder, model_card(described(trained)))
    size = sum(path.stat().st_size for path in folder.iterdir())
    click.echo(f"{trained.name}: {folder}, {size / 1e6:.1f} MB", err=True)
