"""envs/*.yaml and pyproject.toml: the same packages with the same lower bounds, each there for a
stated reason; the versions that were tested are below the upper ones, and images hold them.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.made_up.places import PACKAGE, ROOT

# What conda-forge calls by another name: matplotlib there brings Qt along, matplotlib-base does
# not; zlib-ng there is the library in C.
NAME_ON_PYPI = {"matplotlib-base": "matplotlib", "python-zlib-ng": "zlib-ng"}
NAME_OF_IMPORT = {
    "sklearn": "scikit-learn",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "google_crc32c": "google-crc32c",
    "zlib_ng": "zlib-ng",
    "pydantic_core": "pydantic",
}
# Rooms whose every module runs in the numpy environment.
ROOMS_WITHOUT_TORCH = ("datasets", "formats", "maps", "reports", "scores")


def bounds(lines: list[str]) -> dict[str, str]:
    """Return name -> version bound of requirement lines such as ``h5py>=3.11``."""
    matches = [re.fullmatch(r"([A-Za-z0-9_.-]+)(\s*[<>=!].*)?", line) for line in lines]
    return {match[1]: (match[2] or "").strip() for match in matches if match}


def environment(name: str) -> dict[str, str]:
    """Return the packages of ``envs/{name}.yaml`` by their names on PyPI, conda's and pip's
    together.
    """
    listed = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text(encoding="utf8"))[
        "dependencies"
    ]
    lines = [line for line in listed if isinstance(line, str)]
    lines += [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]
    return {NAME_ON_PYPI.get(package, package): bound for package, bound in bounds(lines).items()}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def lower(packages: dict[str, str]) -> dict[str, str]:
    """Return the lower bounds of packages that all have an upper one."""
    assert [name for name, bound in packages.items() if "<" not in bound] == []
    return {name: bound[: bound.index("<")].removesuffix(",") for name, bound in packages.items()}


@pytest.fixture(scope="module")
def tested() -> dict[str, str]:
    """The versions that the tests ran with, by the names that packages have in pyproject.toml."""
    lines = (ROOT / "envs" / "tested.txt").read_text(encoding="utf8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pins}


@pytest.mark.parametrize("name", ["numpy", "torch", "text"])
def test_an_environment_ends_before_the_next_major_version(
    name: str, tested: dict[str, str]
) -> None:
    packages = environment(name)
    assert packages.pop("pip") == "" and packages.pop("python") == ">=3.11,<4"
    for package, bound in packages.items():
        major = int(tested[package].split(".")[0])
        assert bound.split(",")[-1] == f"<{major + 1}", package


def test_every_dependency_was_tested_in_a_version_that_is_admitted(
    project: dict, tested: dict[str, str]
) -> None:
    extras = project["optional-dependencies"].values()
    asked = [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]
    wrong = [str(one) for one in asked if tested.get(one.name.lower(), "0") not in one.specifier]
    assert wrong == []
    # versions alone: no address of an index or of a file
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in tested.values())


def test_both_images_install_the_same_and_hold_no_code_of_ours() -> None:
    docker = (ROOT / "envs" / "Dockerfile").read_text(encoding="utf8")
    apptainer = (ROOT / "envs" / "zslpipe.def").read_text(encoding="utf8")
    assert "FROM python:3.11-slim" in docker and "From: python:3.11-slim" in apptainer
    run = docker[docker.index("RUN ") + 4 :]
    steps = [step.strip(" \\\n") for step in run.split("&&")]
    post = apptainer[apptainer.index("%post") :].splitlines()[1:]
    assert steps == " && ".join(line.strip() for line in post).split(" && ")[1:]
    assert steps[-2].endswith('--constraint tested.txt ".[text,workflow]"')
    assert steps[-1] == "python -m pip uninstall --yes zslpipe"
    for file in ("pyproject.toml", "README.md", "LICENSE", "envs/tested.txt"):
        assert file in docker and f"    {file} /opt/zslpipe/" in apptainer
        assert (ROOT / file).is_file()


def test_torch_environment_is_the_package_s_dependencies(project: dict) -> None:
    packages = environment("torch")
    assert packages.pop("pip") == ""
    packages = lower(packages)
    assert packages.pop("python") == project["requires-python"]
    assert packages == bounds(project["dependencies"])


def test_text_environment_is_the_torch_one_and_the_extra(project: dict) -> None:
    packages, extra = environment("text"), bounds(project["optional-dependencies"]["text"])
    whole = environment("torch") | {name: packages[name] for name in extra}
    assert packages == whole and not set(extra) & set(environment("torch"))
    assert lower({name: packages[name] for name in extra}) == extra
    assert set(extra) <= set(bounds(project["optional-dependencies"]["test"]))


def test_numpy_environment_is_a_part_of_them_without_torch(project: dict) -> None:
    packages, whole = environment("numpy"), bounds(project["dependencies"])
    assert packages.pop("pip") == ""
    packages = lower(packages)
    assert packages.pop("python") == project["requires-python"]
    assert packages == {name: bound for name, bound in whole.items() if name in packages}
    assert not set(packages) & {"torch", "torchvision", "timm"}


def test_jobs_without_torch_import_only_their_environment() -> None:
    paths = [path for room in ROOMS_WITHOUT_TORCH for path in (PACKAGE / room).rglob("*.py")]
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    modules += ["zslpipe.commands.cli", "zslpipe.machine.status", "zslpipe.runs.readiness"]
    files = files_imported_by(modules)
    assert PACKAGE / "formats" / "index.py" in files
    # The command line imports each command's module where it needs it, those of the torch jobs too.
    imported = {
        name
        for file in files - {PACKAGE / "commands" / "cli.py"}
        for name in installed_imports(file)
    }
    assert {"numpy", "h5py", "scipy", "matplotlib", "pillow", "pyyaml"} <= imported
    assert imported - set(environment("numpy")) == set()


def test_shapes_are_checked_in_every_module_that_methods_import() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["tool"]["pytest"][
        "ini_options"
    ]
    (checked,) = [
        option for option in options["addopts"] if option.startswith("--jaxtyping-packages=")
    ]
    listed = checked.removeprefix("--jaxtyping-packages=").split(",")
    assert listed.pop() == "beartype.beartype"
    trees = [
        ast.parse(path.read_text(encoding="utf8")) for path in (PACKAGE / "methods").glob("*.py")
    ]
    froms = [
        node.module or ""
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    ]
    imported = {module for module in froms if module.startswith("zslpipe.")}
    covered = {
        module
        for module in imported
        for package in listed
        if f"{module}.".startswith(f"{package}.")
    }
    # Errors are texts, ranges are of numbers: no shapes in their signatures.
    assert imported - covered == {"zslpipe.machine.errors", "zslpipe.machine.ranges"}


def files_imported_by(modules: list[str]) -> set[Path]:
    """Return the package's files that a fresh interpreter loads for ``modules``."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "ours = [name for name in sys.modules if name.startswith('zslpipe.')]\n"
        "print(*(sys.modules[name].__file__ for name in ours), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {Path(line) for line in done.stdout.split()}


def installed_imports(file: Path) -> set[str]:
    """Return the installed packages that a file imports anywhere, by their names on PyPI."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"zslpipe"}
    return {NAME_OF_IMPORT.get(top, top) for top in tops}


def test_every_dependency_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf8")
    project = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    lines = [line for line in project.splitlines() if line.startswith('    "')]
    assert len(lines) > 20
    assert [line for line in lines if not re.search(r'",\s+# \w.{5,}$', line)] == []
