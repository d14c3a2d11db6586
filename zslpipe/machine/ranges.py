"""Ranges that numbers and texts of settings are declared with, beside pydantic's own.

Whoever reads a configuration refuses what lies outside of them; code that is handed a Config does
not look at them again.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

# From 0 to below 1, such as a momentum.
BelowOne = Annotated[float, Field(ge=0, lt=1)]
# Above 0, at most 1, such as a crop's share of an image.
Share = Annotated[float, Field(gt=0, le=1)]
# Above 0, below 1, such as a part of the images that both parts need.
BetweenZeroAndOne = Annotated[float, Field(gt=0, lt=1)]
# Of pictures a class: one to train on and one to test on.
AtLeastTwo = Annotated[int, Field(ge=2)]
# Of a list: at least one.
OneOrMore = Field(min_length=1)
# Of random numbers: scikit-learn takes no larger one.
Seed = Annotated[int, Field(ge=0, lt=2**32)]

VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


def _plain_path(text: str) -> str:
    """Return a file name; ValueError where only a shell would know which file is meant."""
    if text == "~" or text.startswith("~/"):
        raise ValueError(
            "begins with ~, which stands for your folder in data_root alone; "
            "write the whole path, or one relative to data_root"
        )
    variable = VARIABLE.search(text)
    if variable:
        raise ValueError(
            f"names the variable {variable[0]}, which is looked up in data_root alone; "
            "write the whole path, or one relative to data_root"
        )
    return text


# A file or folder, relative to data_root or absolute.
FileName = Annotated[str, Field(min_length=1), AfterValidator(_plain_path)]

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def _device(text: str) -> str:
    """Return a device; ValueError for a text that names none."""
    if not DEVICE.fullmatch(text):
        raise ValueError(
            "is no device: write auto (a GPU where there is one), cpu, cuda, or cuda:0, cuda:1 ..."
        )
    return text


# Where a job computes.
Device = Annotated[str, AfterValidator(_device)]

# Endings of files of weights, of all tools (ours): what has none of them is a library's name of
# weights.
WEIGHT_FILES = (".pt", ".pth", ".pth.tar", ".tar", ".ckpt", ".bin", ".safetensors", ".pkl")


def is_weights_file(weights: str) -> bool:
    """Return whether ``weights`` names a file, not a library's weights."""
    return weights.lower().endswith(WEIGHT_FILES)
