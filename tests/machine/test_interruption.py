"""stop_requests: SIGTERM is noted while the block runs, and means what it did before afterwards."""

import os
import signal
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
