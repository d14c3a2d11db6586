"""What memory the control groups (cgroups, versions 1 and 2) leave a process: SLURM limits a job,
whose steps and tasks are groups within it, so that a group's parents count, too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# Pages of files that were read once, which the kernel gives up first: of version 1, of version 2.
FILES = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.M)


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes that a group may have, and those that it has and would not give up at once."""

    allowed: int
    used: int


def memory_limits(root: Path = GROUPS, own: Path = OWN) -> Iterator[MemoryLimit]:
    """Yield the limits of the process's groups and of those that hold them, of each limited one."""
    for line in own.read_text().splitlines() if own.is_file() else ():
        _, kind, group = line.split(":", 2)
        if kind == "":
            yield from _of_groups(root, group, "memory.max", "memory.current")
        elif kind == "memory":
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            yield from _of_groups(root / "memory", group, *names)


def _of_groups(place: Path, group: str, allowed: str, used: str) -> Iterator[MemoryLimit]:
    """Yield the limits of a group and of those that it lies in."""
    lowest = place / group.lstrip("/")
    for folder in (lowest, *lowest.parents):
        limit = _text(folder / allowed)
        if limit.isdigit():
            read = FILES.findall(_text(folder / "memory.stat"))
            files = int(read[-1]) if read else 0
            yield MemoryLimit(int(limit), max(0, int(_text(folder / used) or 0) - files))


def _text(path: Path) -> str:
    """Return what a file says, "" where it is not there."""
    return path.read_text().strip() if path.is_file() else ""
