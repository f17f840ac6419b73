"""Sixteen processes against one another on one book, and a judge who knows only their ledgers.

Invariant: the judge shares no code with the product; a race in which too little happened is lost.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path
from time import sleep
from typing import Any

import psycopg
import pytest

from allotment import LocalDesk, Prefix, local_owner, open_book
from allotment.model.commands import (
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
    UpdateAllocationPools,
)
from allotment.model.queries import CheckBook, ListAllocations, ListPrefixAllocations
from races import worker
from races.worker import BASE, POOLS

pytestmark = pytest.mark.races

ME = local_owner()
RACERS = 16
SECONDS = 4.0
PRELOADED = (
    "allotment.bootstrap",
    "allotment.store.postgres",
    "allotment.store.sqlite",
)

# What a racer may hear, besides "ok".
ALLOWED = {
    "any": {"pool-exhausted"},
    "named": {"address-taken"},
    "bulk": {"pool-exhausted"},
    "run": {"pool-exhausted"},
    "release": set(),
    "release again": {"not-found", "stale-allocation"},
    "other": {"not-found", "pool-exhausted"},
    "pools": set(),
    "make": set(),
    "remove": set(),
    "carve": {"pool-exhausted"},
    "identified": set(),
}
# What must have happened, at least so often, for a race to show anything.
ACTIVITY = {
    ("any", "ok"): 20,
    ("any", "pool-exhausted"): 3,
    ("named", "ok"): 2,
    ("named", "address-taken"): 3,
    ("bulk", "ok"): 1,
    ("bulk", "pool-exhausted"): 2,
    ("run", "pool-exhausted"): 2,
    ("release", "ok"): 20,
    ("pools", "ok"): 1,
    ("make", "ok"): 2,
    ("remove", "ok"): 2,
}


@dataclass
class Event:
    """One command of one racer, from its call to its answer."""

    what: str
    asked: dict[str, Any]
    call: float
    back: float = inf
    code: str = "unknown"
    heard: Any = None


@dataclass
class Hold:
    """An address as somebody held it: at the longest `call`..`released`, surely `back`..`let`."""

    id: str
    call: float
    back: float
    let: float = inf
    released: float = inf


@dataclass
class Judge:
    """What the ledgers say must have been, and may have been."""

    events: list[Event]
    holds: dict[int, list[Hold]] = field(default_factory=dict)
    not_pooled: dict[int, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        by_id: dict[str, Hold] = {}
        for event in self.events:
            if event.what in ("any", "named", "bulk", "run") and event.code == "ok":
                for address, made in event.heard:
                    assert made not in by_id, "two allocations have one id"
                    by_id[made] = Hold(made, event.call, event.back)
                    self.holds.setdefault(address, []).append(by_id[made])
        for event in self.events:
            if event.what == "release" and event.code == "ok":
                hold = by_id[event.asked["id"]]
                hold.let, hold.released = event.call, event.back
        updates = [Event("pools", {"which": 0}, -inf, -inf, "ok")]
        updates += [event for event in self.events if event.what == "pools"]
        ends = [event.back for event in updates[1:]] + [inf]
        for update, end in zip(updates, ends, strict=True):
            for address in set(range(64)) - pooled(update):
                self.not_pooled.setdefault(address, []).append((update.call, end))

    def held_at_the_end(self) -> set[tuple[int, str]]:
        every = ((at, hold) for at, holds in self.holds.items() for hold in holds)
        return {(at, hold.id) for at, hold in every if hold.let == inf}

    def surely_free(self, at: float) -> list[int]:
        """The addresses that were free in the pools at a time, whoever came first."""
        return [a for a in range(64) if not any(s <= at <= e for s, e in self.not_free(a))]

    def not_free(self, address: int) -> list[tuple[float, float]]:
        """When an address may have been held, or outside the pools."""
        held = [(hold.call, hold.released) for hold in self.holds.get(address, ())]
        return held + self.not_pooled.get(address, [])

    def instants(self, event: Event) -> Iterator[float]:
        """When the least was surely free during a command: at one of these."""
        yield event.call
        for address in range(64):
            for start, _ in self.not_free(address):
                if event.call < start <= event.back:
                    yield start

    def judge(self) -> None:
        for event in self.events:
            assert event.code in ALLOWED[event.what] | {"ok"}, event
        self.nobody_twice()
        for event in self.events:
            if event.code == "pool-exhausted" and event.what in ("any", "bulk", "run"):
                assert any(self.too_little(event, at) for at in self.instants(event)), event
            elif event.code == "address-taken":
                holds = self.holds.get(event.asked["address"], ())
                assert any(h.call <= event.back and event.call <= h.released for h in holds), event
            elif event.code == "ok" and event.what in ("any", "bulk", "run"):
                self.rightly_given(event)

    def nobody_twice(self) -> None:
        """S1: no address is acknowledged to two over times that overlap."""
        for address, holds in self.holds.items():
            ordered = sorted(holds, key=lambda hold: hold.back)
            for one, other in pairwise(ordered):
                assert one.let < other.back, f"{address} had two holders: {one}, {other}"

    def too_little(self, event: Event, at: float) -> bool:
        """S6: whether the pools may have had too little for a command at that time."""
        free = self.surely_free(at)
        if event.what != "run":
            return len(free) < event.asked["wanted"]
        wanted = event.asked["wanted"]
        return not any(set(range(n, n + wanted)) <= set(free) for n in free)

    def rightly_given(self, event: Event) -> None:
        """S2, S10: all that was asked for, and of the pools as they may have stood."""
        given = [address for address, _ in event.heard]
        assert len(set(given)) == event.asked["wanted"], event
        if event.what == "run":
            assert max(given) - min(given) == len(given) - 1, event
        for address in given:
            away = self.not_pooled.get(address, ())
            apart = [span for span in away if span[0] <= event.call and event.back <= span[1]]
            assert all(self.may_have_been_pooled(address, event) for _ in apart), event

    def may_have_been_pooled(self, address: int, event: Event) -> bool:
        updates = [Event("pools", {"which": 0}, -inf, -inf, "ok")]
        updates += [one for one in self.events if one.what == "pools"]
        ends = [one.back for one in updates[1:]] + [inf]
        return any(
            address in pooled(one) and one.call <= event.back and event.call <= end
            for one, end in zip(updates, ends, strict=True)
        )


def pooled(update: Event) -> set[int]:
    """The addresses that an update made the pools."""
    return {n for first, last in POOLS[update.asked["which"]] for n in range(first, last + 1)}


@pytest.fixture(params=["sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database that processes can share."""
    if request.param == "sqlite-file":
        return f"sqlite:///{tmp_path}/book.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def desk(url: str) -> Iterator[LocalDesk]:
    """A book with a small subnet, `hot`, and a subnet pool of sixteen /28."""
    with open_book(url, create=True) as made:
        made.do(CreateAddressScope(name="s"), ME)
        made.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/26"), name="hot"), ME)
        first = tuple(worker.AddressRange.of(4, BASE + a, BASE + b) for a, b in POOLS[0])
        made.do(UpdateAllocationPools(subnet="hot", ranges=first), ME)
        made.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)), ME)
        yield made


def race(url: str, folder: Path, roles: Sequence[str], desk: LocalDesk) -> list[Event]:
    """Let processes race, looking at the book meanwhile; what their ledgers say, by time."""
    context = multiprocessing.get_context("forkserver")  # imports once, for all racers
    context.set_forkserver_preload(["pytest", *PRELOADED])
    start = context.Barrier(len(roles) + 1)
    crew = [
        context.Process(
            target=worker.work,
            args=(url, str(folder / f"{number}.ledger"), role, number, SECONDS, start),
        )
        for number, role in enumerate(roles)
    ]
    for one in crew:
        one.start()
    try:
        start.wait(60)
        while any(one.is_alive() for one in crew):
            assert desk.ask(CheckBook(), ME).faults == ()
            sleep(0.5)
    finally:
        for one in crew:
            one.kill()
            one.join()
    assert [one.exitcode for one in crew] == [0] * len(crew)
    events = [event for path in folder.glob("*.ledger") for event in read(path)]
    return sorted(events, key=lambda event: event.call)


def read(path: Path) -> Iterator[Event]:
    """The commands of a ledger, each with its answer."""
    pending: dict[int, Event] = {}
    for line in path.read_text().splitlines():
        facts = json.loads(line)
        number = facts.pop("number")
        if "call" in facts:
            pending[number] = Event(**facts)
        else:
            event = pending[number]
            event.back, event.code = facts["back"], facts["code"]
            event.heard = facts.get("heard")
    yield from pending.values()


def test_sixteen_on_one_nearly_full_pool(url: str, tmp_path: Path, desk: LocalDesk) -> None:
    roles = ["mixed"] * (RACERS - 2) + ["pools", "subnets"]
    events = race(url, tmp_path, roles, desk)
    judge = Judge(events)
    judge.judge()
    held = desk.ask(ListAllocations(subnet="hot"), ME).items
    assert {(one.address.value - BASE, str(one.id)) for one in held} == judge.held_at_the_end()
    assert desk.ask(CheckBook(), ME).faults == ()
    seen = Counter((event.what, event.code) for event in events)
    scarce = {key: seen[key] for key, least in ACTIVITY.items() if seen[key] < least}
    assert scarce == {}, f"too little happened: {sorted(seen.items())}"
    if url.startswith("postgresql"):
        assert deadlocks(url) == 0


def deadlocks(url: str) -> int:
    """How many deadlocks the server has broken in this database."""
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(url) as conn:
        row = conn.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_sixteen_carve_one_pool_and_share_one_identifier(
    url: str, tmp_path: Path, desk: LocalDesk
) -> None:
    events = race(url, tmp_path, ["carve"] * RACERS, desk)
    for event in events:
        assert event.code in ALLOWED[event.what] | {"ok"}, event
    carved = [event.heard for event in events if event.what == "carve" and event.code == "ok"]
    assert sorted(carved) == sorted(f"10.9.0.{16 * n}/28" for n in range(16))
    listed = desk.ask(ListPrefixAllocations(pool="pool"), ME).items
    assert [str(one.prefix) for one in listed] == [f"10.9.0.{16 * n}/28" for n in range(16)]
    refused = [event for event in events if event.code == "pool-exhausted"]
    assert len(refused) == RACERS
    done = [event for event in events if event.what == "carve" and event.code == "ok"]
    last_begun = max(event.call for event in done)
    assert min(event.back for event in refused) >= last_begun, "refused while there was room"
    answers = [event.heard for event in events if event.what == "identified"]
    held = desk.ask(ListAllocations(subnet="hot"), ME).items
    assert answers == [[[held[0].address.value - BASE, str(held[0].id)]]] * RACERS
    assert len(held) == 1
    assert desk.ask(CheckBook(), ME).faults == ()
