"""What the Snakefile asks about text encoders: class vectors made of texts, and word vectors of
attributes' phrases; imports no torch.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.ranges import SENTENCES
from zslpipe.names import text_name
from zslpipe.provenance import canonical, code_hash
from zslpipe.study.config import Run
from zslpipe.study.datasets import folder_fingerprint
from zslpipe.study.paths import PATHS, braced

DEMO = "demo"


class Texts:
    """The texts of a checked configuration, and its words of kind ``text``, by name."""

    def __init__(self, config: Mapping[str, Any]):
        self.entries: Mapping[str, Any] = config["texts"]
        self.words: Mapping[str, Any] = config["words"]
        self.data_root = Path(config["data_root"])

    @property
    def encoded_words(self) -> list[str]:
        """Names of words that a text encoder makes."""
        return [name for name, entry in self.words.items() if entry["kind"] == "text"]

    @property
    def other_words(self) -> list[str]:
        """Names of words that no encoder makes."""
        return [name for name in self.words if name not in self.encoded_words]

    def of_run(self, run: Run) -> list[str]:
        """Return the file of the texts that a run's class vectors are made of, none of another."""
        name = text_name(run.semantics)
        return [] if name is None else [PATHS.texts.format(dataset=run.dataset, texts=name)]

    def files(self, entry: Mapping[str, Any]) -> list[str]:
        """Return the files that a section names, as paths; a missing one is the job's to complain
        of.
        """
        named = [entry[key] for key in ("weights", "descriptions", "corrections") if key in entry]
        paths = [self.data_root / name for name in named]
        return [str(path) for path in paths if path.is_file()]

    def pair(self, dataset: str, entry: Mapping[str, Any]) -> list[str]:
        """Return the file of the demo's image-text pair, where that encodes."""
        return [PATHS.pair.format(dataset=dataset)] if entry["encoder"] == DEMO else []

    def code(self, entry: Mapping[str, Any], command: str) -> str:
        """Return the hash of the code of a ``command``, and what tells a change of a section's
        files where Snakemake cannot: folders are looked at file by file.
        """
        told = [folder_fingerprint(folder) for folder in self._folders(entry)]
        hashed = code_hash(f"zslpipe.commands.datasets:{command}")
        return hashed + braced(self.files(entry)) + (canonical(told) if told else "")

    def _folders(self, entry: Mapping[str, Any]) -> Iterator[Path]:
        """Yield the folders that a section names, those that are there."""
        named = [entry[key] for key in ("weights", "descriptions") if key in entry]
        if entry["encoder"].startswith(SENTENCES):
            named.append(entry["encoder"].removeprefix(SENTENCES))
        for name in named:
            if (self.data_root / name).is_dir():
                yield self.data_root / name
