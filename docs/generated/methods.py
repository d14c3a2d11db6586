"""A page a method, from its file and from the configurations that run it."""

from pathlib import Path
from typing import Any

import yaml

from docs.generated.docstrings import as_markdown, docstring, inline, paragraphs
from docs.generated.equations import equations, plain_equations
from zslpipe.provenance import PACKAGE
from zslpipe.study.declarations import DECLARABLE, method_names, read_method
from zslpipe.study.reference import method_section

ROOT = PACKAGE.parent
EXPERIMENTS = ROOT / "workflow" / "experiments"
STUDIES = ROOT / "workflow" / "studies"
# What the words of DECLARES mean to a reader.
DECLARED = {
    "words": "word vectors of the attributes",
    "epochs": "trains in epochs",
    "attention": "maps of where it looks for each attribute: figures, localisation",
    "part_attention": "maps of parts that it finds itself: figures, localisation",
    "attribute_scores": "a score for each attribute",
    "same_space": "class vectors from the space of its features: of one image-text pair",
    "untrained": "trains nothing: a row of one seed",
    "closed_form": "draws nothing at random: a row of one seed, unless validation classes choose",
}


def title_of(name: str) -> str:
    """Return the first paragraph of a method's docstring, in one line and without its last dot."""
    return " ".join(paragraphs(docstring(f"zslpipe.methods.{name}"))[0].split()).rstrip(".")


def page(name: str) -> str:
    """Return the page of a method in Markdown."""
    return "\n\n".join([*_paper(name), *_input(name), *_settings(name), *_run_by(name)]) + "\n"


def _paper(name: str) -> list[str]:
    """Return title, citation, equations, remarks and deviations."""
    blocks = paragraphs(docstring(f"zslpipe.methods.{name}"))
    before = next(number for number, block in enumerate(blocks) if block.endswith("::"))
    remarks = as_markdown("\n\n".join(blocks[before + 2 :]))
    plain = "\n".join(f"    {line}" for line in plain_equations(name).splitlines())
    return [
        f"# {inline(title_of(name))}",
        f"`methods: [{name}]` in a configuration; `zslpipe/methods/{name}.py` in the code, from "
        "which this page is made.",
        as_markdown("\n\n".join(blocks[1 : before + 1])),
        "## Equations",
        equations(name),
        f'??? note "As the code writes them"\n\n    ```text\n{plain}\n    ```',
        remarks,
    ]


def _input(name: str) -> list[str]:
    """Return what a method reads and what there is to be seen of it."""
    method, lines = read_method(name), []
    for kind, arguments in method.inputs.items():
        size = ", ".join(f"{key} {value}" for key, value in arguments.items())
        lines.append(f"- `input: {kind}` ({size} in the paper)")
    lines += [f"- {DECLARED[word]}" for word in DECLARABLE if word in method.declares]
    return ["## What it reads and shows", "\n".join(lines)]


def _settings(name: str) -> list[str]:
    """Return the table of settings with their sources, and what the method publishes."""
    _, _, *blocks = method_section(name)
    said = "Each default with its source: the *paper*, its authors' *code*, the *family* of related"
    link = "What every method takes besides stands in the [configuration](../configuration.md)."
    return ["## Settings", f"{said} methods, or *ours*. {link}", *blocks]


def _run_by(name: str) -> list[str]:
    """Return the configurations and the studies that run a method."""
    blocks = ["## Configurations that run it"]
    for path in sorted(EXPERIMENTS.glob("*.yaml")):
        section = _section(path, name)
        if section is not None:
            blocks += [f"`workflow/experiments/{path.name}`:", section]
    if len(blocks) == 1:
        blocks.append("None but the demo's, `config.yaml`.")
    studies = [_study(path) for path in sorted(STUDIES.glob(f"{name}_*.yaml"))]
    if studies:
        written = (ROOT / "docs" / "studies.md").exists()
        more = "; [how they are run](../studies.md):" if written else ":"
        blocks += ["## Its studies", f"Tables and figures of the paper, by name{more}"]
        blocks.append("\n".join(studies))
    return blocks


def _study(path: Path) -> str:
    """Return a study's name, its place in the paper and what it says of itself."""
    read: Any = yaml.safe_load(path.read_text(encoding="utf8"))
    place, title = (str(read.get(key, "")) for key in ("place", "title"))
    said = ": ".join(inline(part) for part in (place, title) if part)
    return f"- `{path.stem}`: {said}"


def _section(path: Path, name: str) -> str | None:
    """Return a configuration's section of a method as it is written, a remark where it has none
    and None where it does not run the method.
    """
    text = path.read_text(encoding="utf8")
    if name not in yaml.safe_load(text).get("methods", ()):
        return None
    lines = text.splitlines()
    if f"{name}:" not in lines:
        return "as the tables above have it."
    start = lines.index(f"{name}:")
    length = next((n for n, line in enumerate(lines[start + 1 :]) if line[:1].isalpha()), None)
    kept = lines[start:] if length is None else lines[start : start + 1 + length]
    while not kept[-1].startswith(" "):
        kept.pop()
    return "\n".join(["```yaml", *kept, "```"])


def overview() -> str:
    """Return the page that lists the methods."""
    rows = ["| name | paper | reads |", "|---|---|---|"]
    for name in method_names():
        method = read_method(name)
        reads = " or ".join(method.inputs) + (", word vectors" if method.uses_words else "")
        rows.append(f"| [`{name}`]({name}.md) | {inline(title_of(name))} | {reads} |")
    said = (ROOT / "docs" / "generated" / "methods.md").read_text(encoding="utf8")
    return said.replace("<!-- table of methods -->", "\n".join(rows))
