"""Draw one creature of the demo dataset: its attributes, its pose, its surroundings, and where each
part ended up.

A creature is seen from the side. In its own coordinates the body's centre is the origin, x points
to the beak, y points down, and the body is about 1.6 wide; a pose turns, mirrors, scales and shifts
these into the picture. All sizes, colours and probabilities here are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from zslpipe.datasets.canvas import Canvas, ellipse, polygon, tone_of
from zslpipe.datasets.surroundings import background, draw_leaf, light

SIZE = 128  # pixels of the finished picture's side: between the 112 and 224 that networks read
OVERSAMPLING = 2  # drawn twice as large, then averaged: smooth edges
PARTS = ("head", "beak", "wing", "belly", "tail", "legs")
COLOURS = {  # a part has exactly one of its colours
    "head": ("red", "blue", "black", "white"),
    "beak": ("yellow", "black", "red"),
    "wing": ("green", "blue", "brown", "white"),
    "belly": ("white", "yellow", "red", "blue"),
    "tail": ("red", "black", "yellow"),
    "legs": ("orange", "black", "blue"),
}
FORMS = {  # and any of its forms
    "head": ("crested", "masked"),
    "beak": ("long", "hooked"),
    "wing": ("striped", "spotted", "pointed"),
    "belly": ("striped", "spotted"),
    "tail": ("long", "forked", "banded"),
    "legs": ("long",),
}
ATTRIBUTES = tuple((part, value) for part in PARTS for value in COLOURS[part] + FORMS[part])
# Mean of red, green and blue below which marks are light, above dark: only black parts lie below.
DARK = 65
SMALLEST_PART = 6  # pixels; a part with fewer in view counts as hidden


@dataclass(frozen=True)
class Look:
    """What one part looks like in one picture: its colour and the forms it takes."""

    colour: str
    forms: frozenset[str]


def sample_looks(strengths: np.ndarray, rng: np.random.Generator) -> dict[str, Look]:
    """Draw every part's look for one picture from a class's attribute ``strengths`` (attribute,) in
    [0, 1].

    A part's colour is one of its colours in proportion to their strengths; each form is taken with
    its strength as probability.
    """
    strength = dict(zip(ATTRIBUTES, strengths, strict=True))
    looks = {}
    for part in PARTS:
        weights = np.array([strength[part, colour] for colour in COLOURS[part]])
        colour = COLOURS[part][rng.choice(len(weights), p=weights / weights.sum())]
        chance = rng.random(len(FORMS[part]))
        forms = (
            form
            for form, drawn in zip(FORMS[part], chance, strict=True)
            if drawn < strength[part, form]
        )
        looks[part] = Look(colour, frozenset(forms))
    return looks


def draw(looks: Mapping[str, Look], rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """Draw a creature with these ``looks``; everything else (pose, light, surroundings) comes from
    ``rng``.

    Returns the RGB picture, SIZE pixels square, and part locations (part, 2): x and y as fractions
    of the picture, each on a pixel that shows the part; NaN where the part is hidden.
    """
    side = SIZE * OVERSAMPLING
    canvas = Canvas(background(side, rng), Image.new("L", (side, side)), _pose(side, rng), rng)
    _draw_tail(canvas, looks["tail"])
    _draw_legs(canvas, looks["legs"])
    _draw_body(canvas, looks["belly"])
    _draw_wing(canvas, looks["wing"])
    _draw_beak(canvas, looks["beak"])
    _draw_head(canvas, looks["head"])
    if rng.random() < 0.35:
        draw_leaf(canvas.image, canvas.labels, rng)
    image = light(canvas.image.reduce(OVERSAMPLING), rng)
    middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    labels = np.asarray(canvas.labels)[middle, middle]
    return image, np.array([_location(labels == part + 1) for part in range(len(PARTS))])


def _pose(side: int, rng: np.random.Generator) -> np.ndarray:
    """Return the (2, 3) map from creature coordinates to pixels: mirrored half of the time, tilted,
    scaled, shifted.
    """
    scale = side * rng.uniform(0.21, 0.26)
    tilt = np.deg2rad(rng.uniform(-15, 15))
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    centre = side * (0.5 + rng.uniform(-0.08, 0.08, 2))
    return np.column_stack([scale * mirror @ turn, centre])


def _length(
    canvas: Canvas, look: Look, short: tuple[float, float], long: tuple[float, float]
) -> float:
    """Draw the length of a part, from the range of long ones where its look is long."""
    low, high = long if "long" in look.forms else short
    return canvas.rng.uniform(low, high)


def _draw_tail(canvas: Canvas, look: Look) -> None:
    """Draw the tail: short or long, straight or forked end, plain or with bands across."""
    length = _length(canvas, look, short=(0.5, 0.65), long=(1.0, 1.2))
    lift = canvas.rng.uniform(-0.25, 0.3)
    notch = 0.55 if "forked" in look.forms else -0.06
    spread = 0.36 if "forked" in look.forms else 0.24
    outline = [
        (0, -0.16),
        (length, -spread),
        (length * (1 - notch), 0),
        (length, spread),
        (0, 0.16),
    ]
    turn = np.array([[-np.cos(lift), np.sin(lift)], [np.sin(lift), np.cos(lift)]])
    start = np.array((-0.62, 0.0))
    marks = []
    if "banded" in look.forms:
        for x in np.arange(0.14, length, 0.27):
            band = np.array([(x, -0.5), (x + 0.13, -0.5), (x + 0.13, 0.5), (x, 0.5)])
            marks.append(band @ turn.T + start)
    _paint(canvas, "tail", np.array(outline) @ turn.T + start, look.colour, marks)


def _draw_legs(canvas: Canvas, look: Look) -> None:
    """Draw two legs with feet."""
    length = _length(canvas, look, short=(0.42, 0.55), long=(0.95, 1.15))
    for hip in (-0.2, 0.22):
        lean = canvas.rng.uniform(-0.15, 0.15)
        knee, foot = np.array((hip, 0.35)), np.array((hip + lean, 0.4 + length))
        width = np.array((0.07, 0))
        shape = [knee - width, knee + width, foot + width, foot + np.array((0.28, 0.06))]
        shape += [foot + np.array((0.28, 0.14)), foot + np.array((-0.12, 0.14)), foot - width]
        _paint(canvas, "legs", np.array(shape), look.colour, [])


def _draw_body(canvas: Canvas, look: Look) -> None:
    """Draw the body in a nondescript grey brown and on it the belly: plain, striped, spotted or
    both.
    """
    grey = tuple(int(value) for value in np.array((125, 118, 108)) + canvas.rng.normal(0, 14, 3))
    polygon(canvas, canvas.image, ellipse((0, 0), (0.85, 0.58)), grey)
    polygon(canvas, canvas.labels, ellipse((0, 0), (0.85, 0.58)), 0)
    angles = np.linspace(-0.05, np.pi + 0.05, 20)
    outline = np.column_stack([0.85 * np.cos(angles), 0.62 * np.sin(angles)])
    marks = _marks(look, (-0.8, 0.0), (0.8, 0.62), canvas.rng)
    _paint(canvas, "belly", outline, look.colour, marks)


def _draw_wing(canvas: Canvas, look: Look) -> None:
    """Draw the wing over the back, more or less raised: rounded or pointed, plain, striped, spotted
    or both.
    """
    if "pointed" in look.forms:
        outline = np.array(
            [(0, 0.16), (-0.1, -0.26), (-0.6, -0.3), (-1.55, 0.02), (-0.75, 0.24), (-0.3, 0.28)]
        )
    else:
        outline = ellipse((-0.5, -0.02), (0.56, 0.34))
    lift = canvas.rng.uniform(-0.1, 0.7)
    turn = np.array([[np.cos(lift), -np.sin(lift)], [np.sin(lift), np.cos(lift)]])
    shoulder = np.array((0.42, -0.2))
    level = _marks(look, (-1.5, -0.4), (0.1, 0.4), canvas.rng)
    marks = [mark @ turn.T + shoulder for mark in level]
    _paint(canvas, "wing", outline @ turn.T + shoulder, look.colour, marks)


def _draw_beak(canvas: Canvas, look: Look) -> None:
    """Draw the beak: short or long, straight or hooked down at its tip."""
    length = _length(canvas, look, short=(0.3, 0.38), long=(0.75, 0.9))
    root, tip = 1.12, 1.12 + length
    if "hooked" in look.forms:
        outline = [(root, -0.75), (tip - 0.05, -0.72), (tip + 0.1, -0.55), (tip + 0.02, -0.24)]
        outline += [(tip - 0.12, -0.46), (root, -0.4)]
    else:
        outline = [(root, -0.75), (tip + 0.1, -0.55), (root, -0.4)]
    _paint(canvas, "beak", np.array(outline), look.colour, [])


def _draw_head(canvas: Canvas, look: Look) -> None:
    """Draw the head with its eye: with or without a crest, with or without a dark or light mask
    across the eye.
    """
    if "crested" in look.forms:
        crest = [
            (1.0, -0.85),
            (0.95, -1.45),
            (0.8, -1.1),
            (0.55, -1.4),
            (0.6, -1.0),
            (0.25, -1.15),
            (0.5, -0.65),
        ]
        _paint(canvas, "head", np.array(crest), look.colour, [])
    masks = []
    if "masked" in look.forms:
        masks.append(np.array([(0.3, -0.74), (1.4, -0.74), (1.4, -0.54), (0.3, -0.54)]))
    _paint(canvas, "head", ellipse((0.8, -0.58), (0.4, 0.38)), look.colour, masks)
    polygon(canvas, canvas.image, ellipse((0.93, -0.64), (0.11, 0.11)), (250, 250, 245))
    polygon(canvas, canvas.image, ellipse((0.95, -0.64), (0.06, 0.06)), (10, 10, 10))


def _marks(
    look: Look, low: tuple[float, float], high: tuple[float, float], rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the outlines of stripes and spots that fill the rectangle ``low`` to ``high``."""
    marks = []
    if "striped" in look.forms:
        for x in np.arange(low[0] + rng.uniform(0, 0.15), high[0], 0.3):
            stripe = [(x, low[1]), (x + 0.11, low[1]), (x + 0.11, high[1]), (x, high[1])]
            marks.append(np.array(stripe))
    if "spotted" in look.forms:
        for row, y in enumerate(np.arange(low[1] + 0.13, high[1], 0.24)):
            for x in np.arange(low[0] + 0.13 * (row % 2) + rng.uniform(0, 0.1), high[0], 0.27):
                marks.append(ellipse((x, y), (0.075, 0.075)))
    return marks


def _paint(
    canvas: Canvas, part: str, outline: np.ndarray, colour: str, marks: list[np.ndarray]
) -> None:
    """Fill a part's ``outline`` (point, 2) with its colour, and inside it the ``marks`` in a
    contrasting tone.
    """
    tone = tone_of(colour, canvas.rng)
    polygon(canvas, canvas.image, outline, tone)
    polygon(canvas, canvas.labels, outline, PARTS.index(part) + 1)
    if not marks:
        return
    inside, marked = Image.new("L", canvas.image.size), Image.new("L", canvas.image.size)
    polygon(canvas, inside, outline, 255)
    for mark in marks:
        polygon(canvas, marked, mark, 255)
    contrast = (225, 220, 205) if np.mean(tone) < DARK else (45, 38, 38)
    box = inside.getbbox()
    canvas.image.paste(contrast, box, ImageChops.darker(inside.crop(box), marked.crop(box)))


def _location(shown: np.ndarray) -> tuple[float, float]:
    """Return the shown pixel nearest the middle of a part, as fractions x, y; NaN where too little
    of it shows.

    Pixels whose four neighbours show the part as well are preferred: they carry its colour unmixed.
    """
    if shown.sum() < SMALLEST_PART:
        return np.nan, np.nan
    inner = shown.copy()
    inner[1:-1, 1:-1] &= shown[:-2, 1:-1] & shown[2:, 1:-1] & shown[1:-1, :-2] & shown[1:-1, 2:]
    inner[[0, -1], :] = inner[:, [0, -1]] = False
    rows, columns = np.nonzero(inner if inner.any() else shown)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return (columns[nearest] + 0.5) / SIZE, (rows[nearest] + 0.5) / SIZE
