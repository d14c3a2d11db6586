"""stop_requests: SIGTERM is noted while the block runs, and means what it did before afterwards."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.made_up.places import SCRIPT
from zslpipe.machine.interruption import Interrupted, Stopped, ended_by_stop, stop_requests


def test_sigterm_means_what_it_did_before_once_the_block_is_left():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with stop_requests() as request:
            assert request.made is False
            os.kill(os.getpid(), signal.SIGTERM)
            assert request.made is True
        assert received == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_training_in_another_thread_leaves_sigterm_alone():
    handlers = [signal.getsignal(signal.SIGTERM)]

    def listen() -> None:
        with stop_requests() as request:
            handlers.append(signal.getsignal(signal.SIGTERM))
            assert request.made is False
        handlers.append("left")

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert handlers == [handlers[0], handlers[0], "left"]


TWICE = """
import os, signal
from zslpipe.machine.interruption import hear_one_interrupt
{before}
hear_one_interrupt()
try:
    os.kill(os.getpid(), signal.SIGINT)
    print("not heard", end=" ")
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGINT)
    print("heard once", end=" ")
os.kill(os.getpid(), signal.SIGINT)
print("ends")
"""


def test_a_process_that_is_ending_hears_of_no_further_interrupt():
    for before, told in (
        ("", "heard once ends\n"),
        # as a shell starts what runs in the background
        ("signal.signal(signal.SIGINT, signal.SIG_IGN)", "not heard ends\n"),
    ):
        code = TWICE.format(before=before)
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (found.returncode, found.stdout, found.stderr) == (0, told, "")


def stopped_in(block: str) -> subprocess.CompletedProcess[str]:
    """Return how a command ended to which SIGTERM came, twice, in a block of code."""
    code = f"""
import os, signal, sys
from zslpipe.machine.interruption import *
hear_one_stop()
try:
    {block}
except Stopped as stopped:
    os.kill(os.getpid(), signal.SIGTERM)
    sys.stdout.write(f"{{stopped.code}} {{stopped}}")
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


STOP = "os.kill(os.getpid(), signal.SIGTERM)"


def test_a_command_that_keeps_nothing_ends_with_a_line_and_as_a_shell_counts():
    found = stopped_in(STOP)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("143 told to stop (SIGTERM); the same command begins again")


def test_a_block_behind_what_is_kept_says_so():
    for block in (
        f"with ended_by_stop('scoring'): {STOP}",
        f"with stop_requests() as asked, ended_by_stop('scoring'): {STOP}",
    ):
        found = stopped_in(block)
        assert (found.returncode, found.stderr) == (0, "")
        assert found.stdout == "75 scoring; what came before is kept and the same command goes on"


def test_a_second_stop_does_not_disturb_what_the_first_one_undoes():
    ended = []
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(Interrupted), ended_by_stop("here"):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                ended.append("whole")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended == ["whole"]


def test_no_library_swallows_a_stop():
    """One that tries again after any Exception would go on with a job about to be killed."""
    assert not issubclass(Stopped, Exception)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Interrupted), ended_by_stop("here"):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN  # about to end
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with ended_by_stop("here"):
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


ENDS = """
import os, signal, sys
from zslpipe.machine import interruption
number = int(sys.argv[1])
def stop():
    os.kill(os.getpid(), number)
    return 3
def both():
    numbers = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for one in numbers:
        os.kill(os.getpid(), one)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return 3
def hear_nothing(hear_nothing=interruption._hear_nothing):
    os.kill(os.getpid(), number)
    hear_nothing()
def work():
    interruption._hear_nothing = hear_nothing
    return 3
interruption.run_and_end(locals()[sys.argv[2]])
"""


@pytest.mark.parametrize(
    ("number", "when", "code"),
    [
        # while it is imported: before anything of it hears
        (signal.SIGTERM, "stop", 143),
        (signal.SIGINT, "stop", 130),
        # both at once, of which Python tells the one with the smaller number first
        (signal.SIGINT, "both", 130),
        # behind its work, which is done
        (signal.SIGTERM, "work", 3),
        (signal.SIGINT, "work", 3),
    ],
)
def test_a_command_that_does_not_hear_ends_without_a_traceback(number, when, code):
    words = [sys.executable, "-c", ENDS, str(int(number)), when]
    found = subprocess.run(words, capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", code)


def test_a_command_that_has_ended_does_not_wait_for_the_interpreter_s_end():
    """In which a signal to stop would end it by a traceback, and its work is done."""
    code = """
import os, signal, sys
from zslpipe.machine.interruption import end_process, hear_one_interrupt, hear_one_stop
hear_one_stop()
hear_one_interrupt()
class Stream:
    def flush(self):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        sys.__stdout__.flush()
class Last:
    def __del__(self):
        os.write(1, b"the end")
last = Last()
sys.stdout.write("said")
sys.stdout = Stream()
end_process(int(sys.argv[1]))
"""
    for number in (0, 1, 75, 143):
        words = [sys.executable, "-c", code, str(number)]
        found = subprocess.run(words, capture_output=True, text=True)
        assert (found.stdout, found.stderr, found.returncode) == ("said", "", number)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("number", [0, 75])
def test_a_command_without_streams_keeps_its_exit_code(closed, number):
    code = f"from zslpipe.machine.interruption import end_process; end_process({number})"
    words = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", code]
    found = subprocess.run(words, capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", number)


def test_a_command_that_closed_a_stream_keeps_its_exit_code():
    code = """
import sys
from zslpipe.machine.interruption import end_process
sys.stdout.close()
end_process(3)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stderr, found.returncode) == ("", 3)


def test_what_libraries_remove_at_the_end_is_removed(tmp_path):
    """As matplotlib's folder, where the user's own cannot be written to; or a worker's sockets."""
    code = """
import atexit, os, shutil, signal, sys
from zslpipe.machine.interruption import end_process, hear_one_stop
hear_one_stop()
def removed():
    os.kill(os.getpid(), signal.SIGTERM)
    shutil.rmtree(sys.argv[1])
    print("removed")
atexit.register(removed)
end_process(0)
"""
    (tmp_path / "folder").mkdir()
    words = [sys.executable, "-c", code, str(tmp_path / "folder")]
    found = subprocess.run(words, capture_output=True, text=True)
    assert (found.stdout, found.stderr, found.returncode) == ("removed\n", "", 0)
    assert not list(tmp_path.iterdir())


def test_a_command_ends_where_nobody_reads_what_it_says():
    code = """
import sys
from zslpipe.machine.interruption import end_process
sys.stdin.readline()
sys.stdout.write("said")
end_process(0)
"""
    # As most shells have it, what is said waits in the process.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    opened = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, env=variables, text=True, **opened) as process:
        process.stdout.close()
        _, errors = process.communicate("\n")
    assert (process.returncode, errors) == (0, "")


WORKER = """
import multiprocessing, sys, time
from multiprocessing import util
from zslpipe.machine.interruption import obey_parent_only

def work():
    obey_parent_only(0)
    util.get_temp_dir()  # as for the sockets by which it sends tensors
    print("begun", flush=True)
    time.sleep(300)

if __name__ == "__main__":
    if len(sys.argv) > 1:
        util.get_temp_dir()
    multiprocessing.get_context("fork").Process(target=work, daemon=True).start()
    time.sleep(300)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's workers look every 5 s")
def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path):
    """It would complain by a traceback of a pipe that nobody reads, and leave its sockets."""
    for its_own in (True, False):
        kept = tmp_path / f"{its_own}"
        kept.mkdir()
        (tmp_path / "worker.py").write_text(WORKER)
        words = [sys.executable, str(tmp_path / "worker.py"), *([] if its_own else ["before"])]
        opened = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        variables = {**SCRIPT, "TMPDIR": str(kept)}
        with subprocess.Popen(words, text=True, env=variables, **opened) as process:
            assert process.stdout.readline() == "begun\n"
            assert len(list(kept.iterdir())) == 1
            process.kill()
            # Both streams end when the worker, which has them too, has ended.
            assert process.communicate(timeout=60) == ("", "")
        # Of a folder that others use it is not the one to say when nobody does.
        assert len(list(kept.iterdir())) == (0 if its_own else 1)


EARLY = """
import multiprocessing, subprocess, threading, time
from zslpipe.machine.interruption import obey_parent_only, started

def work(pipe):
    # As torch does in a DataLoader's worker before it calls worker_init_fn.
    threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
    obey_parent_only(0)
    pipe.send("begun")
    time.sleep(300)

class Loader:
    def __iter__(self):
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        process = context.Process(target=work, args=(theirs,), daemon=True)
        process.start()
        return iter([(process, ours)])

if __name__ == "__main__":
    for process, pipe in started(Loader()):
        pipe.recv()
        subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
        process.join(1)
        print(process.exitcode)
        process.terminate()
        process.join()
        print(process.exitcode)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch's workers look every 5 s")
def test_a_worker_with_threads_of_a_library_obeys_its_parent_only(tmp_path):
    (tmp_path / "early.py").write_text(EARLY)
    words = [sys.executable, str(tmp_path / "early.py")]
    found = subprocess.run(words, capture_output=True, text=True, env=SCRIPT, timeout=60)
    assert (found.stdout, found.stderr) == ("None\n0\n", "")
