"""Linearizability: one order of all requests that explains every answer (S7).

Invariant: an order is sought for the whole history of one object; "no order" is said only when
all were tried. The way is Wing and Gong's with Lowe's memory of what was tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from faults.judge.effects import Effects
from faults.judge.history import Event

STEPS_MAX = 5_000_000
SHOWN_MAX = 8
State = Any  # Any: of whatever object
Step = Callable[[State, Any], State]
IMPOSSIBLE = object()


class Call(NamedTuple):
    """One request to one object; whatever returns at infinity may take effect at any time."""

    begin: float
    end: float
    what: Any


class TooLong(Exception):
    """No order was found, and not all were tried."""


class _Node:
    __slots__ = ("call", "mate", "next", "number", "prev")

    def __init__(self, number: int, call: Call | None) -> None:
        self.number = number
        self.call = call
        self.mate: _Node | None = None
        self.prev: _Node | None = None
        self.next: _Node | None = None


def has_order(calls: Sequence[Call], start: State, step: Step, steps_max: int = STEPS_MAX) -> bool:
    """Whether some order explains the calls.

    Raises:
        TooLong: that was not found out in `steps_max` steps.
    """
    head = _linked(calls)
    state, done, seen = start, 0, set()
    trail: list[tuple[_Node, State]] = []
    entry = head.next
    for _ in range(steps_max):
        if head.next is None:
            return True
        assert entry is not None
        if entry.mate is not None:
            after = step(state, entry.call.what)  # type: ignore[union-attr]  # a call has one
            grown = done | (1 << entry.number)
            if after is not IMPOSSIBLE and (grown, after) not in seen:
                seen.add((grown, after))
                trail.append((entry, state))
                state, done = after, grown
                _lift(entry)
                entry = head.next
            else:
                entry = entry.next
        else:  # somebody has returned who is not in the order yet: the last choice was wrong
            if not trail:
                return False
            node, state = trail.pop()
            done &= ~(1 << node.number)
            _unlift(node)
            entry = node.next
    raise TooLong


def _linked(calls: Sequence[Call]) -> _Node:
    moments: list[tuple[float, int, int, _Node]] = []
    for number, call in enumerate(calls):
        begin, end = _Node(number, call), _Node(number, None)
        begin.mate = end
        moments.append((call.begin, 0, number, begin))
        moments.append((call.end, 1, number, end))
    head = last = _Node(-1, None)
    for *_, node in sorted(moments, key=lambda moment: moment[:3]):
        last.next, node.prev = node, last
        last = node
    return head


def _lift(entry: _Node) -> None:
    for node in (entry, entry.mate):
        assert node is not None
        assert node.prev is not None
        node.prev.next = node.next
        if node.next is not None:
            node.next.prev = node.prev


def _unlift(entry: _Node) -> None:
    for node in (entry.mate, entry):
        assert node is not None
        assert node.prev is not None
        node.prev.next = node
        if node.next is not None:
            node.next.prev = node


def of_address(state: str | None, what: tuple[str, str | None]) -> State:
    """An address: held by an allocation, or by none."""
    verb, who = what
    if verb == "take":
        return who if state is None else IMPOSSIBLE
    if verb == "give":
        return None if state == who else IMPOSSIBLE
    if verb == "look":
        return state if state == who else IMPOSSIBLE
    if verb == "not his":
        return state if state != who else IMPOSSIBLE
    assert verb == "taken", verb
    return state if state is not None else IMPOSSIBLE


def of_counter(size: int) -> Step:
    """A pool, by how much of it is held."""

    def step(held: int, what: tuple[str, int]) -> State:
        verb, number = what
        if verb == "take":
            return held + number if held + number <= size else IMPOSSIBLE
        if verb == "give":
            return held - number if held >= number else IMPOSSIBLE
        if verb == "exhausted":
            return held if size - held < number else IMPOSSIBLE
        assert verb == "count", verb
        return held if held == number else IMPOSSIBLE

    return step


@dataclass
class Orders:
    """What was sought: how many objects and calls, and what was found wrong or left open."""

    objects: int = 0
    calls: int = 0
    undecided: int = 0

    def seek(self, name: str, calls: Sequence[Call], start: State, step: Step) -> Iterator[str]:
        """Look for an order for one object."""
        self.objects += 1
        self.calls += len(calls)
        try:
            if not has_order(calls, start, step):
                shown = ", ".join(f"{c.what} {c.begin:.6f}..{c.end:.6f}" for c in calls[:SHOWN_MAX])
                yield f"S7 no order explains the {len(calls)} calls to {name}: {shown}"
        except TooLong:
            self.undecided += 1


def address_calls(
    history: Sequence[Event], effects: Effects, resting: frozenset[str]
) -> dict[tuple[str, int], list[Call]]:
    """The calls to each address; of subnets where addresses rest, a refusal says nothing."""
    found: dict[tuple[str, int], list[Call]] = defaultdict(list)
    for event in history:
        end = inf if event.unknown else event.back
        if event.op == "take":
            for done in effects.taken.get(event.name, [])[:1]:
                for address, allocation in done.taken:
                    found[done.place or "", address].append(
                        Call(event.call, end, ("take", allocation))
                    )
            if event.code == "address-taken" and event.asked["pool"] not in resting:
                place = event.asked["pool"], event.asked["address"]
                found[place].append(Call(event.call, end, ("taken", None)))
        elif event.op == "give":
            place = event.asked["pool"], event.asked["address"]
            held = event.asked["id"]
            if event.ok or (event.unknown and effects.happened(event)):
                found[place].append(Call(event.call, end, ("give", held)))
            elif event.code in ("not-found", "stale-allocation"):
                found[place].append(Call(event.call, end, ("not his", held)))
        elif event.op == "look" and event.code in ("ok", "not-found"):
            place = event.asked["pool"], event.asked["address"]
            found[place].append(Call(event.call, end, ("look", event.got)))
    return found


def counter_calls(history: Sequence[Event], effects: Effects) -> dict[str, list[Call]]:
    """The calls to each pool as a counter."""
    found: dict[str, list[Call]] = defaultdict(list)
    for event in history:
        pool = event.asked.get("pool", "")
        end = inf if event.unknown else event.back
        if event.op == "take" and (event.ok or effects.happened(event)):
            number = sum(len(done.taken) for done in effects.taken.get(event.name, [])[:1])
            found[pool].append(Call(event.call, end, ("take", number)))
        elif event.op == "give" and (event.ok or (event.unknown and effects.happened(event))):
            found[pool].append(Call(event.call, end, ("give", 1)))
        elif event.code == "pool-exhausted":
            found[pool].append(Call(event.call, end, ("exhausted", event.asked["wanted"])))
        elif event.op == "count" and event.ok:
            found[pool].append(Call(event.call, end, ("count", event.got)))
    return found
