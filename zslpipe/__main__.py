"""``python -m zslpipe``: the way the workflow's rules call the package, without an installation."""

import sys

from zslpipe.commands.cli import main

sys.exit(main())
