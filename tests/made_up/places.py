"""Where the checkout and the real data lie, and how a test file runs as a script of its own."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "zslpipe"
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
# The real data of the development machines; tests that need it are skipped where it is not.
DATA = Path(os.environ.get("ZSLPIPE_DATA", ROOT.parent / "shared" / "data"))
# What a test file that is run as a script finds its imports by.
SCRIPT = os.environ | {"PYTHONPATH": str(ROOT)}
