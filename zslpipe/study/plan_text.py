"""A plan as lines for people: two tables, sums, and what costs most."""

from tabulate import tabulate

from zslpipe.machine.progress import duration
from zslpipe.study.job_costs import UNKNOWN
from zslpipe.study.plan import FileRow, JobRow, Plan, largest

UNITS = ("B", "kB", "MB", "GB", "TB")
# What would make a kind of job cheaper, by a word of its rule's name; the first that fits.
ADVICE = {
    "extract": "a smaller network or size, fewer extractors, or a GPU (compute.device)",
    "attend": "input: regions, whose maps come from the cache, or a GPU",
    "train": "fewer epochs (or episodes), candidates to choose among or seeds, or a GPU",
    "validate": "a rebalancing that is not chosen on the validation classes, or fewer seeds",
}
LESS_SPACE = "a smaller grid (14x14 has four times the bytes of 7x7) or fewer extractors"
# From this share of all bytes on it is worth a line (ours).
MOST = 0.5


def size_text(size: float) -> str:
    """Return bytes as "12 kB", "3.4 GB"."""
    for unit in UNITS[:-1]:
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in UNITS[:3] else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {UNITS[-1]}"


def plan_text(plan: Plan) -> str:
    """Return the plan as lines."""
    if not plan.jobs:
        return "nothing is due: all that the configuration asks for is there"
    datasets = [f"  {note}" for note in plan.notes]
    lines = [f"{plan.count} jobs are due", *datasets, "", _jobs(plan), "", _files(plan), ""]
    return "\n".join([*lines, *_sums(plan), *_costliest(plan), *_lacking(plan)])


def _jobs(plan: Plan) -> str:
    """Return the table of jobs."""
    columns = ("jobs", "dataset", "due", "each", "in all", "memory", "time is")
    rows = []
    for row in plan.jobs:
        each = in_all = "?"
        if row.taken is not None:
            each, in_all = _short(row.taken.core / row.count), _short(row.taken.core)
        memory = size_text(row.mem_mb * 1e6)
        if row.gpu:
            memory += " + GPU"
        rows.append([row.title, row.dataset, str(row.count), each, in_all, memory, row.source])
    return _table(columns, rows, "llrrrrl")


def _files(plan: Plan) -> str:
    """Return the table of files."""
    rows = []
    for row in plan.files:
        size = "?" if row.size is None else size_text(row.size)
        rows.append([row.title, row.dataset, str(row.count), size])
    return _table(("files", "dataset", "number", "bytes"), rows, "llrr")


def _table(columns: tuple[str, ...], rows: list[list[str]], sides: str) -> str:
    """Return a plain table; a side is l or r."""
    aligned = ["left" if side == "l" else "right" for side in sides]
    whole = [list(columns), *rows]
    drawn: str = tabulate(whole, tablefmt="plain", disable_numparse=True, colalign=aligned)
    return drawn


def _short(seconds: float) -> str:
    """Return seconds in a word; of less than ten with a digit behind the point."""
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _sums(plan: Plan) -> list[str]:
    """Return the sums: time, bytes."""
    least = "at least " if plan.unknown else ""
    cards = f", {duration(plan.gpu_seconds)} of a GPU" if plan.gpu_seconds else ""
    time = f"{least}{duration(plan.core_seconds)} of one processor{cards}"
    cores = f"{plan.cores} core" + ("s" if plan.cores > 1 else "")
    lines = [f"time: {time}; {least or 'about '}{duration(plan.wall)} on {cores}"]
    unsized = "at least " if any(row.size is None for row in plan.files) else ""
    space = f"{unsized}{size_text(plan.size)} of the {size_text(plan.free)} that are free"
    fault = "" if plan.size < plan.free else ": IT DOES NOT FIT"
    return [*lines, f"space: {space} under results/{fault}"]


def _costliest(plan: Plan) -> list[str]:
    """Return a line for the largest cost in time, and one for the largest in bytes."""
    lines, row = [], largest(plan)
    if row is not None and row.taken is not None and plan.core_seconds:
        share = row.taken.core / plan.core_seconds
        advice = f"; less by {_advice(row)}" if _advice(row) else ""
        lines.append(f"most time: {_called(row)}, {share:.0%}{advice}")
    for file in plan.files:
        if file.size is not None and file.size > MOST * plan.size:
            told = f"{_called(file)}, {file.size / plan.size:.0%}"
            lines.append(f"most space: {told}" + (_spared(file.title)))
    return lines


def _called(row: JobRow | FileRow) -> str:
    """Return a row's title, with its dataset where it is of one."""
    return f"{row.title} ({row.dataset})" if row.dataset else row.title


def _advice(row: JobRow) -> str:
    """Return what would make a kind of job cheaper, "" where nothing is known to."""
    for word, advice in ADVICE.items():
        if row.title.startswith(word):
            return advice
    return ""


def _spared(title: str) -> str:
    """Return what would take less space."""
    return f"; less by {LESS_SPACE}" if title.startswith("features") else ""


def _lacking(plan: Plan) -> list[str]:
    """Return what the numbers leave out."""
    lines = []
    if plan.unknown:
        shown = ", ".join(plan.unknown[:5]) + (", ..." if len(plan.unknown) > 5 else "")
        lines.append(f"time of {shown} is {UNKNOWN}: zslpipe plan --calibrate measures it")
    if plan.foreign:
        lines.append(f"measured on another machine: {'; '.join(plan.foreign)}")
    if not plan.on_card:
        told = "jobs ask for a GPU, and what they take was measured without one"
        lines.append(f"{told}: calibrate on a machine that has the GPU")
    return lines
