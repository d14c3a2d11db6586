"""States of other tools and of images of another size, turned into those of a network by what its
library converts its own downloads by: open_clip's towers (``visual.``), DINOv2's and BEiT's first
files, position embeddings of another grid.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from torch import Tensor

State = Mapping[str, Tensor]
# A library's way from a file's names and shapes to a network's.
Convert = Callable[[State], State]

# What may stand before the tower of images of a file of images and texts.
BEFORE_TOWER = re.compile(r"(.+\.)?visual\.(class_embedding|trunk\.)")
# What open_clip calls the position embeddings of its tower.
IN_TOWER = {"pos_embed": "visual.positional_embedding"}


def conversions(
    sources: Iterable[tuple[str, State]], convert: Convert
) -> Iterator[tuple[str, State, str]]:
    """Yield what ``convert`` makes of each source, with the place that it stands at and what was
    done beside the names; nothing of what it cannot convert.
    """
    for place, state in sources:
        plain = _from_tower(state)
        try:
            made = convert(plain)
        except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            continue  # it is of no tool that the library knows
        tensors = {name: value for name, value in made.items() if isinstance(value, Tensor)}
        yield place, tensors, _resized(plain, tensors)


def _from_tower(state: State) -> State:
    """Return a state whose names of a tower of images begin with ``visual.``."""
    found = next(filter(None, map(BEFORE_TOWER.match, state)), None)
    before = (found[1] or "") if found else ""
    return {name.removeprefix(before): value for name, value in state.items()}


def _resized(before: State, after: State) -> str:
    """Return which position embeddings were resized, "" where none were."""
    for name, value in after.items():
        source = before.get(name, before.get(IN_TOWER.get(name, name)))
        if "pos" in name and source is not None and source.numel() != value.numel():
            tokens = source.numel() // value.shape[-1]
            sizes = f"from {tokens} to {value.numel() // value.shape[-1]} positions"
            return f"position embeddings are resized {sizes}"
    return ""
