"""Names of rules that are made in a loop: Snakemake's log, which is read here, has words there."""

import re
from collections.abc import Sequence


def rule_names(begun: str, names: Sequence[str]) -> list[str]:
    """Return ``{begun}_{name}`` for each of ``names``, as a word; of names that would be the same
    word each later one gets its number.
    """
    found: list[str] = []
    for number, name in enumerate(names, 1):
        word = f"{begun}_" + re.sub(r"\W", "_", name, flags=re.ASCII)
        while word in found:
            word = f"{word}_{number}"
        found.append(word)
    return found
