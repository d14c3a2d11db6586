"""Several files of an ensemble by one command: what each would be alone."""

from dataclasses import replace

from tests.made_up.runs import FILES, run, write_run
from zslpipe.commands.cli import main


def test_further_files_are_those_of_a_command_of_their_own(tmp_path):
    members = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        parts = [replace(part, method=name) for part in run()]
        write_run(folder, *parts)
        members.append(folder)
    (tmp_path / "both").mkdir()
    together = ["ensemble", "--name", "both", "--kind", "scores", "--also", "validation"]
    together += ["--also", "irrelevant", "--output", str(tmp_path / "both/scores.h5")]
    together += ["--metrics", str(tmp_path / "both/metrics.json")]
    assert main([*together, *[str(folder / "scores.h5") for folder in members]]) == 0
    assert (tmp_path / "both/metrics.json").is_file()
    for kind in FILES:
        alone = tmp_path / f"{kind}.h5"
        files = [str(folder / f"{kind}.h5") for folder in members]
        command = ["ensemble", "--name", "both", "--kind", kind, "--output", str(alone)]
        assert main([*command, *files]) == 0
        assert alone.read_bytes() == (tmp_path / f"both/{kind}.h5").read_bytes()
