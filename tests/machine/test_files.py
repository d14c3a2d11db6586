"""Files that appear whole or not at all, and names that no other process uses."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from tests.made_up.places import PACKAGE
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import (
    check_not_of_the_future,
    held_folder,
    read_complete,
    temporary_name,
    work_folder,
    written_whole,
)


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "numbers.txt"
    with written_whole(path) as temporary:
        temporary.write_text("1")
        assert not path.exists()
    assert path.read_text() == "1"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_of_the_future_is_refused(tmp_path):
    present, future = tmp_path / "present.h5", tmp_path / "future.h5"
    for path, seconds in ((present, 30), (future, 90)):  # clocks may differ by a minute
        path.touch()
        os.utime(path, (0, time.time() + seconds))
    check_not_of_the_future((present, None, tmp_path / "missing.h5"))
    with pytest.raises(InputError, match=r"future\.h5 is of the future \(20.*'touch .*future\.h5'"):
        check_not_of_the_future((present, future))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_file_takes_the_place_of_a_folder_or_a_pipe(tmp_path, make):
    """Whoever may would put a file in place of /dev/null; and whoever reads a pipe waits."""
    path = tmp_path / "x"
    make(path)
    with (
        pytest.raises(InputError, match=r"x: a .*, where a file should be written"),
        written_whole(path),
    ):
        raise AssertionError("nothing is written")
    assert list(tmp_path.iterdir()) == [path] and not path.is_file()
    with pytest.raises(InputError, match=r"x: a (folder|device or a pipe), expected scores"):
        read_complete(path, Path.read_text, "scores.h5", "training")


def test_a_file_without_a_name_is_refused():
    with pytest.raises(InputError, match="a folder, where a file should be written"):
        written_whole(Path()).__enter__()


def test_what_lacks_something_may_be_good_and_is_deleted_only_where_it_is_ours(tmp_path):
    """An ImageNet file given as weights.pt lacks things: it is not made again."""
    path = tmp_path / "x"
    path.touch()

    def told(error):
        def read(path):
            raise error

        with pytest.raises(InputError) as caught:
            read_complete(path, read, "weights.pt", "training")
        return str(caught.value)

    assert told(KeyError("it lacks state")).endswith(
        "(it lacks state); name another file, or where training wrote this one, delete it and run "
        "again"
    )
    assert told(ValueError("cut")).endswith("or delete it and run again: training makes it again")


def test_what_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk full"), written_whole(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_the_file_system_names_the_file(tmp_path):
    path = tmp_path / "numbers.txt"
    with pytest.raises(OSError, match=r"No space left.*numbers\.txt'$"), written_whole(path):
        Path("/dev/full").write_text("more than fits")


def test_temporary_names_are_a_processs_own(tmp_path):
    code = (
        "import sys; from pathlib import Path; from zslpipe.machine.files import temporary_name\n"
    )
    code += "print(temporary_name(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path / "scores.h5")]
    others = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    names = {*others, str(temporary_name(tmp_path / "scores.h5"))}
    assert len(names) == 3
    assert {Path(name).parent for name in names} == {tmp_path}


def test_no_other_module_has_an_idiom_of_its_own():
    own = [path for path in PACKAGE.rglob("*.py") if '.partial"' in path.read_text(encoding="utf8")]
    assert own == [PACKAGE / "machine" / "files.py"]


def test_work_folders_are_named_after_outputs(tmp_path):
    names = ["features.h5", "features.irrelevant.h5", "backbone.pt", "seed0", "seed1"]
    folders = {work_folder(tmp_path / name) for name in names}
    assert len(folders) == len(names)
    assert all(folder.parent == tmp_path and folder.name.startswith(".") for folder in folders)
    assert work_folder(tmp_path / "features.irrelevant.h5").name == ".features.irrelevant.work"


def refused(folder, holder):
    place = re.escape(str(folder))
    message = rf"^{place}: process {holder} on \S+ writes here; wait for its end, or stop it, and "
    with pytest.raises(InputError, match=message) as caught, held_folder(folder):
        pass
    assert "\n" not in str(caught.value)


def test_a_held_folder_is_refused_with_its_holder_and_free_afterwards(tmp_path):
    folder = tmp_path / ".x.work"
    with held_folder(folder):
        refused(folder, os.getpid())
    with held_folder(folder):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from zslpipe.machine.files import held_folder
with held_folder(Path(sys.argv[1])):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    time.sleep(600)
"""


def test_a_folder_is_free_when_its_holder_was_killed(tmp_path):
    folder = tmp_path / ".x.work"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        try:
            refused(folder, holder.pid)
        finally:
            holder.kill()
    with held_folder(folder):
        pass


def raising(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "x"), "no such file; the rule 'evaluate' writes it"),
        (NotADirectoryError(20, "x"), "no such file; the rule 'evaluate' writes it"),
        (BlockingIOError(11, "x"), "in use, another process writes to it; run again when that has"),
        (PermissionError(13, "x"), "cannot be read: Permission denied"),
        (IsADirectoryError(21, "x"), "cannot be read: Is a directory"),
        (OSError(5, "x"), "cannot be read: Input/output error"),
        (
            OSError("truncated\nfile"),
            "not a readable metrics.json (truncated file); name another",
        ),
        (
            KeyError("it lacks seed"),
            "not a readable metrics.json (it lacks seed); name another",
        ),
        (
            ValueError(),
            "not a readable metrics.json (ValueError); name another file, or ",
        ),
        (InputError("its own words"), "its own words"),
    ],
)
def test_what_keeps_a_file_from_being_read_is_named_in_one_line(tmp_path, error, message):
    """Nobody is told to delete a file that is locked, or that another user owns."""
    with pytest.raises(InputError) as caught:
        read_complete(tmp_path / "m.json", raising(error), "metrics.json", "the rule 'evaluate'")
    told = str(caught.value)
    where = "" if isinstance(error, InputError) else f"{tmp_path / 'm.json'}: "
    assert told.startswith(where + message)
    assert "\n" not in told
    assert ("delete" in told) == ("not a readable" in told)


def test_mistakes_of_ours_are_no_damage(tmp_path):
    with pytest.raises(TypeError):
        read_complete(tmp_path / "m.json", raising(TypeError()), "metrics.json", "nobody")


def test_what_is_read_comes_back(tmp_path):
    path = tmp_path / "m.json"
    path.write_text("7")
    assert read_complete(path, lambda found: int(found.read_text()), "number", "nobody") == 7


def test_a_folder_that_its_holder_removes_is_no_error(tmp_path, monkeypatch):
    """Between the making of the folder and its lock another process may remove it: asked again."""
    folder, acquire, removed = tmp_path / ".x.work", FileLock.acquire, []

    def late(self, **options):
        if not removed:
            removed.append(shutil.rmtree(folder))
        return acquire(self, **options)

    monkeypatch.setattr(FileLock, "acquire", late)
    with held_folder(folder):
        assert (folder / "holder").is_file()
    assert removed
