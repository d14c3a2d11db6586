"""Characters of people's names that a figure's font does not have: told once, in the log."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

# What matplotlib warns of: the character's number, the font.
MISSING = re.compile(r"Glyph (\d+) .*missing from (?:current font|font\(s\) ([^.]*))")
# Characters that a line shows (ours).
SHOWN = 10
# Those that this process has told of already.
_told: set[str] = set()


@contextmanager
def glyphs_told(figure: Path) -> Iterator[None]:
    """Let the log say which characters of ``figure``, drawn in the block, have no glyph in its font
    and become boxes; each is told once. Other warnings stay what they are.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    missing: set[str] = set()
    fonts: set[str] = set()
    for warning in caught:
        said = MISSING.search(str(warning.message))
        if said:
            missing.add(chr(int(said[1])))
            fonts.add(said[2] or "its font")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    new = sorted(missing - _told)
    if new:
        _told.update(new)
        shown = " ".join(new[:SHOWN]) + (" ..." if len(new) > SHOWN else "")
        font = " and ".join(sorted(fonts))
        logger.warning(
            "%s: %d characters are no letters of %s and are drawn as boxes: %s",
            *(figure, len(new), font, shown),
        )
