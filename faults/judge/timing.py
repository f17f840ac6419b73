"""Laws in time: no two held an address at once, none rested too short, no phantom exhaustion, no
request took too long (S1, S12, S6, L3).

Invariant: what is not known for sure is taken in the product's favour, so that a finding is true.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from faults.judge.effects import Effects
from faults.judge.history import Event
from faults.judge.rows import Rows

CLOCK_SECONDS = 0.02
"""What the wall clock, which rests are counted by, may differ from the monotonic one."""


@dataclass(slots=True)
class Hold:
    """An address as somebody held it: at the longest `call`..`gone`, surely `back`..`let`."""

    subnet: str
    address: int
    id: str
    call: float
    back: float
    let: float = inf
    gone: float = inf


def holds(history: Sequence[Event], effects: Effects) -> dict[str, Hold]:
    """Every hold there was, by the id of its allocation."""
    found: dict[str, Hold] = {}
    for event in history:
        if event.op == "take":
            for done in effects.taken.get(event.name, [])[:1]:
                for address, allocation in done.taken:
                    found[allocation] = Hold(
                        done.place or "", address, allocation, event.call, event.back
                    )
                    if event.unknown:
                        found[allocation].back = inf
    for event in history:
        if event.op != "give":
            continue
        hold = found.get(event.asked["id"])
        if hold is None or not effects.happened(event):
            continue
        hold.let = event.call
        if event.ok:
            hold.gone = event.back
    return found


def findings(
    history: Sequence[Event], rows: Rows, known: Mapping[str, Hold], seconds_max: float
) -> Iterator[str]:
    """Everything that was not so at its time."""
    yield from _apart(rows, known)
    yield from _not_phantom(history, rows, known)
    for event in history:
        long = event.op == "count" or event.asked.get("wanted", 1) > 1  # these have an hour
        if not long and event.back < inf and event.back - event.call > seconds_max:
            yield f"L3 {event.name} ({event.op}) took {event.back - event.call:.1f} s"


def _apart(rows: Rows, known: Mapping[str, Hold]) -> Iterator[str]:
    places: dict[tuple[str, int], list[Hold]] = defaultdict(list)
    for hold in known.values():
        places[hold.subnet, hold.address].append(hold)
    for (subnet, address), found in places.items():
        sure = sorted((hold for hold in found if hold.back < hold.let), key=lambda one: one.back)
        for before, after in pairwise(sure):
            if after.back < before.let:
                yield f"S1 {address} of {subnet} was {before.id}'s and {after.id}'s at once"
        rest = rows.subnets[subnet].quarantine_seconds if subnet in rows.subnets else 0
        if rest:
            yield from _rested(found, rest)


def _rested(found: Sequence[Hold], rest: int) -> Iterator[str]:
    backs = sorted(hold.back for hold in found)
    for hold in found:
        place = bisect_left(backs, hold.let)
        if hold.let < inf and place < len(backs) and backs[place] < inf:
            rested = backs[place] - hold.let
            if rested < rest - CLOCK_SECONDS:
                yield f"S12 {hold.address} rested {rested:.2f} s of {rest}"


def _not_phantom(history: Sequence[Event], rows: Rows, known: Mapping[str, Hold]) -> Iterator[str]:
    """S6: "exhausted" only if at some instant of the request too little may have been free."""
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for hold in known.values():
        rest = rows.subnets[hold.subnet].quarantine_seconds if hold.subnet in rows.subnets else 0
        changes[hold.subnet].append((hold.call, 1))
        if hold.gone < inf:
            changes[hold.subnet].append((hold.gone + rest + CLOCK_SECONDS, -1))
    steps = {subnet: _steps(found) for subnet, found in changes.items()}
    for event in history:
        if event.code != "pool-exhausted":
            continue
        subnet = event.asked["pool"]
        size = sum(last - first + 1 for first, last in rows.pools[subnet])
        times, levels = steps.get(subnet, ([], [0]))
        low = bisect_right(times, event.call)
        high = bisect_right(times, event.back)
        most = max(levels[low : high + 1])
        if size - most >= event.asked["wanted"]:
            yield (
                f"S6 {event.name} wanted {event.asked['wanted']} of {size}, was told there is too"
                f" little, and at most {most} were held"
            )


def _steps(found: list[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Times, and how many are held at most before the first, between, and after the last."""
    found.sort()
    levels = [0]
    for _, change in found:
        levels.append(levels[-1] + change)
    return [at for at, _ in found], levels
