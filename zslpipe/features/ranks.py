"""The ranks of one extraction and what they tell each other, through files in its work folder: a
run may be on several nodes, and what all of them see is the file system.

Rank 0 holds the folder (:func:`zslpipe.machine.files.held_folder`), unites what earlier runs have
written, looks which blocks are missing, and says so in ``go.json``, under the name of the run; the
others begin when they see it, so that what is wrong with the settings is told once. Blocks are
divided beforehand: of those missing, in groups that share no page
(:mod:`zslpipe.formats.block_writer`), rank r of n takes each n-th from the r-th on. Each rank has a
thread that says every ten seconds in ``rank{r}.json`` that it lives and how far it is, and in the
end which images are broken; rank 0 adds this up in ``progress.json``, for ``zslpipe status``. It
waits for all, and gives up where one has been silent for five minutes: faults are told by whoever
started the ranks (:mod:`zslpipe.machine.ranks`), which stops the others; silence is for those that
are out of its sight. A rank that finds the name of another run in ``go.json`` stops: its own has
ended without it.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import written_whole
from zslpipe.machine.interruption import StopRequest
from zslpipe.machine.progress import REPORT_SECONDS
from zslpipe.machine.ranks import Rank

# How often a rank looks for what others say, and after how long without a word it gives up (ours:
# clients of NFS may show a file as it was a minute ago, and a rank speaks every ten seconds).
LOOK_SECONDS, SILENCE_SECONDS = 0.2, 300.0


def share(missing: Sequence[int], together: int, rank: Rank) -> list[int]:
    """Return the ``missing`` blocks that a rank writes; no two ranks get blocks of one group of
    ``together`` neighbours.
    """
    groups = sorted({block // together for block in missing})
    own = set(groups[rank.number :: rank.count])
    return [block for block in missing if block // together in own]


class Team:
    """The run that a ``rank`` is part of, as it shows in the work ``folder``; until the block is
    left, a rank that has begun says that it lives.

    ``done`` and ``blocks`` are how many images and blocks this rank has done in this run,
    ``broken`` the error texts of the other ranks' images by block, which rank 0 learns in the end.
    """

    def __init__(self, folder: Path, rank: Rank):
        self.folder, self.rank = folder, rank
        self.done = self.blocks = 0
        self.broken: dict[int, list[str]] = {}
        self._end, self._lock = threading.Event(), threading.Lock()
        # Of each rank: its last word, and when that came (by this machine's clock).
        self._words: dict[int, tuple[dict[str, Any], float]] = {}

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *_: object) -> None:
        self.hush()

    def begin(self) -> None:
        """Speak from now on: rank 0 when it holds the folder, the others when they see the run
        begin.
        """
        if self.rank.count == 1:
            return
        if self.rank.number == 0:
            for path in (self._go, *self.folder.glob("rank*.json")):
                path.unlink(missing_ok=True)
            # Made here: a network file system may tell for a minute that a file is not there which
            # another client has made since one looked.
            for number in range(1, self.rank.count):
                self._path(number).write_text("{}")
        threading.Thread(target=self._speak, name="sign of life", daemon=True).start()

    def go(self, missing: Sequence[int]) -> None:
        """Let the others begin with the ``missing`` blocks."""
        if self.rank.count > 1:
            with written_whole(self._go) as temporary:
                told = {"run": self.rank.run, "missing": list(missing)}
                temporary.write_text(json.dumps(told))

    def missing(self) -> list[int]:
        """Return the missing blocks as soon as rank 0 says which; raises InputError where it is
        silent.
        """
        heard = time.monotonic()
        while not self.is_on():
            if self._hear(0):
                heard = time.monotonic()
            self._check_silence(0, heard)
            time.sleep(LOOK_SECONDS)
        return [int(block) for block in _read(self._go)["missing"]]

    def is_on(self) -> bool:
        """Return whether this run is the one that writes here."""
        return self.rank.count == 1 or _read(self._go).get("run") == self.rank.run

    def others(self, what: str) -> int:
        """Return how many images (``done``) or ``blocks`` the other ranks say they have done."""
        total = 0
        for number in range(1, self.rank.count):
            self._hear(number)
            total += int(self._words.get(number, ({}, 0.0))[0].get(what, 0))
        return total

    def leave(self, broken: Mapping[int, Sequence[str]]) -> None:
        """Say that this rank has done its part, and the error texts of ``broken`` images by
        block.
        """
        self._end.set()
        told = {str(block): list(texts) for block, texts in broken.items()}
        self._say({"ended": True, "broken": told})

    def hush(self) -> None:
        """Say nothing more: whatever is written to the folder behind this is written by others."""
        self._end.set()
        with self._lock:  # a word that is under way
            pass

    def wait(self, stop: StopRequest, tell: Callable[[], None]) -> bool:
        """Wait until all other ranks have done their part, and ``tell`` how far they are meanwhile;
        return whether they have, and not this rank been told to stop.

        Raises InputError where one is silent.
        """
        waiting, began = set(range(1, self.rank.count)), time.monotonic()
        while waiting and not stop.made:
            tell()
            for number in sorted(waiting):
                self._hear(number)
                word, heard = self._words.get(number, ({}, began))
                if word.get("ended"):
                    waiting.remove(number)
                    for block, texts in word["broken"].items():
                        self.broken[int(block)] = texts
                else:
                    self._check_silence(number, heard)
            time.sleep(LOOK_SECONDS if waiting else 0.0)
        return not waiting

    @property
    def _go(self) -> Path:
        """Where rank 0 says that the run has begun."""
        return self.folder / "go.json"

    def _path(self, number: int) -> Path:
        """Return where a rank speaks."""
        return self.folder / f"rank{number}.json"

    def _speak(self) -> None:
        """Say that this rank lives until it has ended."""
        while not self._end.is_set():
            self._end.wait(REPORT_SECONDS if self._said() else LOOK_SECONDS)

    def _said(self) -> bool:
        """Say that this rank lives; return whether that could be written (what is wrong with the
        disk is told where a block is written).
        """
        try:
            self._say({})
        except OSError:
            return False
        return True

    def _say(self, state: Mapping[str, object]) -> None:
        """Write what this rank has to say; nothing after its last word."""
        path = self._path(self.rank.number)
        known = {"run": self.rank.run, "done": self.done, "blocks": self.blocks}
        with self._lock:
            if state or not self._end.is_set():
                with written_whole(path) as temporary:
                    temporary.write_text(json.dumps({**known, "time": time.time(), **state}))

    def _hear(self, number: int) -> bool:
        """Look what a rank says; return whether that is new."""
        word = _read(self._path(number))
        known = word.get("run") == self.rank.run
        if not known or word == self._words.get(number, (None, 0.0))[0]:
            return False
        self._words[number] = word, time.monotonic()
        return True

    def _check_silence(self, number: int, heard: float) -> None:
        """Raise InputError where nothing has been heard of a rank for too long."""
        if time.monotonic() - heard > SILENCE_SECONDS:
            raise InputError(
                f"{self.folder}: rank {number} of {self.rank.count} has said nothing for "
                f"{SILENCE_SECONDS / 60:.0f} minutes: see whether its node or its GPU is taken, "
                "and run again; what is done is kept"
            )


def _read(path: Path) -> dict[str, Any]:
    """Return what a file says, nothing where it is not there yet or is being written."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
