"""What MkDocs calls while it builds the site: pages that are made from the code are added, pages
that only some versions have are left out, links that hold in the repository hold on the site.
"""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # like the Snakefile: the checkout's own package

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docs.generated import commands, formats, methods
from docs.generated.docstrings import as_markdown, docstring
from docs.generated.equations import with_fences
from zslpipe.study.declarations import method_names

# Pages that are written where the feature is; the site is whole without.
OPTIONAL = ("studies.md", "importing-scores.md")
# Files of the repository's root that are pages, by the page.
OF_ROOT = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# <!-- docstring: zslpipe.module --> stands for what a module says of itself.
SAID = re.compile(r"<!-- docstring: ([\w.]+) -->")
# A fence that names the file it is, as CONTRIBUTING.md has them.
NAMED = re.compile(r"^```(\w+) (\S+/?\S*)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Drop optional pages that are not there, and add the methods' pages to the navigation."""
    config.nav = [_kept(config, entry) for entry in config.nav or []]
    return config


def _kept(config: MkDocsConfig, entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of the navigation without pages that are not there."""
    ((title, inside),) = entry.items()
    if title == "Methods":
        inside = [*inside, *({name: f"methods/{name}.md"} for name in method_names())]
    if isinstance(inside, list):
        inside = [one for one in inside if not _is_absent(config, one)]
    return {title: inside}


def _is_absent(config: MkDocsConfig, entry: Any) -> bool:
    """Return whether an entry is an optional page that is not written."""
    page = next(iter(entry.values())) if isinstance(entry, dict) else entry
    return page in OPTIONAL and not (Path(config.docs_dir) / page).exists()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {"commands.md": commands.page(), "formats.md": formats.page()}
    made["methods/index.md"] = methods.overview()
    made |= {f"methods/{name}.md": methods.page(name) for name in method_names()}
    for page, name in OF_ROOT.items():
        made[page] = (ROOT / name).read_text(encoding="utf8")
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Return a page with docstrings put in and with links that hold on the site."""
    text = SAID.sub(lambda found: as_markdown(docstring(found[1])), markdown)
    text = NAMED.sub(r'```\1 title="\2"', with_fences(text))
    # The README and docs/ link to files of the repository; on the site these are pages.
    text = re.sub(r"\]\((?:\.\./)?zslpipe/methods/(\w+)\.py\)", r"](methods/\1.md)", text)
    text = re.sub(r"\]\((?:\.\./)?CONTRIBUTING\.md", "](contributing.md", text)
    text = re.sub(r"\]\((?:\.\./)?CHANGELOG\.md", "](changelog.md", text)
    text = re.sub(r"\]\((?:\.\./)?README\.md", "](index.md", text)
    if page.file.src_uri in OF_ROOT:
        text = text.replace("](docs/", "](").replace('="docs/', '="')
    return text
