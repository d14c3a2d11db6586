"""What the Snakefile asks about the jobs of ensembles: which files they average, and whose these
are; imports no torch.
"""

from typing import Any

from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results


class Ensembles:
    """The jobs of the ensembles among a study's results."""

    def __init__(self, results: Results):
        self.results = results

    def member_files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return the files of an ensemble's members that are averaged, and validation.h5 of each
        where their temperatures come from it.
        """
        return self._of_members(wildcards, f"{PATHS.run}/{wildcards.file}.h5")

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
