"""What kind of machine this is, in a line: numbers measured on one kind say little of another."""

import os
import platform
import re
from pathlib import Path

MODEL = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)
CARD = re.compile(r"^Model:\s*(.+)$", re.MULTILINE)


def machine_kind(root: Path = Path("/proc")) -> str:
    """Return processor, number of cores that a job can have, and graphics cards."""
    processors, cards = root / "cpuinfo", []
    text = processors.read_text(encoding="utf8") if processors.is_file() else ""
    model = MODEL.search(text)
    for file in sorted((root / "driver" / "nvidia" / "gpus").glob("*/information")):
        cards += CARD.findall(file.read_text(encoding="utf8"))
    cores = len(os.sched_getaffinity(0))
    return ", ".join([model[1] if model else platform.machine(), f"{cores} cores", *cards])


def has_card(kind: str) -> bool:
    """Return whether a kind of machine has a graphics card."""
    return " cores, " in kind
