"""Batches read ahead by a thread: the same, in the same order, and not more of them."""

import threading

import pytest

from zslpipe.runs.reading_ahead import AHEAD, ahead


def test_all_come_in_order_and_are_read_one_at_a_time():
    threads = set()

    def read(number: int) -> int:
        threads.add(threading.get_ident())
        return number * number

    assert list(ahead(read, range(20))) == [number * number for number in range(20)]
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("count", [0, 1, AHEAD, AHEAD + 1])
def test_fewer_than_are_read_ahead_come_all(count):
    assert list(ahead(str, range(count))) == list(map(str, range(count)))


def test_the_next_are_read_before_they_are_asked_for_and_no_more():
    read, arrived = [], threading.Semaphore(0)

    def noted(number: int) -> int:
        read.append(number)
        arrived.release()
        return number

    given = ahead(noted, range(100))
    for taken in range(5):
        assert next(given) == taken
        for _ in range(AHEAD + 1 if taken == 0 else 1):
            assert arrived.acquire(timeout=60)
        assert read == list(range(taken + AHEAD + 1))
    given.close()
    assert len(read) <= 5 + AHEAD + 1


def test_an_error_is_raised_at_its_turn():
    given = ahead(lambda number: 1 // (number - 2), range(9))
    assert [next(given), next(given)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(given)


def test_whoever_stops_asking_leaves_no_thread():
    before = set(threading.enumerate())
    given = ahead(lambda number: number, range(1000))
    next(given)
    (reader,) = set(threading.enumerate()) - before
    given.close()
    assert not reader.is_alive()
