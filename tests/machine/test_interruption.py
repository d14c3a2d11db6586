"""stop_requests: SIGTERM is noted while the block runs, and means what it did before afterwards."""

import os
import signal
import subprocess
import sys
import threading

from zslpipe.machine.interruption import stop_requests


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
