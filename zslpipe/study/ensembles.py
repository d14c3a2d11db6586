"""What the Snakefile asks about the jobs of ensembles: which files they average, and whose these
are; imports no torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.alike import alike
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Result, Results


@dataclass(frozen=True)
class Averaged:
    """Ensembles of which a job makes scores.h5 and the ``further`` files (validation, irrelevant)
    that their rebalancings need: a rule, ``name``, for ``ensembles`` on each of ``datasets``.
    """

    name: str
    further: tuple[str, ...]
    datasets: tuple[str, ...]
    ensembles: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        """The patterns of the further files."""
        return [PATHS.ensemble.replace("{file}", file) for file in self.further]

    @property
    def options(self) -> str:
        """The options that ask for them."""
        return " ".join(f"--also {file}" for file in self.further)


class Ensembles:
    """The jobs of the ensembles among a study's results."""

    def __init__(self, results: Results):
        self.results = results

    @property
    def together(self) -> list[Averaged]:
        """What the configuration asks for: a rule for ensembles with the same further files on the
        same datasets.
        """
        wanted = []
        for result in self.results.all:
            name = result.path.split("/")[0]
            if name in self.results.ensembles:
                wanted.append((self._further(result), result.dataset, name))
        rules = alike("ensemble", wanted)
        return [Averaged(one.name, one.asked, one.datasets, one.members) for one in rules]

    def _further(self, result: Result) -> tuple[str, ...]:
        """Return the files that the rebalancings of an ensemble need beside its scores."""
        needed = {file for kind in result.rebalancing for file in self.results.needs(kind)}
        return tuple(sorted(needed))

    def members_with(self, further: Sequence[str]) -> Callable[[Any], dict[str, list[str]]]:
        """Return what gives the files of an ensemble's members, ``further`` ones beside their
        scores, by the wildcards.
        """

        def files(wildcards: Any) -> dict[str, list[str]]:
            """Return the files by name: members, validation, {further file}_of_members."""
            found = self.member_scores(wildcards)
            for file in further:
                beside = self._of_members(wildcards, f"{PATHS.run}/{file}.h5")["members"]
                found[f"{file}_of_members"] = beside
            return found

        return files

    def member_files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return the files of an ensemble's members that are averaged, and validation.h5 of each
        where their temperatures come from it.
        """
        return self._of_members(wildcards, f"{PATHS.run}/{wildcards.file}.h5")

    def member_scores(self, wildcards: Any) -> dict[str, list[str]]:
        """Return what :meth:`member_files` does, of scores.h5."""
        return self._of_members(wildcards, PATHS.scores)

    def rebalanced_member_files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return what :meth:`member_files` does, of members after a rebalancing."""
        pattern = PATHS.rebalanced_scores.replace("{rebalancing}", wildcards.rebalancing)
        return self._of_members(wildcards, pattern)

    def _of_members(self, wildcards: Any, pattern: str) -> dict[str, list[str]]:
        """Return the files ``pattern`` of an ensemble's members, and their validation.h5."""
        patterns = {"members": pattern}
        if self.results.ensembles[wildcards.ensemble]["temperature"] == "likeliest":
            patterns["validation"] = PATHS.validation
        fill = {"dataset": wildcards.dataset, "seed": wildcards.seed}
        members = self.results.members(wildcards.ensemble)
        found = {}
        for name, one in patterns.items():
            found[name] = [one.format(run=member, **fill) for member in members]
        return found

    def options(self, wildcards: Any) -> str:
        """Return the options that name validation.h5 of an ensemble's members, and that these are
        experts.
        """
        files = self._of_members(wildcards, PATHS.scores).get("validation", [])
        options = [f"--validation {path}" for path in files]
        if not self.results.ensembles[wildcards.ensemble]["of"]:
            options.append("--experts")
        return " ".join(options)

    def members_asked(self, wildcards: Any) -> str:
        """Return the hashes of an ensemble's members, in their order, as JSON."""
        return self._members_hashes(wildcards, "none")

    def rebalanced_members_asked(self, wildcards: Any) -> str:
        """Return what :meth:`members_asked` does, of members after a rebalancing."""
        return self._members_hashes(wildcards, wildcards.rebalancing)

    def _members_hashes(self, wildcards: Any, kind: str) -> str:
        """Return the hashes of an ensemble's members under a kind of rebalancing, as JSON."""
        hashes = []
        for member in self.results.members(wildcards.ensemble):
            run = self.results.run_of(wildcards.dataset, member, int(wildcards.seed), kind)
            hashes.append(settings_hash(run))
        return canonical(hashes)
