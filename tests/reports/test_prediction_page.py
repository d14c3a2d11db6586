"""The page of predictions: what it says of each picture, its pictures, nothing loaded."""

import base64
import io
import re

import numpy as np
import pandas as pd
from PIL import Image

from zslpipe.cell_centres import CellCentres
from zslpipe.reports.prediction_page import SIDE, page, picture_data

ROWS = [
    ("a<b>.jpg", 1, "blue & jay", 0.75, True, (("wing: <blue>", 0.5),), ""),
    ("a<b>.jpg", 2, "wren", 0.25, False, (), ""),
    ("cut.jpg", pd.NA, pd.NA, pd.NA, pd.NA, (), "truncated <file>"),
]
COLUMNS = ["image", "rank", "class", "probability", "seen", "attributes", "problem"]


def table() -> pd.DataFrame:
    types = {"rank": "Int64", "probability": "Float64", "seen": "boolean"}
    return pd.DataFrame(ROWS, columns=COLUMNS).astype(types)


def pictures(figures: list[str]) -> list[np.ndarray]:
    """Return the pictures that lie in figures, as numbers from 0 to 255."""
    found = []
    for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", "".join(figures)):
        found.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), float))
    return found


def test_a_card_a_picture_with_names_escaped():
    text = page(table(), "demo/run", ["probabilities: a < b"], {"a<b>.jpg": ["<figure></figure>"]})
    assert text.count("<article>") == 2 and text.count("<li>") == 2
    assert "<h2>a&lt;b&gt;.jpg</h2>\n<figure></figure><ol>" in text
    assert 'blue &amp; jay <b>75.0 %</b> seen<div class="bar seen" style="width:75.0%">' in text
    assert 'wren <b>25.0 %</b> unseen<div class="bar unseen" style="width:25.0%">' in text
    assert "wing: &lt;blue&gt; +0.5" in text
    assert "cannot be read: truncated &lt;file&gt;" in text
    assert "probabilities: a &lt; b" in text
    assert not re.search(r"(src|href)=\"(?!data:)|https?:|@import|<script", text)


def test_a_picture_is_what_the_run_sees_and_its_map_brightens_where_it_looks():
    square = np.full((32, 32, 3), 128, np.uint8)
    (plain,) = pictures(picture_data(square, "", None, None))
    assert plain.shape == (SIDE, SIDE, 3) and abs(plain.mean() - 128) < 2
    attention = np.zeros((2, 2))
    attention[1, 0] = 3.0
    figures = picture_data(square, "wing: <blue>", attention, CellCentres(0.25, 0.5))
    assert "where it looks for wing: &lt;blue&gt;" in figures[1]
    over = pictures(figures)[1]
    half = SIDE // 2
    quarters = {(0, 0): over[:half, :half], (0, 1): over[:half, half:], (1, 0): over[half:, :half]}
    middles = {place: part[30:-30, 30:-30].mean() for place, part in quarters.items()}
    assert middles[1, 0] > middles[0, 0] + 20 and middles[1, 0] > middles[0, 1] + 20
