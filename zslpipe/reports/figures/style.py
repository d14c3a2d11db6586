"""How every figure looks and how it is saved: for screen and paper, same input same bytes."""

import logging
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from zslpipe.formats.figures import PAPER, SCREEN
from zslpipe.machine.files import written_whole
from zslpipe.machine.glyphs import glyphs_told
from zslpipe.names import in_words
from zslpipe.reports.figures.pdf_pictures import compress_pictures

# Okabe and Ito (2008): told apart under the common colour-vision deficiencies; black first, the
# pale yellow left out
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Okabe and Ito (2008): blue and vermillion, told apart by everybody
RIGHT, WRONG = "#0072B2", "#D55E00"
HEAT = "inferno"  # even in lightness, so it reads in grey and under colour-vision deficiencies
# less: purple, more: orange; told apart under the common colour-vision deficiencies
CHANGE = "PuOr_r"
# Characters (ours): of a name beside a picture, of a title over a figure.
NAME_LENGTH, TITLE_LENGTH = 48, 110
DASHES = ("-", "--", ":")  # the next round through the colours
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 9,
    "text.parse_math": False,  # people's names may hold dollars: no formula begins there
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType: conferences refuse Type 3, and a reader can search its text
}
# Dots an inch (ours): of lines and letters, and of pictures, which hold about 100 cells of a map.
SHARP, PICTURED = 144, 110
QUALITY = 80  # ours: of pictures in WebP and JPEG; no block shows beside the overlaid maps


def write_around(figure: Figure, title: str, key: str) -> None:
    """Write a figure's title above it and what its signs mean below it."""
    write_title(figure, title)
    figure.supxlabel(key, fontsize=7.5, color="#555555")


def write_title(figure: Figure, title: str) -> None:
    """Write a figure's title above it."""
    figure.suptitle(
        shortened(title, TITLE_LENGTH), x=0.01, ha="left", fontsize=10, fontweight="bold"
    )


def save_figure(figure: Figure, output_stem: Path) -> tuple[Path, Path]:
    """Write a figure as webp and as pdf without dates, each whole or not at all; return both paths.

    Pictures have the resolution at which they are drawn and are compressed with loss; lines and
    letters are not: the webp of a figure without pictures is exact, in the pdf they are vectors.
    """
    has_pictures = any(axes.images for axes in figure.axes)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # a line for each table of a font
    written = []
    for suffix in (SCREEN, PAPER):
        path = output_stem.with_name(f"{output_stem.name}.{suffix}")
        with written_whole(path) as temporary, glyphs_told(path):
            _save(figure, temporary, suffix, has_pictures)
        written.append(path)
    return written[0], written[1]


def _save(figure: Figure, path: Path, suffix: str, has_pictures: bool) -> None:
    """Write a figure in one format."""
    how: dict[str, Any] = {"pil_kwargs": {"lossless": True, "method": 6}}
    if has_pictures:
        how = {"pil_kwargs": {"quality": QUALITY, "method": 6}}
    if suffix == PAPER:
        how = {"metadata": dict.fromkeys(("CreationDate", "Creator", "Producer"))}
    dots = PICTURED if has_pictures else SHARP
    figure.savefig(path, format=suffix, dpi=dots, bbox_inches="tight", **how)
    if suffix == PAPER and has_pictures:
        compress_pictures(path, QUALITY)


def shortened(name: str, length: int = NAME_LENGTH) -> str:
    """Return a text in one line of at most ``length`` characters, an ellipsis where it is cut."""
    plain = " ".join(name.split())
    return plain if len(plain) <= length else plain[: length - 1].rstrip() + "…"


def plain_name(name: str) -> str:
    """Return an attribute's or part's name for a reader: ``has_bill_shape::dagger`` becomes "bill
    shape: dagger".
    """
    return shortened(name.removeprefix("has_").replace("::", ": ").replace("_", " "))


def result_label(method: str, variant: str, rebalancing: str) -> str:
    """Return a result's name for a legend: what is as usual is left out."""
    names = (method, variant, rebalancing)
    return " / ".join(name for name in names if name not in ("default", "none"))


def class_title(name: str) -> str:
    """Return a class's name that fits over its picture, without the number that CUB's names begin
    with.
    """
    return shortened(in_words(name), 22)
