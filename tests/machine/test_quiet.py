"""Work that says nothing but its errors."""

import logging

import pytest

from zslpipe.machine.quiet import quiet


def test_errors_alone_are_said_and_all_is_said_again_afterwards(caplog):
    logger = logging.getLogger("zslpipe.rehearsed")
    caplog.set_level(logging.INFO)
    with pytest.raises(ZeroDivisionError), quiet():
        with quiet():
            logger.warning("within")
        logger.warning("behind the inner block")
        logger.error("a fault")
        raise ZeroDivisionError
    logger.info("afterwards")
    assert caplog.messages == ["a fault", "afterwards"]
