"""Names that belong together across files, joined in one way for all of them.

A name fits another where both are the same after this and nothing else: Unicode's composed form
(a Mac's file system decomposes "é"), no case, and one space for any run of spaces, underscores,
dashes and plus signs. A number with a point before a name ("001.Black_footed_Albatross", CUB's
folders) may be missing on one side. Digits and dots count: "1.2" is neither "12" nor "2".
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from zslpipe.machine.errors import InputError, nearest

# Bytes of a file name that are no UTF-8, as Python hands them on (PEP 383).
FOREIGN_BYTES = re.compile("[\udc80-\udcff]+")
# Spaces of any kind, underscores, plus signs (AWA's "grizzly+bear"), hyphens, dashes and the minus.
SEPARATORS = re.compile(r"[\s_+\-\u00ad\u2010-\u2015\u2212]+")
INVISIBLE = re.compile("[\u200b-\u200d\u2060\ufeff]")  # zero-width characters
# CUB's folder numbers; a number before another number is part of a name.
NUMBERED = re.compile(r"\d+\.\s*(?=[^\W\d])")
SHOWN = 300  # characters of a message at most
SUGGESTED = "did you mean"  # how nearest begins where it names one
# What stands for spaces in class names; hyphens are part of words.
SPACES = re.compile(r"[\s_+]+")
# How class vectors made of texts are called beside a dataset's own kinds: by the texts' name.
TEXT = "text/"


def text_name(kind: str) -> str | None:
    """Return the name of the texts that class vectors of a ``kind`` are made of, None where they
    are the dataset's own.
    """
    return kind.removeprefix(TEXT) if kind.startswith(TEXT) else None


def in_words(name: str) -> str:
    """Return a class's name as a text has it: "Black footed Albatross" for
    "001.Black_footed_Albatross", "grizzly bear" for "grizzly+bear".
    """
    plain = INVISIBLE.sub("", unicodedata.normalize("NFC", readable(name)))
    spaced = SPACES.sub(" ", plain).strip()
    return NUMBERED.sub("", spaced, count=1) if NUMBERED.match(spaced) else spaced


def readable(name: str) -> str:
    """Return a file name with bytes that are no UTF-8 read as Windows-1252, in which old archives
    and drives hold them.
    """
    return FOREIGN_BYTES.sub(_windows_text, name)


def _windows_text(found: re.Match[str]) -> str:
    """Return foreign bytes as text."""
    return found[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def same_form(name: str) -> str:
    """Return the form in which names are compared, its leading number kept."""
    plain = INVISIBLE.sub("", unicodedata.normalize("NFC", readable(name)))
    folded = unicodedata.normalize("NFC", plain.casefold())
    return SEPARATORS.sub(" ", folded).strip()


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the known name nearest to ``name``, as :func:`zslpipe.machine.errors.nearest`, with
    the first letter beyond ASCII in which they differ: some look like others.
    """
    found = nearest(readable(name), known)
    odd = [letter for letter in {*readable(name)} ^ {*found} if not letter.isascii()]
    if not found.startswith(SUGGESTED) or not odd:
        return found
    letter = min(odd)
    return f"{found} (they differ in {letter!r}, {unicodedata.name(letter, f'{ord(letter):#x}')})"


class KnownNames:
    """Names in their order, asked for by what other files call them."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        self.exact: dict[str, int] = {}
        self.forms: dict[str, list[int]] = {}
        self.numberless: dict[str, list[int]] = {}
        for number, name in enumerate(self.names):
            form = same_form(name)
            self.exact.setdefault(name, number)
            self.forms.setdefault(form, []).append(number)
            if NUMBERED.match(form):
                self.numberless.setdefault(NUMBERED.sub("", form, count=1), []).append(number)

    def fitting(self, name: str) -> list[int]:
        """Return the positions of the names that ``name`` fits: the equal one alone, else all that
        fit; a leading number is left out where nothing fits with it.
        """
        if name in self.exact:
            return [self.exact[name]]
        form = same_form(name)
        found = self.forms.get(form)
        if found is None and NUMBERED.match(form):
            return self.forms.get(NUMBERED.sub("", form, count=1), [])
        return self.numberless.get(form, []) if found is None else found

    def one(self, name: str) -> int | None:
        """Return the position of the only name that ``name`` fits, None where none or several
        are.
        """
        found = self.fitting(name)
        return found[0] if len(found) == 1 else None

    def position(self, name: str, where: str, kind: str = "class") -> int:
        """Return the position of the only name that ``name`` fits; raises InputError, beginning
        with ``where``, where there is none, or more than one.
        """
        found = self.fitting(name)
        if not found:
            fault = f"no {kind} is called {readable(name)!r}; {suggestion(name, self.names)}"
            raise InputError(f"{where}: {fault}"[:SHOWN])
        if len(found) > 1:
            both = " and ".join(repr(self.names[number]) for number in found[:2])
            fault = f"{readable(name)!r} may be {both}; write the one that is meant as it stands"
            raise InputError(f"{where}: {fault}"[:SHOWN])
        return found[0]


def joined(names: Sequence[str], known: Sequence[str], where: str, kind: str) -> list[int]:
    """Return the positions in ``known`` of ``names``, no two the same; raises InputError as
    :meth:`KnownNames.position`, and where two names are one.
    """
    table = KnownNames(known)
    taken: dict[int, str] = {}
    for name in names:
        number = table.position(name, where, kind)
        if number in taken:
            fault = f"{readable(taken[number])!r} and {readable(name)!r} are both {kind}"
            raise InputError(f"{where}: {fault} {known[number]!r}; rename or merge them"[:SHOWN])
        taken[number] = name
    return list(taken)
