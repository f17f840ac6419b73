"""A crowd at the teller: each has its own time and its own outcome, and each failure its event.

Invariant: nobody is told of the time or the failure of another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    CommitUnknown,
    Misconfigured,
    NotFound,
    NotPrimary,
    Overloaded,
    SchemaMismatch,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, CreateAddressScope, CreateSubnet
from allotment.model.events import ListAudit
from allotment.model.queries import CheckBook, GetStatus
from allotment.model.results import Allocation
from allotment.operations.perform import Asked
from allotment.store.group_commit import LATER
from allotment.teller import RECORDED_SECONDS, TURN_SECONDS, Job
from conformance.callers import waiting

OVER, SHORT, LONG = -1.0, TURN_SECONDS / 2, 30.0
NOBODY = AllocateAddress(subnet="nowhere")
AWAY: list[type[StoreError]] = [
    CommitUnknown,
    Misconfigured,
    NotPrimary,
    Overloaded,
    SchemaMismatch,
    StoreCorrupt,
    StoreFull,
    StoreUnavailable,
]


def subnet_in(desk: LocalDesk, me: Actor) -> str:
    desk.do(CreateAddressScope(name="s"), me)
    return str(desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me).id)


def crowd(desk: LocalDesk, me: Actor, *asked: tuple[AllocateAddress, float]) -> list[Any]:
    """What becomes of commands that have so many seconds left, served together."""
    now = time.monotonic()
    return desk._teller.serve_crowd([Job(Asked(me, what), now + left) for what, left in asked])


def named(outcomes: Sequence[Any]) -> list[str]:
    return ["later" if one is LATER else getattr(one, "code", "done") for one in outcomes]


def events(desk: LocalDesk, me: Actor, outcome: str) -> int:
    return len(desk.ask(ListAudit(outcome=outcome), me).items)


@pytest.mark.parametrize(
    ("seconds_left", "told"),
    [
        ((OVER, LONG), ["deadline-exceeded", "later"]),
        ((LONG, OVER, LONG), ["later", "deadline-exceeded", "later"]),
        ((SHORT, LONG), ["deadline-exceeded", "later"]),
        ((OVER, SHORT), ["deadline-exceeded", "later"]),
        ((SHORT, SHORT), ["done", "done"]),
        ((OVER, OVER), ["deadline-exceeded", "deadline-exceeded"]),
        ((LONG, LONG), ["done", "done"]),
    ],
)
@pytest.mark.parametrize("place", ["id", "name"])
def test_each_of_a_crowd_has_its_own_time(
    desk: LocalDesk, me: Actor, place: str, seconds_left: tuple[float, ...], told: list[str]
) -> None:
    """Whose time is over is told so; whoever has more is not cut off with it."""
    subnet = {"id": subnet_in(desk, me), "name": "n"}[place]
    jobs = [(AllocateAddress(subnet=subnet), left) for left in seconds_left]
    assert named(crowd(desk, me, *jobs)) == told
    assert events(desk, me, "deadline-exceeded") == told.count("deadline-exceeded")
    assert desk.ask(GetStatus(), me).allocations == told.count("done")


def test_what_is_refused_is_said_to_the_one_it_concerns(desk: LocalDesk, me: Actor) -> None:
    subnet = subnet_in(desk, me)
    asked = [AllocateAddress(subnet=subnet), NOBODY, AllocateAddress(subnet="n")]
    outcomes = crowd(desk, me, *[(one, LONG) for one in asked])
    assert named(outcomes) == ["done", "not-found", "done"]
    assert len({one.address for one in outcomes if isinstance(one, Allocation)}) == 2
    assert events(desk, me, "not-found") == 1


@pytest.mark.parametrize(
    ("seconds_ago", "entered"), [(0.0, 0), (RECORDED_SECONDS + 1.0, 1), (math.inf, 1)]
)
def test_a_database_that_was_just_away_is_not_asked_for_a_refusal_s_event(
    desk: LocalDesk, me: Actor, seconds_ago: float, entered: int
) -> None:
    """It would keep whoever was refused waiting for nothing."""
    desk.store.away_at = time.monotonic() - seconds_ago
    with pytest.raises(NotFound):
        desk.do(NOBODY, me)
    assert events(desk, me, "not-found") == entered


@pytest.mark.parametrize("seconds_left", [LONG, SHORT, 0.0, OVER])
def test_a_refusal_is_entered_though_the_time_is_just_over(
    desk: LocalDesk, me: Actor, seconds_left: float
) -> None:
    refusal = NotFound("subnet", "nowhere")
    deadline = time.monotonic() + seconds_left
    desk._teller.record([(Asked(me, NOBODY), refusal)], deadline)
    assert events(desk, me, "not-found") == 1


@pytest.mark.parametrize("kind", AWAY)
def test_a_failure_of_the_database_leaves_no_event(
    desk: LocalDesk, me: Actor, kind: type[StoreError]
) -> None:
    """It is not there to take one, or what was asked may have been done."""
    desk._teller.record([(Asked(me, NOBODY), kind("away"))], time.monotonic() + LONG)
    assert events(desk, me, kind.code) == 0
    both: list[AllotmentError] = [kind("away"), NotFound("subnet", "nowhere")]
    desk._teller.record([(Asked(me, NOBODY), one) for one in both], time.monotonic() + LONG)
    assert (events(desk, me, kind.code), events(desk, me, "not-found")) == (0, 1)


def keyed_in(subnet: str) -> list[AllocateAddress]:
    return [AllocateAddress(subnet=subnet, idempotency_key=key) for key in "ab"]


def some_keyed(subnet: str) -> list[tuple[AllocateAddress, float]]:
    first, second = keyed_in(subnet)
    plain = AllocateAddress(subnet=subnet)
    return [(plain, LONG), (first, LONG), (plain, LONG), (second, LONG)]


FOUND_OUT = ["commit-unknown", "done", "commit-unknown", "done"]


@pytest.mark.parametrize(("cut", "happened"), [("before", 0), ("after", 1)])
def test_of_a_crowd_whose_commit_was_lost_the_keyed_find_out_and_the_others_are_told(
    wire: Any, me: Actor, cut: Any, happened: int
) -> None:
    with open_book(wire.url) as desk:
        subnet_in(desk, me)
        wire.cut(cut)
        outcomes = crowd(desk, me, *some_keyed("n"))
        assert (named(outcomes), wire.cuts) == (FOUND_OUT, 1)
        assert desk.ask(GetStatus(), me).allocations == 2 + 2 * happened
        assert [desk.do(one, me) for one in keyed_in("n")] == outcomes[1::2]
        assert desk.ask(CheckBook(), me).clean


def test_of_a_crowd_that_was_lost_at_once_the_keyed_find_out_and_the_others_are_told(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    """Its one round trip is its commit as well: what was lost may have been done."""
    subnet = subnet_in(postgres_desk, me)
    with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT * FROM subnet FOR UPDATE")
        served = pool.submit(crowd, postgres_desk, me, *some_keyed(subnet))
        waiting(postgres_url)
        (ended,) = other.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone() or (0,)
        other.rollback()
        outcomes = served.result()
    assert (named(outcomes), ended) == (FOUND_OUT, 1)
    assert postgres_desk.ask(GetStatus(), me).allocations == 2
    assert [postgres_desk.do(one, me) for one in keyed_in(subnet)] == outcomes[1::2]
    assert postgres_desk.ask(CheckBook(), me).clean
