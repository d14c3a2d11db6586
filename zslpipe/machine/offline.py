"""Work that asks nothing of the Hugging Face Hub, whatever libraries try, and whether the hub can
be asked at all.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, InvalidURL
from urllib.error import URLError
from urllib.request import Request, getproxies, urlopen


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


def without_network() -> str:
    """Return why no connection to the hub comes about, "" where one does or nobody here can tell.

    huggingface_hub tries for half a minute a file, longer where packets are dropped, and has no
    setting for it. One connection is waited for as long as it waits for one ($HF_HUB_ETAG_TIMEOUT,
    10 s for each of the hub's addresses), for its answer no longer: a slow network has one. Through
    a proxy, which the libraries understand in other ways each, it is left to try, and where a user
    tells it to be offline it tries nothing. Raises ImportError where huggingface_hub is not
    installed.
    """
    from huggingface_hub import constants

    proxies = getproxies().keys() - {"no"}  # of $NO_PROXY: what none is asked for
    if constants.HF_HUB_OFFLINE or proxies:
        return ""
    try:
        request = Request(constants.ENDPOINT, method="HEAD")
        with urlopen(request, timeout=constants.HF_HUB_ETAG_TIMEOUT):
            return ""
    except URLError as error:  # that of an answer that refuses has its reason in words
        is_network = isinstance(error.reason, OSError) and not isinstance(
            error.reason, ssl.SSLError
        )
        return str(error.reason) if is_network else ""
    except (ValueError, InvalidURL) as error:  # of which the library makes a traceback
        return f"$HF_ENDPOINT is no address: {error}"
    except (OSError, HTTPException):  # after the connection
        return ""
