"""How long jobs take together: each starts as soon as its inputs are there and cores and a card are
free, the one first whose followers take longest.
"""

import heapq
from collections.abc import Mapping, Sequence

from zslpipe.study.job_costs import JobCost


def wall_seconds(costs: Sequence[JobCost], cores: int, cards: int) -> float:
    """Return seconds from the first start to the last end, on ``cores`` with ``cards`` for jobs that
    ask for one (one job a card); jobs of unknown length take none.
    """
    behind = followers(costs)
    waits = {place: 0 for place in range(len(costs))}
    for places in behind.values():
        for place in places:
            waits[place] += 1
    chains = _chains(costs, behind)
    ready = [(-chains[place], place) for place, count in waits.items() if not count]
    heapq.heapify(ready)
    running: list[tuple[float, int]] = []
    free, free_cards, clock = cores, max(1, cards), 0.0
    while ready or running:
        for item in _starting(ready, costs, free, free_cards):
            ready.remove(item)
            heapq.heapify(ready)
            job = costs[item[1]].job
            free -= min(job.threads, cores)
            free_cards -= min(job.gpu, 1)
            heapq.heappush(running, (clock + job_seconds(costs[item[1]], cores), item[1]))
        clock, place = heapq.heappop(running)
        free += min(costs[place].job.threads, cores)
        free_cards += min(costs[place].job.gpu, 1)
        for follower in behind[place]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, (-chains[follower], follower))
    return clock


def _starting(
    ready: Sequence[tuple[float, int]], costs: Sequence[JobCost], free: int, cards: int
) -> list[tuple[float, int]]:
    """Return which of the jobs that are ready start now."""
    chosen = []
    for item in sorted(ready):
        job = costs[item[1]].job
        # a job that asks for more cores than there are gets all of them
        if (job.threads <= free or not (chosen or free < job.threads)) and job.gpu <= cards:
            chosen.append(item)
            free -= job.threads
            cards -= job.gpu
        if free <= 0:
            break
    return chosen


def job_seconds(cost: JobCost, cores: int) -> float:
    """Return seconds of the clock of one job by itself: those of its card, or of its processors
    shared among its threads.
    """
    if cost.taken is None:
        return 0.0
    if cost.job.gpu:
        return cost.taken.wall
    return cost.taken.core / max(1, min(cost.job.threads, cores))


def followers(costs: Sequence[JobCost]) -> Mapping[int, list[int]]:
    """Return, of each job's place, the places of those that read what it makes."""
    makers = {}
    for place, cost in enumerate(costs):
        makers |= dict.fromkeys(cost.job.outputs, place)
    behind: dict[int, list[int]] = {place: [] for place in range(len(costs))}
    for place, cost in enumerate(costs):
        needed = {makers[path] for path in cost.job.inputs if path in makers}
        for maker in needed - {place}:
            behind[maker].append(place)
    return behind


def _chains(costs: Sequence[JobCost], behind: Mapping[int, list[int]]) -> dict[int, float]:
    """Return the seconds from the start of each job to the end of its longest chain of followers."""
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
