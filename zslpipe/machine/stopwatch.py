"""What a piece of work takes: seconds of processors and seconds of the clock."""

import os
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Taken:
    """``core``: seconds of processors, of all threads and of processes that have ended; ``wall``:
    seconds of the clock, which others' work on the machine lengthens.
    """

    core: float = 0.0
    wall: float = 0.0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.core + other.core, self.wall + other.wall)

    def __sub__(self, other: "Taken") -> "Taken":
        return Taken(self.core - other.core, self.wall - other.wall)

    def times(self, factor: float) -> "Taken":
        """Return so many times as much."""
        return Taken(self.core * factor, self.wall * factor)

    @property
    def worked(self) -> float:
        """Return seconds of work: the clock of a busy machine runs on while others work."""
        return min(self.core, self.wall)

    def at_least_nothing(self) -> "Taken":
        """Return the same with 0 in place of what noise made negative."""
        return Taken(max(0.0, self.core), max(0.0, self.wall))


def now() -> Taken:
    """Return a moment: two of them differ by what was taken in between."""
    processors = os.times()
    children = processors.children_user + processors.children_system
    return Taken(time.process_time() + children, time.perf_counter())
