"""Task-irrelevant images: images of none of a dataset's classes, from which R learns what "unseen"
looks like.

The paper takes PASCAL VOC 2008 without the classes that overlap with the dataset's (Classifier
Crafting, sec. 2.2). Two layouts are read; images of dropped classes are left out::

    voc       JPEGImages/{name}.jpg and Annotations/{name}.xml, the xml naming every object in the
              image
    folder    images whose class is the folder they lie in, or else their file name; a synset id in
              front (``n01514668_cock.jpg``) is no part of the name

What is left is listed (:mod:`zslpipe.formats.image_list`).
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.etree import ElementTree

from zslpipe.datasets.reading import image_files
from zslpipe.datasets.reading.listing import SUFFIXES, list_pictures
from zslpipe.datasets.reading.text_files import check_folder
from zslpipe.formats.image_list import write_image_list
from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import FileName
from zslpipe.names import same_form
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)

# Everingham et al., The PASCAL Visual Object Classes Challenge 2008: a class without an image here
# may be dropped too.
VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
# ImageNet's class ids, with the name that some copies write behind.
SYNSET = re.compile(r"(n\d{8})(?:_(.+))?")
SHOWN = 5  # files named in an error before the count
# What each image shows, by its path, and notes on what was passed over.
Shown = tuple[dict[str, frozenset[str]], tuple[str, ...]]


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about task-irrelevant images; ``images`` is relative to the data
    folder.
    """

    images: FileName  # folder
    drop: tuple[str, ...] = ()  # classes that overlap with the dataset's: names, or synset ids
    layout: Literal["folder", "voc"] = "folder"  # voc: JPEGImages and Annotations


def write_irrelevant_images(settings: Mapping[str, Any], output: Path, data_root: Path) -> None:
    """Write the sorted list of images that show no dropped class; the file appears whole or not at
    all.

    Raises InputError, in one line, for unknown settings, an unknown class to drop (naming the
    nearest), a folder that is absent or without images, images that cannot be read, and where
    nothing is left.
    """
    where = "task-irrelevant images"
    chosen = parse_settings(Settings, settings, where)
    root = data_root / chosen.images
    check_folder(root, where)
    shown, notes = _voc(root, where) if chosen.layout == "voc" else _folder(root, where)
    known = {name for names in shown.values() for name in names}
    if chosen.layout == "voc":
        known |= set(VOC_CLASSES)
    dropped = _dropped(chosen.drop, known, root, where)
    kept = sorted(path for path, names in shown.items() if not names & dropped)
    if not kept:
        fault = f"all {len(shown)} images under {root} show a dropped class"
        raise InputError(f"{where}: {fault}; drop fewer")
    image_files.check_images(root, kept, where)
    write_image_list(output, Path(chosen.images).name, asdict(chosen), kept)
    for note in notes:
        logger.info("%s: %s", where, note)
    logger.info(
        "%s: %d of %d images of %s show no dropped class", where, len(kept), len(shown), root
    )


def _dropped(drop: Sequence[str], known: set[str], root: Path, where: str) -> set[str]:
    """Return the classes to drop as they are ``known``, all that a name fits: a class may be
    written in two ways among the images. Raises InputError for a name that fits none.
    """
    forms: dict[str, set[str]] = {}
    for name in known:
        forms.setdefault(same_form(name), set()).add(name)
    dropped: set[str] = set()
    for name in drop:
        found = forms.get(same_form(name), set())
        if not found:
            fault = f"no image of class {name!r} to drop under {root}"
            raise InputError(f"{where}: {fault}; {nearest(name, known)}"[:300])
        dropped |= found
    return dropped


def _voc(root: Path, where: str) -> Shown:
    """Return image path -> names of the objects in it, in VOC's layout, and notes on what was
    passed over; InputError where an annotation is missing.
    """
    found = list_pictures(root / "JPEGImages", range(1))
    files = {}
    for path in found.paths:
        annotation = root / "Annotations" / f"{PurePosixPath(path).stem}.xml"
        files[f"JPEGImages/{path}"] = annotation
    if not files:
        question = f"is {root} a folder such as VOCdevkit/VOC2008?"
        raise InputError(f"{where}: no images in {root / 'JPEGImages'}; {question}")
    missing = [file.name for file in files.values() if not file.is_file()]
    if missing:
        named = ", ".join(missing[:SHOWN])
        fault = f"{len(missing)} of {len(files)} annotations missing in {root}/Annotations"
        raise InputError(f"{where}: {fault}: {named}")
    return {path: _objects(file) for path, file in files.items()}, found.notes


def _objects(file: Path) -> frozenset[str]:
    """Return the names of an annotation's objects (not of their parts); InputError where it is no
    annotation.
    """
    try:
        annotation = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{file}: not a readable annotation ({error})") from None
    names = [(entry.findtext("name") or "").strip() for entry in annotation.findall("object")]
    if annotation.tag != "annotation" or not all(names):
        wanted = "<annotation> with <object><name> expected"
        raise InputError(f"{file}: not an annotation of PASCAL VOC: {wanted}")
    return frozenset(names)


def _folder(root: Path, where: str) -> Shown:
    """Return image path -> the texts that its class may be dropped by, and notes on what was passed
    over; InputError where there is no image.
    """
    found = list_pictures(root)
    if not found.paths:
        raise InputError(f"{where}: no images ({', '.join(SUFFIXES)}) under {root}")
    return {path: class_texts(path) for path in found.paths}, found.notes


def class_texts(path: str) -> frozenset[str]:
    """Return what the class of an image, by its path below the image folder, is called:
    ``n01514668_cock.jpg`` and ``n01514668_cock/5.jpg`` are ``n01514668_cock``, ``n01514668`` and
    ``cock``.
    """
    parts = PurePosixPath(path)
    name = parts.parts[0] if len(parts.parts) > 1 else parts.stem
    synset = SYNSET.fullmatch(name)
    if synset is None:
        return frozenset({name})
    number, behind = synset.groups()
    return frozenset({name, number, behind or name})
