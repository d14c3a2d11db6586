"""Standard streams of a program that is started with one of them closed (a shell's ``>&-``)."""

import os
import sys


def open_streams() -> None:
    """Let nothing be read from a standard stream that is closed, and what is written there go
    nowhere.

    Python calls it None, which has no methods, and the next file that is opened gets its number:
    what a library in C says would be written into that file.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest that is free
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
