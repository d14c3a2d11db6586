"""Predictions as one HTML page: a card a picture, with what the run sees of it, where it looks for
the attribute that did most for the likeliest class, and the classes. Nothing is loaded from
elsewhere.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from zslpipe.cell_centres import CellCentres
from zslpipe.reports.figures.overlays import greyed, painted, stretch
from zslpipe.reports.figures.style import HEAT
from zslpipe.reports.predicted import told_attributes

SIDE = 224  # ours: pixels of a picture on the page, 10 kB
QUALITY = 80  # ours: of JPEG
# Blue and orange of Okabe and Ito 2008, told apart under every colour-vision deficiency; the kind
# of a class is written as well.
STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr));
  gap: 1rem; }
article { border: 1px solid #ccc; border-radius: 6px; padding: .8rem; break-inside: avoid; }
h2 { font-size: .9rem; margin: 0 0 .5rem; overflow-wrap: anywhere; font-weight: 600; }
figure { display: inline-block; margin: 0 .5rem .5rem 0; max-width: 47%; vertical-align: top; }
img { max-width: 100%; display: block; } figcaption, .by, .note { font-size: .8rem; color: #555; }
ol { margin: 0; padding-left: 1.4rem; }
.bar { height: .35rem; background: #E69F00; } .bar.seen { background: #0072B2; }
.problem { color: #A33; }
"""


def page(
    table: pd.DataFrame, run: str, notes: Sequence[str], pictures: Mapping[str, Sequence[str]]
) -> str:
    """Return the page of predictions (image, rank, class, probability, seen, attributes, problem);
    ``pictures`` are figures by image, as :func:`picture_data` gives them.
    """
    cards = []
    for image, rows in table.groupby("image", sort=False):
        cards.append(_card(str(image), rows, pictures.get(str(image), ())))
    told = "\n".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(run)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(run)}</h1>\n{told}\n<main>\n{''.join(cards)}</main>\n</body>\n</html>"
    )


def _card(image: str, rows: pd.DataFrame, figures: Sequence[str]) -> str:
    """Return the card of a picture."""
    lines = [_line(row) for row in rows.to_dict("records")]
    inside = f"<ol>{''.join(lines)}</ol>"
    problem = rows["problem"].iloc[0]
    if problem:
        inside = f'<p class="problem">cannot be read: {escape(str(problem))}</p>'
    return f"<article><h2>{escape(image)}</h2>\n{''.join(figures)}{inside}</article>\n"


def _line(row: Mapping[str, Any]) -> str:
    """Return a class with its probability and the attributes that did most for it."""
    if row["problem"]:
        return ""
    kind, share = "seen" if row["seen"] else "unseen", 100 * row["probability"]
    by = escape(told_attributes(row["attributes"]))
    return (
        f"<li>{escape(row['class'])} <b>{share:.1f} %</b> {kind}"
        f'<div class="bar {kind}" style="width:{share:.1f}%"></div><div class="by">{by}</div></li>'
    )


def picture_data(
    square: np.ndarray,
    attribute: str,
    attention: np.ndarray | None,
    centres: CellCentres | None,
) -> list[str]:
    """Return the figures of a picture, HTML: its ``square`` (size, size, 3) uint8 and, where there
    is one, the map ``attention`` (h, w) of an attribute over it.
    """
    small = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    figures = [_figure(small, "what the run sees")]
    if attention is not None and centres is not None:
        pixels = np.asarray(small, np.float64) / 255
        over = painted(greyed(pixels), stretch(attention), centres, 1.0, HEAT)
        drawn = Image.fromarray((255 * over.clip(0, 1)).round().astype(np.uint8))
        figures.append(_figure(drawn, f"where it looks for {attribute}"))
    return figures


def _figure(picture: Image.Image, caption: str) -> str:
    """Return a picture as a figure with its caption; the picture lies in the page."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode()
    alt = escape(caption, quote=True)
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{alt}" width="{SIDE}">'
    return f"<figure>{image}<figcaption>{alt}</figcaption></figure>"
