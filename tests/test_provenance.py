"""Hashes: what must change them, and what must not."""

import hashlib
from pathlib import Path

import pytest

from zslpipe.provenance import canonical, code_hash, file_hash, settings_hash

METHOD = '''"""A method."""

from package.training import fit
import package.data as data


def train(model):
    """Train."""
    # why
    return fit(model, rate=0.1)
'''


TRAINING = """\
def fit(model, rate):
    from package.progress import tell

    return tell(model, rate)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose method imports training (which imports progress late) and data; not its
    neighbour.
    """
    files = {
        "__init__.py": "",
        "methods/__init__.py": "",
        "methods/first.py": METHOD,
        "methods/second.py": "from package import data\n\nRATE = 1\n",
        "training.py": TRAINING,
        "progress.py": "import package.training\n\n\ndef tell(*values):\n    return values\n",
        "data.py": 'TABLE = "numbers.csv"\n',
        "numbers.csv": "1,2\n",
        "other.py": "import numpy\n",
    }
    for name, text in files.items():
        (tmp_path / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / name).write_text(text, encoding="utf8")
    return tmp_path / "package"


def hashes(package: Path) -> tuple[str, str]:
    """Return the hashes of both methods' code."""
    first, second = (
        code_hash(f"package.methods.{name}", package=package) for name in ("first", "second")
    )
    return first, second


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf8")


def test_canonical_json_sorts_keys_at_every_depth() -> None:
    assert (
        canonical({"b": [1, {"d": None, "c": True}], "a": 0.5})
        == '{"a":0.5,"b":[1,{"c":true,"d":null}]}'
    )
    assert canonical({"a": 1, "b": {"c": 2, "d": 3}}) == canonical({"b": {"d": 3, "c": 2}, "a": 1})


def test_settings_hash_sees_a_swap_and_no_order() -> None:
    assert settings_hash({"lr": 0.1, "decay": 0.2}) == settings_hash({"decay": 0.2, "lr": 0.1})
    assert settings_hash({"lr": 0.1, "decay": 0.2}) != settings_hash({"lr": 0.2, "decay": 0.1})
    assert settings_hash([1, 2]) != settings_hash([2, 1])
    assert settings_hash({}) == hashlib.sha256(b"{}").hexdigest()[:16]


def test_file_hash_is_sha256_over_all_blocks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000  # more than one block of 1 MiB
    (tmp_path / "file").write_bytes(content)
    assert file_hash(tmp_path / "file") == hashlib.sha256(content).hexdigest()[:16]


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = hashes(package)
    edit(package / "methods/first.py", "# why", "# because")
    edit(
        package / "methods/first.py",
        '"""Train."""',
        '"""Train the model,\n\n    better explained."""',
    )
    edit(
        package / "methods/first.py",
        "fit(model, rate=0.1)",
        "fit(\n        model,\n        rate=0.1,\n    )",
    )
    edit(package / "training.py", "def fit", '"""Now with a docstring."""\n\n\ndef fit')
    assert hashes(package) == before


@pytest.mark.parametrize(
    ("file", "old", "new", "first_changes", "second_changes"),
    [
        ("methods/first.py", "rate=0.1", "rate=0.2", True, False),
        ("methods/first.py", "rate=0.1", "speed=0.1", True, False),
        ("methods/second.py", "RATE = 1", "RATE = 1.0", False, True),
        ("training.py", "tell(model, rate)", "tell(rate, model)", True, False),
        ("progress.py", "return values", "return None", True, False),
        ("data.py", "TABLE =", "TABLES =", True, True),
        ("numbers.csv", "1,2", "2,1", True, True),
        ("other.py", "numpy", "scipy", False, False),
    ],
)
def test_code_counts_for_whoever_imports_it(
    package: Path, file: str, old: str, new: str, first_changes: bool, second_changes: bool
) -> None:
    first, second = hashes(package)
    edit(package / file, old, new)
    after = hashes(package)
    assert (after[0] != first, after[1] != second) == (first_changes, second_changes)


def test_what_is_only_said_does_not_count(package: Path) -> None:
    """Log and error texts and help texts; what happens instead does count."""
    text = '''"""A method."""

import logging

import click

logger = logging.getLogger(__name__)


@click.option("--rate", default=1, help="as fast as this")
def train(rate):
    logger.info("training at %s", rate)
    if rate < 0:
        raise ValueError(f"{rate} is too low")
    return rate
'''
    (package / "methods/first.py").write_text(text, encoding="utf8")
    before = hashes(package)
    edit(
        package / "methods/first.py",
        '"training at %s", rate',
        '"now training at rate %.3f", 1 * rate',
    )
    edit(package / "methods/first.py", "is too low", "is below 0; give a number from 0")
    edit(package / "methods/first.py", "as fast as this", "how fast")
    assert hashes(package) == before
    for old, new in (
        ("ValueError", "KeyError"),
        ("default=1", "default=2"),
        ("rate < 0", "rate < 1"),
    ):
        changed = hashes(package)
        edit(package / "methods/first.py", old, new)
        assert hashes(package)[0] != changed[0]


def test_a_text_put_together_for_a_message_does_not_count(package: Path) -> None:
    text = '''"""A method."""


def train(rate):
    found = f"{rate} found"
    if rate < 0:
        advice = "give more"
        raise ValueError(f"{found}: {advice}")
    name = f"rate {rate}"
    return name
'''
    (package / "methods/first.py").write_text(text, encoding="utf8")
    before = hashes(package)
    edit(package / "methods/first.py", "{rate} found", "found: {rate}")
    edit(package / "methods/first.py", "give more", "give a number from 0")
    assert hashes(package) == before
    edit(package / "methods/first.py", "rate {rate}", "speed {rate}")
    assert hashes(package)[0] != before[0]


def test_where_and_how_a_job_runs_does_not_count(package: Path) -> None:
    (package / "machine").mkdir()
    (package / "machine/__init__.py").write_text("", encoding="utf8")
    (package / "machine/devices.py").write_text("THREADS = 1\n", encoding="utf8")
    edit(
        package / "training.py",
        "def fit",
        "from package.machine.devices import THREADS\n\n\ndef fit",
    )
    before = hashes(package)
    edit(package / "machine/devices.py", "THREADS = 1", "THREADS = 2")
    assert hashes(package) == before


def test_a_function_counts_with_what_it_uses_of_its_module(package: Path) -> None:
    text = "from package import data, other\n\nRATE = 1\n\n\ndef twice(x):\n    return 2 * x\n\n\n"
    text += (
        "def one():\n    from package.progress import tell\n\n    return tell(twice(RATE))\n\n\n"
    )
    text += "def two():\n    return data, other\n"
    (package / "commands.py").write_text(text, encoding="utf8")

    def both() -> list[str]:
        return [code_hash(f"package.commands:{name}", package=package) for name in ("one", "two")]

    for file, old, new, changed in (
        ("commands.py", "RATE = 1", "RATE = 3", [True, False]),
        ("commands.py", "2 * x", "x + x", [True, False]),
        ("commands.py", "data, other\n", "other, data\n", [False, True]),
        ("progress.py", "return values", "return None", [True, False]),
        ("numbers.csv", "1,2", "2,1", [False, True]),
        ("other.py", "numpy", "scipy", [False, True]),
    ):
        before = both()
        edit(package / file, old, new)
        assert [one != other for one, other in zip(before, both(), strict=True)] == changed, file
    with pytest.raises(AttributeError, match=r"package\.commands:three"):
        code_hash("package.commands:three", package=package)


def test_a_function_takes_functions_from_its_own_room(package: Path) -> None:
    (package / "commands").mkdir()
    (package / "commands/__init__.py").write_text("", encoding="utf8")
    shared = "LIMIT = 1\n\n\ndef limited(x):\n    return min(x, LIMIT)\n\n\ndef opened():\n"
    shared += "    from package import other\n\n    return other\n"
    (package / "commands/inputs.py").write_text(shared, encoding="utf8")
    runs = "from package.commands.inputs import limited, opened\n\n\n"
    runs += "def one():\n    return limited(2)\n\n\ndef two():\n    return opened()\n"
    (package / "commands/runs.py").write_text(runs, encoding="utf8")

    def both() -> list[str]:
        names = [f"package.commands.runs:{name}" for name in ("one", "two")]
        return [code_hash(name, package=package) for name in names]

    for file, old, new, changed in (
        ("commands/inputs.py", "LIMIT = 1", "LIMIT = 3", [True, False]),
        ("commands/inputs.py", "return other\n", "return other.x\n", [False, True]),
        ("commands/runs.py", "limited, opened", "limited, more, opened", [False, False]),
        ("other.py", "numpy", "scipy", [False, True]),
    ):
        before = both()
        edit(package / file, old, new)
        assert [one != other for one, other in zip(before, both(), strict=True)] == changed, file


def test_modules_that_are_left_out(package: Path) -> None:
    def whole() -> str:
        return code_hash("package.methods.first", without=["package.progress"], package=package)

    before = whole()
    edit(package / "progress.py", "return values", "return None")
    assert whole() == before
    edit(package / "data.py", "TABLE =", "TABLES =")
    assert whole() != before


def test_a_table_is_found_beside_the_module_that_names_it(package: Path) -> None:
    edit(package / "methods/second.py", "RATE = 1", 'TABLE = "words.csv"')
    (package / "words.csv").write_text("elsewhere\n", encoding="utf8")
    (package / "methods/words.csv").write_text("1\n", encoding="utf8")
    before = hashes(package)
    edit(package / "words.csv", "elsewhere", "no matter")
    assert hashes(package) == before
    edit(package / "methods/words.csv", "1", "2")
    assert hashes(package)[1] != before[1]


def test_modules_hash_together_in_any_order(package: Path) -> None:
    names = ["package.methods.first", "package.other"]
    assert code_hash(*names, package=package) == code_hash(*reversed(names), package=package)
    assert code_hash(*names, package=package) != code_hash(names[0], package=package)


def test_text_of_the_tree_is_the_same_under_every_python(package: Path) -> None:
    # Recorded under Python 3.11, 3.12 and 3.13, between which ast.dump and ast.unparse differ.
    edit(
        package / "other.py",
        "import numpy",
        "def told(name: str) -> str:\n    return f'{name!r} {\"x\"}'",
    )
    assert code_hash("package.other", package=package) == "36333f1e22f2d342"


def test_an_unknown_module_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module 'package\.absent'"):
        code_hash("package.absent", package=package)
