"""The names that the workflow's rules and people's scripts use: commands, options, defaults."""

import re

import click
import pytest

from tests.made_up.places import ROOT
from zslpipe.commands.cli import SECTIONS, main, program

# Command -> parameters: ! has to be given, [] may be given without a value, = has a default,
# ... takes several; what is no option may be left out with ?.
IMAGES = "--images --data-root=data"
READ = "--weights! --run --seed=0"
RUN = f"--index! --features {IMAGES} --trunk --texts"
COMPUTE = "--compute={} --threads=2"
EXTRACTION = f"{IMAGES} --settings! --weights[] --output! {COMPUTE}"
SURFACE = {
    "index": "--settings! --data-root=data --output!",
    "words": "--index! --indices --settings! --data-root=data --output!",
    "encode-texts": f"--index! --indices --settings! --data-root=data --pair --output! {COMPUTE}",
    "encode-words": f"--index! --indices --settings! --data-root=data --pair --output! {COMPUTE}",
    "list-irrelevant": "--settings! --data-root=data --output!",
    "pretrain": f"--images! --output! {COMPUTE}",
    "pretrain-pair": f"--images! --captions! --backbone! --output! {COMPUTE}",
    "extract": f"--index! --indices {EXTRACTION}",
    "extract-irrelevant": f"--index! {EXTRACTION}",
    "store": "--index! --indices --settings! --data-root=data --output!",
    "train": f"--spec! --seed=0 {RUN} --words --output! {COMPUTE}",
    "attend": f"{READ} {RUN} --words --output! --count=6 {COMPUTE}",
    "validate": f"{READ} {RUN} --words --output! {COMPUTE}",
    "score-irrelevant": f"{READ} --irrelevant! {RUN} --words --output! {COMPUTE}",
    "grad-cam": f"{READ} {RUN} --without --output! --count=6 {COMPUTE}",
    "import-scores": "--name! --kind=scores --unit= --index! --indices --irrelevant --seed=0 "
    "--called= --told={} --run --output! --metrics scores",
    "ensemble": "--name! --kind! --validation --experts=False --runs --output! "
    "--metrics --also matrices...",
    "rebalance": "--kind! --scores! --run --validation --irrelevant --settings={} --output!",
    "evaluate": "--scores! --run --output!",
    "best-on-test": "--metrics! --history! --output!",
    "rebalance-run": "--kinds! --scores! --run --validation --irrelevant --output!",
    "reevaluate": "--runs --output! matrices...",
    "localize-runs": f"--runs --index! {IMAGES} attentions...",
    "figures": f"--figures! --index! {IMAGES}",
    "tables": "--runs --output! metrics...",
    "ranking": "--runs --output! --figure! metrics...",
    "localization-tables": "--output! localizations...",
    "losses": "--output! histories...",
    "curves": "--runs --output! metrics...",
    "calibration": "--runs --output! metrics...",
    "confusion": "--runs --class --output! matrices...",
    "maps": f"--attention! --run --index! {IMAGES} --output!",
    "parts": f"--attention! --run --index! {IMAGES} --output!",
    "channels": f"--attention! --run --index! {IMAGES} --output!",
    "predictions": f"--scores! --rebalanced! --runs --index! {IMAGES} --output!",
    "grad-cam-figure": f"--gradcam! --run --index! {IMAGES} --output!",
    "partial-tables": "--output! --given!",
    "report": "--configuration! --images! --data-root=data --benchmarks! --studies! --output! "
    "files...",
    "study-table": "--layout! --runs --output! metrics...?",
    "study-plot": "--layout! --runs --output! files...",
    "study-sizes": "--layout! --output! indices...",
    "inspect": f"index? {IMAGES} --output --splits",
    "compare": "first second",
    "pack": "source target",
    "unpack": "source target",
    "rehash": f"features --index {IMAGES}",
    "status": "results?=results --watch=False --every=2.0 --json=False",
    "verify": "results?=results",
    "plan": "targets...? --configfile --config --cores --calibrate=False --json=False",
    "predict": "result images... --top=5 --all=all --seen --unseen --new --classes --word-vectors "
    "--missing-as-zero=False --attributes=3 --format=text --output --data-root=data --device=auto "
    "--threads=2",
    "export": "result folder --data-root=data",
    "fetch-weights": "configuration?=config.yaml --check=False",
}


def told(parameter: click.Parameter) -> str:
    """Return a parameter as SURFACE writes it."""
    default = parameter.to_info_dict()["default"]
    value = "" if default is None else f"={default}"
    if isinstance(parameter, click.Option):
        bare = "[]" if parameter.flag_value == "" else ""
        required = "!" if parameter.required else ""
        return f"{parameter.opts[0]}{bare}{required}{value}"
    several = "..." if parameter.nargs == -1 else ""
    optional = "" if parameter.required else "?"
    return f"{parameter.name}{several}{optional}{value}"


def test_no_command_and_no_option_is_missing_new_or_renamed() -> None:
    found = {name: set(map(told, command.params)) for name, command in program.commands.items()}
    expected = {name: set(text.split()) for name, text in SURFACE.items()}
    assert found == expected


def test_the_group_lists_the_commands_stage_by_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(program.commands) == list(SURFACE)
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    assert re.findall(r"^  ([a-z-]+)  ", page.split("workflow:")[1], re.MULTILINE) == list(SURFACE)
    assert "..." not in page.split("workflow:")[1]
    assert [f"\n{heading}:\n" in page for heading in SECTIONS] == [True, True]


@pytest.mark.parametrize("name", SURFACE)
def test_every_command_and_every_option_has_its_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = program.commands[name]
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []
    arguments = [argument for argument in command.params if isinstance(argument, click.Argument)]
    names = [str(argument.name).upper() for argument in arguments]
    assert [word for word in names if word not in str(command.help)] == []
    assert main([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert main([name, "-h"]) == 0
    assert capsys.readouterr().out == page
    assert [option.opts[0] for option in options if f"  {option.opts[0]} " not in page] == []


def test_the_rules_type_what_there_is() -> None:
    rules = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
    typed = [path.read_text(encoding="utf8").split("python -m zslpipe ")[1:] for path in rules]
    commands = [text.split("\n\n")[0] for texts in typed for text in texts]
    assert len(commands) > 20
    for text in commands:
        name = text.split()[0]
        # {params.command}: maps or parts or channels, curves or calibration
        known = SURFACE.get(name, f"{SURFACE['maps']} {SURFACE['curves']}")
        assert name in SURFACE or name == "{params.command}"
        unknown = [option for option in re.findall(r"--[a-z-]+", text) if option not in known]
        assert unknown == [], text
