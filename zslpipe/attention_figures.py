"""Pictures of attribute maps: did the method look at the part that the attribute is about?"""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from PIL import Image

from zslpipe.drawing import STYLE, save_figure
from zslpipe.errors import InputError
from zslpipe.index import Index, read_index

ATTRIBUTES = 4  # ours: maps an image; five pictures fill the width of a page
SIDE = 224  # pixels of a drawn picture: the usual input side; keeps the svg small
RIGHT, WRONG = "#0072B2", "#D55E00"  # Okabe and Ito (2008): blue and vermillion, told apart by everybody
HEAT = "inferno"  # even in lightness, so it reads in grey and under colour-vision deficiencies
OUTLINE = [withStroke(linewidth=1.8, foreground="black")]


@dataclass(frozen=True, eq=False)
class Maps:
    """attention.h5: maps (image, attribute, height, width), scores (image, attribute) or None, the rest (image,)."""

    title: str
    maps: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray | None


def attention_maps(attention: Path, index: Path, image_root: Path, output_stem: Path) -> tuple[Path, Path]:
    """Draw the images of attention.h5, in its order, with their attribute maps; return the png's and svg's paths.

    A row an image: the image with its part locations, then the maps of four attributes over the greyed image, each
    from its lowest value (transparent) to its highest, the annotated place of the attribute's parts circled, the
    attribute's score with its sign in the title where attention.h5 has scores (positive: found present, negative:
    absent). Nothing is picked for looks: the class's strongest attributes, one a group, those with a visible part
    first. Pictures show the central square, which is what a network sees. Raises InputError for an absent, empty or
    damaged file, maps that do not fit the index, or a missing image.
    """
    contents, maps = read_index(index), _read_maps(attention)
    if maps.maps.shape[1] != len(contents.attribute_names) or maps.images.max(initial=-1) >= len(contents.paths):
        found = f"{maps.maps.shape[1]} attributes, images up to {maps.images.max(initial=-1)}"
        raise InputError(f"{attention}: does not belong to {index}: it has {found}; run the scoring again")
    rows = range(len(maps.images))
    if not rows:
        raise InputError(f"{attention}: holds no image; delete it and run again")
    strengths = _strengths(contents)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.75 * (ATTRIBUTES + 1) + 1.2, 2.05 * len(rows) + 0.7), layout="constrained")
        grid = figure.subplots(len(rows), ATTRIBUTES + 1, squeeze=False)
        for axes, row in zip(grid, rows, strict=True):
            _draw_row(axes, contents, maps, row, strengths, image_root)
        figure.suptitle(maps.title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        key = "circle: annotated place of the attribute's part; colours: each map from its lowest to its highest value"
        key += "" if maps.scores is None else "; score: above 0 found present, below 0 found absent"
        figure.supxlabel(key, fontsize=7.5, color="#555555")
        return save_figure(figure, output_stem)


def _read_maps(path: Path) -> Maps:
    """Read attention.h5; InputError where it is absent, damaged or its parts disagree."""
    try:
        with h5py.File(path) as file:
            names = [str(file.attrs[name]) for name in ("method", "variant", "dataset")]
            scores = file["scores"][()] if "scores" in file else None
            arrays = [file[name][()] for name in ("maps", "images", "labels", "predicted")]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; scoring a method with attribute maps writes it") from None
    except (OSError, KeyError) as error:
        reason = str(error).strip("\"'")
        raise InputError(f"{path}: not a readable attention.h5 ({reason}); delete it and run again") from None
    count = len(arrays[0])
    lengths = [len(array) for array in arrays]
    if arrays[0].ndim != 4 or set(lengths) != {count} or (scores is not None and scores.shape != arrays[0].shape[:2]):
        raise InputError(f"{path}: maps {arrays[0].shape} and {lengths[1:]} images, labels, predictions disagree")
    title = f"{names[0]} / {names[1]} on {names[2]}"
    maps, images, labels, predicted = arrays
    return Maps(title, maps.astype(np.float32), images, labels, predicted, scores)


def _strengths(index: Index) -> np.ndarray:
    """Return (class, attribute) strengths: the class vectors ``att``, or the first kind with a column an attribute."""
    kinds = ["att", *sorted(index.semantics)]
    for kind in kinds:
        if kind in index.semantics and index.semantics[kind].shape[1] == len(index.attribute_names):
            return np.asarray(index.semantics[kind], np.float64)
    raise InputError(f"dataset {index.dataset!r}: no class vectors with one column an attribute; maps have no meaning")


def choose_attributes(strengths: np.ndarray, groups: Sequence[str], placed: np.ndarray) -> list[int]:
    """Return at most four attribute numbers: the strongest first, one a group, those with a visible part preferred.

    ``strengths`` (attribute,); ``groups`` one name an attribute, "" being a group of its own; ``placed`` (attribute,)
    bool, whether one of the attribute's parts is visible.
    """
    chosen: list[int] = []
    taken: set[str] = set()
    for number in np.lexsort((-strengths, ~placed)):
        group = groups[number] or f"attribute {number}"
        if group not in taken and len(chosen) < ATTRIBUTES:
            taken.add(group)
            chosen.append(int(number))
    return chosen


def _draw_row(
    axes: Sequence[Axes], index: Index, maps: Maps, row: int, strengths: np.ndarray, image_root: Path
) -> None:
    """Draw one image: itself with its parts, then its attributes' maps."""
    image, label, predicted = int(maps.images[row]), int(maps.labels[row]), int(maps.predicted[row])
    picture, places = _load_square(index, image, image_root)
    names, right = index.class_names, label == predicted
    axes[0].imshow(picture)
    _mark_parts(axes[0], index.part_names, places)
    text = f"true: {_class(names[label])}\npredicted: {'the same' if right else _class(names[predicted])}"
    axes[0].set_title(text, color=RIGHT if right else WRONG, loc="left", fontsize=7.5)
    visible = ~np.isnan(places).any(axis=1)
    placed = (index.attribute_parts & visible).any(axis=1) if len(places) else np.zeros(strengths.shape[1], bool)
    chosen = choose_attributes(strengths[label], index.attribute_groups, placed)
    grey = 0.55 * picture.mean(axis=2, keepdims=True).repeat(3, axis=2) + 0.25 * picture  # colour would hide the heat
    for position, attribute in zip(axes[1:], chosen, strict=False):
        position.imshow(overlay(grey, maps.maps[row, attribute]))
        marked = places[index.attribute_parts[attribute]] if len(places) else places
        for colour, width in (("black", 3.2), ("white", 1.6)):  # seen on a white belly and on a black one
            position.plot(marked[:, 0], marked[:, 1], "o", color="none", mec=colour, mew=width, ms=11)
        score = "" if maps.scores is None else f"\nscore {maps.scores[row, attribute]:+.2f}"
        name = "\n".join(textwrap.wrap(_plain(index.attribute_names[attribute]), 24)[:2])
        position.set_title(name + score, loc="left", fontsize=7.5)
    for position in axes:
        position.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5))
        position.set_axis_off()


def _mark_parts(axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Mark the visible parts; their names are written where there are few enough to read."""
    axes.plot(places[:, 0], places[:, 1], "o", color="white", mec="black", mew=0.7, ms=3.5)
    if len(names) > 8:  # ours: CUB's fifteen names would cover the bird
        return
    for name, (x, y) in zip(names, places, strict=True):
        if not np.isnan(x):
            side = "right" if x > 0.7 * SIDE else "left"
            offset = (-4 if side == "right" else 4, 0)
            text = axes.annotate(_plain(name), (x, y), offset, textcoords="offset points", ha=side, va="center")
            text.set(fontsize=6.5, color="white", path_effects=OUTLINE)


def _load_square(index: Index, image: int, image_root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return an image's central square (SIDE, SIDE, 3) in 0..1 and its parts (part, 2) as x, y in these pixels.

    Parts that are not annotated or lie outside the square are NaN.
    """
    path = image_root / index.paths[image]
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; is {image_root} the dataset's image folder?") from None
    except OSError as error:
        raise InputError(f"{path}: not a readable image ({error})") from None
    if index.boxes is not None:
        left, top, right, bottom = index.boxes[image].tolist()
        picture = picture.crop((left, top, right, bottom))
    side = min(picture.size)
    corner = (np.array(picture.size) - side) / 2
    square = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (*corner, *(corner + side)))
    if index.part_locations is None:
        return np.asarray(square, np.float64) / 255, np.empty((0, 2))
    places = (index.part_locations[image] * np.array(picture.size) - corner) / side * SIDE - 0.5
    outside = ~((places > -1) & (places < SIDE)).all(axis=1)
    places[outside] = np.nan
    return np.asarray(square, np.float64) / 255, places


def overlay(picture: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Return the (side, side, 3) picture, 0..1, under the heat of an (h, w) map, enlarged bilinearly.

    The map is stretched from its lowest to its highest value; a constant map leaves the picture as it is. The heat is
    transparent where the map is low.
    """
    spread = float(attention.max() - attention.min())
    stretched = (attention - attention.min()) / spread if spread > 0 else np.zeros_like(attention)
    size = picture.shape[1], picture.shape[0]
    heat = np.asarray(Image.fromarray(stretched.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    alpha = (0.85 * heat)[..., None]
    return (1 - alpha) * picture + alpha * mpl.colormaps[HEAT](heat)[..., :3]


def _plain(name: str) -> str:
    """Return an attribute's or part's name for a reader: ``has_bill_shape::dagger`` becomes "bill shape: dagger"."""
    return name.removeprefix("has_").replace("::", ": ").replace("_", " ")


def _class(name: str) -> str:
    """Return a class's name that fits over its picture, without the number that CUB's names begin with."""
    plain = re.sub(r"^\d+\.", "", name).replace("_", " ")
    return plain if len(plain) <= 22 else plain[:21] + "…"
