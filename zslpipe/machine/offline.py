"""Work that asks nothing of the Hugging Face Hub, whatever libraries try."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def offline() -> Iterator[None]:
    """Let libraries find in their caches alone what is no file of this machine.

    They ask the hub for news even of what is named by a folder, half a minute of attempts where
    there is no network. Raises ImportError where huggingface_hub is not installed.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
