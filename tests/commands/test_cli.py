"""How commands end: exit codes, one line for what the user can mend, and no import before its
time.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.made_up.places import ROOT
from zslpipe.commands.cli import main, program
from zslpipe.commands.people import show_status
from zslpipe.machine.errors import InputError
from zslpipe.machine.interruption import InterruptedTraining, Stopped


def line(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one line that was logged."""
    (record,) = caplog.records
    message = record.getMessage()
    assert "\n" not in message
    caplog.clear()
    return message


@pytest.mark.parametrize("command", [[], *([name] for name in program.commands)])
def test_help_imports_nothing_that_takes_its_time(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from zslpipe.commands.cli import main\n"
        "assert main([*sys.argv[1:], '--help']) == 0\n"
        "slow = {'torch', 'numpy', 'matplotlib', 'h5py', 'scipy', 'psutil', 'filelock', 'zarr'}\n"
        "sys.exit(str(slow & set(sys.modules)) if slow & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: zslpipe")


def test_the_package_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "zslpipe"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Steps of the workflow:" in done.stderr and not done.stdout
    done = subprocess.run(
        [*command, "evaluate", "--scores", "absent.h5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "'--scores': File 'absent.h5' does not exist." in done.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("trian", "zslpipe: No such command 'trian'. (Did you mean one of: 'pretrain', 'train'?)"),
        ("statu", "zslpipe: No such command 'statu'. Did you mean 'status'?"),
        ("status --resluts a", "zslpipe status: No such option '--resluts'."),
        ("status a b", "zslpipe status: Got unexpected extra argument (b)"),
        ("evaluate --output a", "zslpipe evaluate: Missing option '--scores'."),
        ("tables --output a", "zslpipe tables: Missing argument 'METRICS...'."),
        ("train --threads 0", "Invalid value for '--threads': 0 is not in the range 1<=x<=1024."),
        (
            "train --threads two",
            "Invalid value for '--threads': 'two' is not a valid integer range.",
        ),
        ("attend --count 0", "Invalid value for '--count': 0 is not in the range x>=1."),
        ("train --seed -1", "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295."),
        ("train --compute {device:cpu}", "Invalid value for '--compute': read '{device:cpu}':"),
        ("train --compute [1]", "Invalid value for '--compute': read '[1]': no object;"),
        ("train --spec {}", "Invalid value for '--spec': read '{}': without dataset, method,"),
        ("index --settings {", "Invalid value for '--settings': read '{': Expecting property name"),
        (
            "ensemble --name a /dev/null",
            "Missing option '--kind'. Choose from: scores, validation, irrelevant",
        ),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    command: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(command.split()) == 2
    assert told in line(caplog)


@pytest.mark.parametrize("name", program.commands)
def test_a_wrong_path_as_an_input_is_one_line(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each option and argument that takes a file, given a file that is not there and a folder."""
    for parameter in program.commands[name].params:
        if not getattr(parameter.type, "exists", False):
            continue
        flag = [parameter.opts[0]] if parameter.opts[0].startswith("--") else []
        ahead = [str(tmp_path)] * (name == "compare" and parameter.name == "second")
        absent = str(tmp_path / "absent")
        assert main([name, *ahead, *flag, absent]) == 2
        assert f"'{absent}' does not exist." in line(caplog)
        if parameter.type.file_okay:
            assert main([name, *flag, str(tmp_path)]) == 2
            assert f"'{tmp_path}' is a directory." in line(caplog)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("a: wrong"), 1, "error: a: wrong"),
        (KeyboardInterrupt(), 130, "interrupted: what is done is kept, the same command"),
        (InterruptedTraining("stopped at step 3"), 75, "stopped at step 3"),
        (Stopped("told to stop"), 143, "told to stop"),
        (PermissionError(errno.EACCES, "no", "a/b"), 1, "error: a/b: Permission denied"),
        (OSError(errno.EROFS, "no", "a"), 1, "error: a: Read-only file system"),
        (OSError(errno.ENOSPC, "no", "a", None, "b"), 1, "error: b: No space left on device"),
        (OSError(errno.ENOSPC, "no"), 1, "error: output: No space left on device"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    error: BaseException,
    code: int,
    told: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(results: Path, watched: bool, every: float, as_json: bool) -> None:
        raise error

    monkeypatch.setattr(show_status, "callback", fail)
    assert main(["status"]) == code
    assert line(caplog).startswith(told)


@pytest.mark.parametrize(
    "error", [KeyError("a"), OSError("no number"), OSError(errno.EBADF, "no", "a"), EOFError()]
)
def test_errors_of_ours_keep_their_traceback_and_ask_for_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(results: Path, watched: bool, every: float, as_json: bool) -> None:
        raise error

    monkeypatch.setattr(show_status, "callback", fail)
    assert main(["status"]) == 1
    shown, told = [record.getMessage() for record in caplog.records]
    assert shown.startswith("Traceback (most recent call last):\n") and "in fail" in shown
    assert told.startswith("error: a fault of zslpipe (") and "please report it" in told


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback_of_what_is_told_in_one_line(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(results: Path, watched: bool, every: float, as_json: bool) -> None:
        Path("/absent/file").read_bytes()

    monkeypatch.setattr(show_status, "callback", fail)
    if how == "variable":
        monkeypatch.setenv("ZSLPIPE_DEBUG", "1")
    assert main([*(["--debug"] if how == "option" else []), "status"]) == 1
    shown, told = [record.getMessage() for record in caplog.records]
    assert shown.splitlines()[-1].startswith("FileNotFoundError") and "in fail" in shown
    assert told.startswith("error: /absent/file: No such file or directory; ")


def test_nobody_left_to_read_the_output_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "zslpipe", "status", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_output_that_cannot_be_written_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("crow_1.png")
    command = ["list-irrelevant", "--settings", '{"images": "."}', "--data-root", ".", "--output"]
    Path("file").touch()
    assert main([*command, "file/list.h5"]) == 1
    assert line(caplog).startswith("error: file: File exists; something else stands there")
    assert main([*command, f"{'a' * 300}.h5"]) == 1
    assert line(caplog).endswith("File name too long; choose a shorter name")
    assert main([*command, "."]) == 2
    assert line(caplog).endswith("'--output': File '.' is a directory.")
