"""Jobs that SLURM's sbatch has refused, from Snakemake's log, each with what to do about it."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

# What the executor makes Snakemake write (snakemake-executor-plugin-slurm 2.8): sbatch's words, its
# call, and, of a job that is in no group, what the job was to write.
REFUSED = re.compile(
    r"^Error in (?:rule|group) (?P<job>\S+):\n    message: SLURM sbatch failed\. "
    r"The error message was '(?P<said>.*?)'\.\n    sbatch call:\n(?P<call>.*?)$"
    r"(?:(?!^Error in ).)*?^ +output: (?P<outputs>.*?)$",
    re.M | re.S,
)
ASKS_FOR_GPU = re.compile(r" --(?:gpus|gres)=")
NO_NODE = re.compile(r"generic resource|node configuration is not available", re.I)
NO_GPU = (
    "no node of the partition has the GPU that jobs ask for: set compute.device to cpu, or name a "
    "partition that has one (slurm_partition)"
)
# What to do, by what sbatch says; the first that fits, after NO_GPU.
ADVICE = {
    NO_NODE: "no node has so much memory or so many processors (--set-resources RULE:mem_mb=...)",
    re.compile(r"time limit", re.I): "give less time (--set-resources RULE:runtime=MINUTES)",
    re.compile(r"account", re.I): "name yours in the profile (default-resources: slurm_account)",
    re.compile(r"partition", re.I): "name one in the profile (default-resources: slurm_partition)",
}


def refused_submissions(logs: Sequence[str]) -> dict[str, str]:
    """Return output -> why sbatch refused the job that was to write it, and what to do."""
    found = {}
    for match in _refusals(logs):
        for output in match["outputs"].split(", "):
            found[output] = _told(match["said"], match["call"])
    return found


def refusals_told(logs: Sequence[str]) -> str:
    """Return a line for each thing that sbatch said when it refused jobs, with the names of their
    rules or groups; "" where it refused none.
    """
    jobs: dict[str, list[str]] = {}
    for match in _refusals(logs):
        jobs.setdefault(_told(match["said"], match["call"]), []).append(match["job"])
    lines = [f"{', '.join(dict.fromkeys(names))}: {line}\n" for line, names in jobs.items()]
    return "".join(lines)


def _refusals(logs: Sequence[str]) -> Iterator[re.Match[str]]:
    """Yield what a run's log files say of refused jobs."""
    for log in filter(Path.is_file, map(Path, logs)):
        yield from REFUSED.finditer(log.read_text(encoding="utf-8", errors="replace"))


def _told(said: str, call: str) -> str:
    """Return sbatch's words in a line with what to do about them."""
    reason = " ".join(said.replace("sbatch: error: ", "").split())
    if NO_NODE.search(reason) and ASKS_FOR_GPU.search(call):
        return f"SLURM refused it ({reason}); {NO_GPU}"
    for pattern, advice in ADVICE.items():
        if pattern.search(reason):
            return f"SLURM refused it ({reason}); {advice}"
    return f"SLURM refused it ({reason})"
