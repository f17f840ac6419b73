"""Laws between ledgers and book: nothing acknowledged is lost, nothing refused was done, nothing
was done twice, every outcome is known, and so is who held what (D1, D2, D3, S8, S14, A1).

Invariant: an effect is known by the mark its request carried, or by the id of what it gave back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from faults.judge.history import Event
from faults.judge.rows import Done, Rows


@dataclass
class Effects:
    """What the audit says was done, by the request that did it."""

    taken: dict[str, list[Done]] = field(default_factory=lambda: defaultdict(list))
    given: dict[str, list[Done]] = field(default_factory=lambda: defaultdict(list))
    givers: dict[str, str] = field(default_factory=dict)
    """Which request gave an allocation back, by the allocation's id."""

    @classmethod
    def of(cls, rows: Rows, history: Sequence[Event]) -> Effects:
        """The effects of a book, and whose they were."""
        made = cls()
        for done in rows.done:
            if done.taken:
                made.taken[done.mark or ""].append(done)
            elif done.given is not None:
                made.given[done.given].append(done)
        made._find_givers(history)
        return made

    def _find_givers(self, history: Sequence[Event]) -> None:
        """By the key of the event; without one, whoever was told so, else the first who asked."""
        for event in history:
            done = self.given.get(event.asked["id"]) if event.op == "give" else None
            if done is None or not (event.ok or event.unknown) or done[0].key != event.key:
                continue
            if event.ok or event.asked["id"] not in self.givers:
                self.givers[event.asked["id"]] = event.name

    def happened(self, event: Event) -> bool:
        """Whether a request had an effect."""
        if event.op == "take":
            return event.name in self.taken
        return event.op == "give" and self.givers.get(event.asked["id"]) == event.name


def findings(history: Sequence[Event], rows: Rows, effects: Effects) -> Iterator[str]:
    """Everything on which ledgers and book disagree."""
    yield from _takes(history, effects)
    yield from _gives(history, effects)
    yield from _fold(rows)
    yield from _periods(rows)
    yield from _fates(history, rows, effects)


def _takes(history: Sequence[Event], effects: Effects) -> Iterator[str]:
    asked = {event.name: event for event in history if event.op == "take"}
    for name, done in effects.taken.items():
        if name not in asked:
            yield f"D2 something was taken that nobody asked for: {name or done[0].taken}"
        if len(done) > 1:
            yield f"S8 {name} was done {len(done)} times"
    for name, event in asked.items():
        done = effects.taken.get(name, [])
        if event.ok:
            if not done:
                yield f"D1 {name} was acknowledged and is lost: {event.got}"
            elif sorted(map(tuple, event.got)) != sorted(done[0].taken):
                yield f"D1 {name} was told {event.got}, and the book says {done[0].taken}"
        elif done and not event.unknown:
            yield f"D2 {name} was refused ({event.code}) and was done"


def _gives(history: Sequence[Event], effects: Effects) -> Iterator[str]:
    asked: dict[str, list[Event]] = defaultdict(list)
    for event in history:
        if event.op == "give":
            asked[event.asked["id"]].append(event)
    for held, done in effects.given.items():
        if len(done) > 1:
            yield f"S8 {held} was given back {len(done)} times"
        if not any(event.ok or event.unknown for event in asked[held]):
            yield f"D2 {held} was given back, and nobody was told so"
    for held, events in asked.items():
        for event in events:
            if event.ok and held not in effects.given:
                yield f"D1 {event.name} gave {held} back, was told so, and it is lost"


def _fold(rows: Rows) -> Iterator[str]:
    """A1: what the audit adds up to is what is held, and the other way round."""
    taken = {
        (done.place, address, allocation)
        for done in rows.done
        for address, allocation in done.taken
    }
    given = {done.given for done in rows.done if done.given is not None}
    due = {one for one in taken if one[2] not in given}
    held = set(rows.held)
    for one in sorted(held - due, key=str)[:20]:
        yield f"A1 {one} is held, and the audit does not say so"
    for one in sorted(due - held, key=str)[:20]:
        yield f"A1 the audit says that {one} is held, and it is not"
    unknown = given - {one[2] for one in taken}
    for name in sorted(unknown)[:20]:
        yield f"A1 the audit gives {name} back, which it never gave out"


def _periods(rows: Rows) -> Iterator[str]:
    """S14: whoever gave an address back held it once, from a time until a later one or the same."""
    given = {done.given for done in rows.done if done.given is not None}
    due = Counter(
        (done.place, address, allocation)
        for done in rows.done
        for address, allocation in done.taken
        if allocation in given
    )
    told = Counter((one.subnet, one.address, one.allocation) for one in rows.periods)
    for one in sorted((due - told).elements(), key=str)[:20]:
        yield f"S14 {one} was given back, and the history does not say who held it"
    for one in sorted((told - due).elements(), key=str)[:20]:
        yield f"S14 the history says that {one} was held, and it was never given back, or once less"
    for period in rows.periods:
        if period.since > period.until:
            yield f"S14 {period} ends before it begins"


def _fates(history: Sequence[Event], rows: Rows, effects: Effects) -> Iterator[str]:
    """D3: what became of a request is told alike each time, and is the truth."""
    for event in history:
        if len(set(event.fates)) > 1:
            yield f"D3 of {event.name} it was said in turn: {event.fates}"
        if not event.fates:
            continue
        happened = effects.happened(event)
        if event.fates[-1] != ("done" if happened else "not-done"):
            yield f"D3 of {event.name} it was said {event.fates[-1]}, and that is not so"
        if not happened and not rows.stored.get(event.key or "", False):
            yield f"D3 {event.name} was said to be not done, and its key is not fenced"
