"""How long jobs take together: each starts as soon as its inputs are there and cores and a card are
free, the one first whose followers take longest. Where that one waits for more cores, those that
fit go before it, as Snakemake's do.
"""

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence

from zslpipe.study.job_costs import JobCost


def wall_seconds(costs: Sequence[JobCost], cores: int, cards: int) -> float:
    """Return seconds from the first start to the last end, on ``cores`` with ``cards`` for jobs
    that ask for one (one job a card); jobs of unknown length take none. A job that asks for more
    cores than there are gets all of them.
    """
    behind = followers(costs)
    waits = Counter(place for places in behind.values() for place in places)
    chains = _chains(costs, behind)
    threads = [min(cost.job.threads, cores) for cost in costs]
    # Those that are ready, the longest chain first, apart by what they ask for: threads and a card.
    ready: dict[tuple[int, int], list[tuple[float, int]]] = {}
    running: list[tuple[float, int]] = []
    free, free_cards, clock = cores, max(1, cards), 0.0
    fresh = [place for place in behind if not waits[place]]
    while fresh or running or any(ready.values()):
        for place in fresh:
            asked = threads[place], min(costs[place].job.gpu, 1)
            heapq.heappush(ready.setdefault(asked, []), (-chains[place], place))
        while (begun := _next(ready, free, free_cards)) is not None:
            free -= threads[begun]
            free_cards -= min(costs[begun].job.gpu, 1)
            heapq.heappush(running, (clock + job_seconds(costs[begun], cores), begun))
        clock, ended = heapq.heappop(running)
        free, free_cards = free + threads[ended], free_cards + min(costs[ended].job.gpu, 1)
        waits.subtract(behind[ended])
        fresh = [place for place in behind[ended] if not waits[place]]
    return clock


def _next(
    ready: Mapping[tuple[int, int], list[tuple[float, int]]], free: int, free_cards: int
) -> int | None:
    """Take the one of the longest chain from those that fit into what is free, None where none
    does.
    """
    fitting = []
    for (threads, card), queue in ready.items():
        if queue and threads <= free and card <= free_cards:
            fitting.append(queue)
    return heapq.heappop(min(fitting))[1] if fitting else None


def job_seconds(cost: JobCost, cores: int) -> float:
    """Return seconds of the clock of one job by itself: those of its card, or of its processors
    shared among its threads, but for its start.
    """
    if cost.taken is None:
        return 0.0
    if cost.job.gpu:
        return cost.taken.wall
    alone = min(cost.alone, cost.taken.core)
    return alone + (cost.taken.core - alone) / max(1, min(cost.job.threads, cores))


def followers(costs: Sequence[JobCost]) -> Mapping[int, list[int]]:
    """Return, of each job's place, the places of those that read what it makes."""
    makers: dict[str, int] = {}
    for place, cost in enumerate(costs):
        makers |= dict.fromkeys(cost.job.outputs, place)
    behind: dict[int, list[int]] = {place: [] for place in range(len(costs))}
    for place, cost in enumerate(costs):
        needed = {makers[path] for path in cost.job.inputs if path in makers}
        for maker in needed - {place}:
            behind[maker].append(place)
    return behind


def _chains(costs: Sequence[JobCost], behind: Mapping[int, list[int]]) -> dict[int, float]:
    """Return the seconds from each job's start to the end of its longest chain of followers."""
    found: dict[int, float] = {}
    waiting = list(range(len(costs)))
    while waiting:
        place = waiting[-1]
        missing = [one for one in behind[place] if one not in found]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        longest = max((found[one] for one in behind[place]), default=0.0)
        found[place] = longest + job_seconds(costs[place], 1)
    return found
