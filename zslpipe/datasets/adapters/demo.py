"""The built-in demo dataset: rendered creatures with attributes, a split into seen and unseen
classes, known parts.

Nothing is downloaded. Classes come in families whose members differ in a few parts, so that an
unseen class has seen relatives, as a species has. Auxiliary classes, rendered beside the dataset,
share no combination of attributes with it: they stand in for the images that a backbone is
pretrained on elsewhere. Every constant here is ours.
"""

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveInt

from zslpipe.datasets import creatures
from zslpipe.datasets.captions import write_captions
from zslpipe.datasets.creatures import ATTRIBUTES, COLOURS, FORMS, PARTS
from zslpipe.formats.index import Index, write_index
from zslpipe.machine.files import temporary_name
from zslpipe.machine.progress import counted
from zslpipe.machine.ranges import AtLeastTwo, Seed
from zslpipe.settings import as_plain, parse_settings

# The class vectors that there are.
SEMANTICS = ("att",)
FAMILIES = ("dabbler", "piper", "strutter", "weaver", "glider", "hopper", "rambler", "whistler")
HABITATS = ("marsh", "hill", "river", "forest", "meadow")
# Classes of every family: relatives have to be told apart among the unseen classes too.
HELD_OUT = 2
# Families whose held-out classes are unseen (10); those of the other 3 are for validation (6); 24
# classes train.
UNSEEN_FAMILIES = 5
TRAINING_SHARE = 0.8  # of a seen class's images; the rest is test_seen
MUTATIONS = 5  # attributes in which a class departs from its family: few enough to be fine-grained
SMALLEST_DISTANCE = 2  # traits (six colours, ten or so forms) in which any two classes differ
POOLED_FROM = 200  # pictures; below, starting processes takes longer than drawing

ATTRIBUTE_NAMES = tuple(f"{part}: {value}" for part, value in ATTRIBUTES)
# A class: each part's colour, then whether it has each form, in the order of PARTS.
Traits = tuple[str | bool, ...]


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about the demo dataset."""

    seed: Seed = 0  # of classes and pictures
    images_per_class: AtLeastTwo = 50  # pictures; with 24 classes to train on methods take minutes
    auxiliary_classes: AtLeastTwo = 64  # that the backbone is trained on
    auxiliary_images_per_class: PositiveInt = 32  # pictures of each


def class_strengths(seed: int, auxiliary_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return attribute strengths of the 40 classes (40, attribute) and of the auxiliary ones
    (auxiliary, attribute).

    All lie in [0, 1]; a part's colours sum to 1. No auxiliary class has the traits of one of the
    40.
    """
    rng = np.random.default_rng([seed, 0])
    traits: list[Traits] = []
    for _ in FAMILIES:
        family = _random_traits(rng)
        members: list[Traits] = []
        while len(members) < len(HABITATS):
            member = _mutate(family, rng)
            if all(_distance(member, other) >= SMALLEST_DISTANCE for other in traits + members):
                members.append(member)
        traits += members
    auxiliary: list[Traits] = []
    while len(auxiliary) < auxiliary_classes:
        candidate = _random_traits(rng)
        if candidate not in traits and candidate not in auxiliary:
            auxiliary.append(candidate)
    strengths = np.array([_strengths(one, rng) for one in traits + auxiliary])
    return strengths[: len(traits)], strengths[len(traits) :]


def traits_of(strengths: np.ndarray) -> Traits:
    """Return a class's traits: each part's likeliest colour, and whether each form is likelier than
    not.
    """
    strength = dict(zip(ATTRIBUTES, strengths, strict=True))
    colours = [max(COLOURS[part], key=lambda colour: strength[part, colour]) for part in PARTS]
    forms = [bool(strength[part, form] > 0.5) for part in PARTS for form in FORMS[part]]
    return (*colours, *forms)


def _random_traits(rng: np.random.Generator) -> Traits:
    """Draw traits: any colour of each part, each form with probability 0.4."""
    colours = [str(rng.choice(COLOURS[part])) for part in PARTS]
    forms = [bool(rng.random() < 0.4) for part in PARTS for _ in FORMS[part]]
    return (*colours, *forms)


def _mutate(family: Traits, rng: np.random.Generator) -> Traits:
    """Return the family's traits with MUTATIONS of them drawn again (colours) or turned over
    (forms).
    """
    traits = list(family)
    for place in rng.choice(len(traits), MUTATIONS, replace=False):
        if place < len(PARTS):
            others = [colour for colour in COLOURS[PARTS[place]] if colour != traits[place]]
            traits[place] = str(rng.choice(others))
        else:
            traits[place] = not traits[place]
    return tuple(traits)


def _distance(first: Traits, second: Traits) -> int:
    """Return the number of traits in which two classes differ."""
    return sum(one != other for one, other in zip(first, second, strict=True))


def _strengths(traits: Traits, rng: np.random.Generator) -> np.ndarray:
    """Return strengths (attribute,) for traits: mostly the class's own colour and forms, sometimes
    others.
    """
    forms = iter(traits[len(PARTS) :])
    strengths: list[float] = []
    for part, colour in zip(PARTS, traits, strict=False):
        others = rng.dirichlet(np.full(len(COLOURS[part]) - 1, 0.5)) * rng.uniform(0.0, 0.2)
        own = COLOURS[part].index(str(colour))
        strengths += list(np.insert(others, own, 1 - others.sum()))
        for _ in FORMS[part]:
            low, high = (0.8, 1.0) if next(forms) else (0.0, 0.15)
            strengths.append(rng.uniform(low, high))
    return np.array(strengths)


def write(settings: Mapping[str, Any], output: Path, data_root: Path) -> None:
    """Render the pictures beside ``output`` (images/, auxiliary/ with captions.csv) and write the
    index; same settings, same bytes.

    ``output`` is results/{dataset}/index.h5; ``data_root`` is not read, the demo needs no data.
    Raises InputError for unknown settings.
    """
    chosen = parse_settings(Settings, settings, f"dataset {output.parent.name!r}")
    strengths, auxiliary = class_strengths(chosen.seed, chosen.auxiliary_classes)
    names = tuple(f"{habitat} {family}" for family, habitat in product(FAMILIES, HABITATS))
    folders = [name.replace(" ", "_") for name in names]
    per_class = chosen.images_per_class
    images = output.parent / "images"
    locations = _render_folder(images, folders, strengths, per_class, [chosen.seed, 1])
    _render_auxiliary(chosen, auxiliary, output.parent / "auxiliary")
    paths = tuple(_picture(folder, number) for folder in folders for number in range(per_class))
    index = _index(output.parent.name, chosen, names, strengths, paths, locations)
    write_index(index, output, as_plain(chosen))


def _render_auxiliary(chosen: Settings, strengths: np.ndarray, target: Path) -> None:
    """Render the auxiliary classes, whose part locations nobody asks for, and write beside them
    what each picture shows.
    """
    folders = [f"auxiliary_{number:03d}" for number in range(len(strengths))]
    per_class, seed = chosen.auxiliary_images_per_class, [chosen.seed, 2]
    _render_folder(target, folders, strengths, per_class, seed)
    drawn = {}
    for label, folder in enumerate(folders):
        for number in range(per_class):
            drawn[_picture(folder, number)] = (strengths[label], [*seed, label, number])
    write_captions(target.with_name("captions.csv"), drawn, ATTRIBUTE_NAMES)


def _picture(folder: str, number: int) -> str:
    """Return the path of a picture below the image folder."""
    return f"{folder}/{number:03d}.png"


def _render_folder(
    target: Path, folders: list[str], strengths: np.ndarray, per_class: int, seed: list[int]
) -> np.ndarray:
    """Render ``per_class`` pictures of every class into ``target`` and return part locations
    (image, part, 2).

    The folder appears whole or not at all. Every picture has its own random stream, so that the
    number of processes makes no difference.
    """
    partial = temporary_name(target)
    shutil.rmtree(partial, ignore_errors=True)
    for folder in folders:
        (partial / folder).mkdir(parents=True)
    jobs = [
        (partial / _picture(folder, number), strengths[label], [*seed, label, number])
        for label, folder in enumerate(folders)
        for number in range(per_class)
    ]
    if len(jobs) < POOLED_FROM:
        locations = [_render(job) for job in jobs]
    else:
        # Those that a cluster or taskset grants, not all of the machine's.
        processors = len(os.sched_getaffinity(0))
        with ProcessPoolExecutor(processors, mp_context=get_context("spawn")) as pool:
            drawn = pool.map(_render, jobs, chunksize=32)
            locations = list(counted(drawn, "drawing", "pictures", len(jobs)))
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return np.array(locations)


def _render(job: tuple[Path, np.ndarray, list[int]]) -> np.ndarray:
    """Render one picture to a path from class strengths and a seed; return its part locations
    (part, 2).
    """
    path, strengths, seed = job
    rng = np.random.default_rng(seed)
    image, locations = creatures.draw(creatures.sample_looks(strengths, rng), rng)
    image.save(path, compress_level=1)
    return locations


def _index(
    dataset: str,
    settings: Settings,
    names: tuple[str, ...],
    strengths: np.ndarray,
    paths: tuple[str, ...],
    locations: np.ndarray,
) -> Index:
    """Put together the index of the rendered pictures."""
    seen, validation = _held_out(settings.seed)
    labels = np.repeat(np.arange(len(names)), settings.images_per_class)
    groups = tuple(part for part, _ in ATTRIBUTES)
    return Index(
        dataset=dataset,
        adapter="demo",
        paths=paths,
        labels=labels,
        class_names=names,
        seen=seen,
        validation=validation,
        splits=_splits(labels, seen, validation, settings.images_per_class),
        semantics={"att": strengths},
        attribute_names=ATTRIBUTE_NAMES,
        attribute_groups=groups,
        attribute_parts=np.array(groups)[:, None] == np.array(PARTS),
        part_names=PARTS,
        part_locations=locations,
        protocol="demo split",
    )


def _held_out(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which classes are seen and which are for validation, both (class,) bool."""
    rng = np.random.default_rng([seed, 3])
    seen = np.ones((len(FAMILIES), len(HABITATS)), bool)
    validation = np.zeros_like(seen)
    for place, family in enumerate(rng.permutation(len(FAMILIES))):
        members = rng.choice(len(HABITATS), HELD_OUT, replace=False)
        if place < UNSEEN_FAMILIES:
            seen[family, members] = False
        else:
            validation[family, members] = True
    return seen.ravel(), validation.ravel()


def _splits(
    labels: np.ndarray, seen: np.ndarray, validation: np.ndarray, per_class: int
) -> dict[str, np.ndarray]:
    """Return image numbers of the five splits; pictures are independent, so the first ones of a
    class train.
    """
    trained = min(round(TRAINING_SHARE * per_class), per_class - 1)  # images of a class
    training = np.arange(len(labels)) % per_class < trained
    trainval = training & seen[labels]
    rows = {
        "trainval": trainval,
        "test_seen": ~training & seen[labels],
        "test_unseen": ~seen[labels],
        "train": trainval & ~validation[labels],
        "val": trainval & validation[labels],
    }
    return {name: np.flatnonzero(chosen) for name, chosen in rows.items()}
