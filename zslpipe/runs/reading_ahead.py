"""The next batches read by a thread while the present one is computed with."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Asked = TypeVar("Asked")
Read = TypeVar("Read")

# Batches that are read or wait beside the one in use (ours): one is read while another waits, so
# that a slow read does not stop the steps; each takes the memory of a batch.
AHEAD = 2


def ahead(read: Callable[[Asked], Read], asked: Iterable[Asked]) -> Iterator[Read]:
    """Yield ``read(one)`` of each of ``asked``, in order; raises what ``read`` raised where its
    turn comes.

    One thread: ``read`` is called for one at a time, in order, at most AHEAD of them early. Whoever
    stops asking waits for the read under way and no other.
    """
    waiting: deque[Future[Read]] = deque()
    with ThreadPoolExecutor(1, "reader") as thread:
        try:
            for one in asked:
                waiting.append(thread.submit(read, one))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
