"""Results that one rule makes: the same is asked of them, on the same datasets."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Alike:
    """A rule, ``name``, for each of ``members`` on each of ``datasets``, of which the same is
    ``asked``.
    """

    name: str
    asked: tuple[str, ...]
    datasets: tuple[str, ...]
    members: tuple[str, ...]


def alike(begun: str, wanted: Iterable[tuple[tuple[str, ...], str, str]]) -> list[Alike]:
    """Return the rules for what is ``wanted`` (what is asked, dataset, member), named ``begun``,
    ``{begun}_2`` and so on, in the order in which they are first needed.
    """
    of_dataset: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for asked, dataset, member in wanted:
        of_dataset.setdefault((asked, dataset), []).append(member)
    rules: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (asked, dataset), found_there in of_dataset.items():
        rules.setdefault((asked, tuple(found_there)), []).append(dataset)
    found = []
    for number, ((asked, members), datasets) in enumerate(rules.items(), 1):
        name = begun if number == 1 else f"{begun}_{number}"
        found.append(Alike(name, asked, tuple(datasets), members))
    return found
