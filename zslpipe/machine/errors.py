"""The exception that is shown to a user as a single line, and its kind."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave is wrong; one line says what, where and what to do."""


class NotNowError(InputError):
    """The same may go well another time or on another machine: what tries again should."""


def one_line(error: BaseException) -> str:
    """Return what an error of a library says, in one line of at most 160 characters (ours); its
    type where it says nothing.
    """
    said = " ".join(str(error).split()).strip("\"'")
    return said[:160] or type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name nearest to ``name``, whatever its case, or
    the list of known names.
    """
    known = sorted(known)
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if close:
        return f"did you mean {folded[close[0]]!r}?"
    return f"known: {', '.join(known) or 'none'}"
