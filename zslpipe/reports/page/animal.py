"""Localisation as a picture of the animal: how often maps peak at each part of the body."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from zslpipe.formats.localization import read_localization
from zslpipe.maps.body_parts import BodyParts, body_parts
from zslpipe.maps.central_square import SIDE, load_square
from zslpipe.reports.page.given import Given, named
from zslpipe.reports.page.pictures import pixel_data

COLOURS = "cividis"  # even in lightness, made for colour-vision deficiencies (Nunez et al. 2018)
IMAGES = "unseen"  # test images of unseen classes
LARGE = 280  # ours: pixels of the animal
DARK = 0.55  # of the colours' range: below it white figures are read best, above it black ones


def animals(given: Given, dataset: str) -> dict[str, Any]:
    """Return the animal's picture and, for each run with maps, its parts' places in per cent of the
    picture with their hit rates in per cent, means over seeds; {} where nothing was localised
    or its images are not given.
    """
    rates = _rates(given, dataset)
    index = given.indices[dataset]
    if not rates or index.part_locations is None or dataset not in given.images:
        return {}
    parts = body_parts(index)
    image = typical_image(index.part_locations)
    picture, places = load_square(index, image, given.images[dataset])
    runs = []
    for name, shares in rates.items():
        runs.append({"name": name, "parts": _marks(parts, places, shares), "all": shares[""]})
    scale = [{"share": share, "colour": colour(share)} for share in range(0, 101, 20)]
    faded = 0.65 * picture + 0.35
    return {"src": pixel_data(faded, LARGE), "runs": runs, "scale": scale}


def typical_image(locations: np.ndarray) -> int:
    """Return the image whose visible parts lie nearest to their mean places, of those with most
    parts in view, from (image, part, 2) locations with NaN for what is not visible.

    An image of its own and not the mean places: animals face both ways, so a mean lies nowhere.
    """
    counts = (~np.isnan(locations).any(axis=2)).sum(axis=1)
    candidates = np.flatnonzero(counts == counts.max())
    places = _facing_one_way(np.ma.masked_invalid(locations[candidates].astype(np.float64)))
    distances = np.abs(places - places.mean(axis=0)).mean(axis=(1, 2))
    return int(candidates[np.ma.filled(distances, np.inf).argmin()])


def _facing_one_way(places: Any) -> Any:
    """Return masked (image, part, 2) places, mirrored where the part that lies furthest from the
    middle (a beak, a tail) lies right of it.
    """
    across = places[:, :, 0] - places[:, :, 0].mean(axis=1, keepdims=True)
    furthest = int(np.ma.filled(np.abs(across).mean(axis=0), 0.0).argmax())
    turned = np.ma.filled(across[:, furthest], 0.0) > 0
    mirrored = places.copy()
    mirrored[turned, :, 0] = 1 - mirrored[turned, :, 0]
    return mirrored


def _rates(given: Given, dataset: str) -> dict[str, dict[str, Mapping[str, float]]]:
    """Return run -> part -> its mean rates in per cent; the part "" stands for all."""
    seeds: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for path in given.files["localization.json"]:
        content = read_localization(path)
        if content["dataset"] != dataset:
            continue
        own = seeds.setdefault(named((content["method"], content["variant"])), {})
        for share in content["shares"]:
            if share["images"] == IMAGES and share["of"] in ("overall", "part"):
                own.setdefault(share["name"], []).append(share)
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for run, parts in seeds.items():
        found[run] = {name: _mean(shares) for name, shares in parts.items()}
    return {run: parts for run, parts in found.items() if "" in parts}


def _mean(shares: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the rate within a fifth of the object's size and those of chance, in per cent."""
    found = {}
    for name in ("fifth", "random_fifth", "centre_fifth", "best_fifth"):
        found[name] = 100 * float(np.mean([share[name] for share in shares]))
    return found


def _marks(
    parts: BodyParts, places: np.ndarray, shares: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Return the parts with their places (per cent of the picture), rates and colours."""
    marks = []
    for number, name in enumerate(parts.names):
        own = places[parts.members[number]]
        own = own[~np.isnan(own).any(axis=1)]
        rates = shares.get(name)
        if not len(own) or rates is None:
            continue
        x, y = 100 * (own.mean(axis=0) + 0.5) / SIDE
        share = rates["fifth"]
        mark = {"name": name, "x": float(x), "y": float(y), "share": share}
        marks.append(mark | {"colour": colour(share), "ink": ink(share), **rates})
    return marks


def colour(share: float) -> str:
    """Return the colour of a share in per cent."""
    return to_hex(mpl.colormaps[COLOURS](share / 100))


def ink(share: float) -> str:
    """Return the colour of letters over the colour of a share."""
    return "#ffffff" if share / 100 < DARK else "#000000"
