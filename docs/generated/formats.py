"""The page of files: a section for each module of ``zslpipe.formats`` that lays out a file."""

import re

from docs.generated.docstrings import as_markdown, of_file
from zslpipe.provenance import PACKAGE

# The file that a module lays out stands first in its docstring.
LAID_OUT = re.compile(r"``([\w.]+)``: ")
# What the others, without a name of their own, lay out.
OTHERS = {
    "features": "features/{extractor}.h5",
    "image_list": "{irrelevant}.h5",
    "texts": "texts/{name}.h5",
    "zarr_store": "features/{extractor}.zarr",
}
INTRODUCTION = """\
# Files

Everything that a job leaves behind, as the module that writes and reads it says. Numbers of images,
classes and attributes are 0-based. Each HDF5 file ends in a seal, a CRC-32 of all that was written,
and says what it is made of; whatever reads it compares both with what is asked.

The chain is: `index.h5`, `words.h5` or `texts/*.h5`, `features/*.h5`, then a run's `weights.pt`,
`history.csv` and `scores.h5`, then `metrics.json`. A program of somebody else joins by writing a
`scores.h5`.
"""


def page() -> str:
    """Return the page in Markdown."""
    blocks = [INTRODUCTION]
    for path in sorted((PACKAGE / "formats").glob("*.py")):
        text = of_file(path)
        named = LAID_OUT.match(text)
        title = named[1] if named else OTHERS.get(path.stem, "")
        if title:
            said = text[named.end() :] if named else text
            blocks += [f"## `{title}`", as_markdown(said[0].upper() + said[1:])]
            blocks.append(f"Source: `zslpipe/formats/{path.name}`.")
    return "\n\n".join(blocks) + "\n"
