"""L3: whoever asks has an outcome by the deadline and a second, however long others are at it.

Invariant: what is in the way is real: another session holds what the commands need.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from allotment import Address, LocalDesk, Prefix, open_book, teller
from allotment.errors import AllotmentError, Busy, DeadlineExceeded, StoreUnavailable
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    Command,
    CreateAddressScope,
    CreateSubnet,
    ReleaseAddress,
    UpdateSubnet,
)
from allotment.model.queries import CheckBook, GetStatus
from allotment.operations import retries
from allotment.store.postgres import PostgresDialect
from allotment.store.session import Store

DEADLINE_SECONDS = 2.0
LATE_SECONDS = 1.0
ASKED_SECONDS_APART = 0.3
CALLERS = 8
SHOWN = ("transaction_isolation", "transaction_read_only")


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "DEADLINE_SECONDS", DEADLINE_SECONDS)


@pytest.fixture
def subnet(desk: LocalDesk, me: Actor) -> str:
    desk.do(CreateAddressScope(name="s"), me)
    made = desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), name="n"), me)
    desk.do(AllocateAddress(subnet="n", address=Address("10.0.0.9")), me)
    return str(made.id)


@contextmanager
def in_the_way(desk: LocalDesk, url: str) -> Iterator[None]:
    """Another session holds every row of the book that an allocation needs."""
    if ":memory:" in url or url == "sqlite://":
        pytest.skip("a book in memory has one session")
    with open_book(url) as other:
        conn = other.store.dialect.engine.connect()
        if conn.dialect.name == "sqlite":
            conn.info["allotment_begin"] = "BEGIN IMMEDIATE"
            conn.begin()
        else:
            conn.execute(text("SELECT * FROM subnet FOR UPDATE"))
        try:
            yield
        finally:
            conn.rollback()
            conn.close()


def seconds_and_code(desk: LocalDesk, me: Actor, command: Command[Any]) -> tuple[float, str]:
    began = time.monotonic()
    try:
        desk.do(command, me)
        code = "done"
    except AllotmentError as error:
        code = error.code
    return time.monotonic() - began, code


def test_nobody_waits_for_those_who_came_later(
    desk: LocalDesk, me: Actor, subnet: str, database_url: str
) -> None:
    """Before: a group had the time of whoever joined it last, and was answered together."""
    places = [subnet, "n"]  # by its id at once, by its name in a transaction
    with in_the_way(desk, database_url), ThreadPoolExecutor(CALLERS) as crew:
        asked = []
        for number in range(CALLERS):
            command = AllocateAddress(subnet=places[number % len(places)])
            asked.append(crew.submit(seconds_and_code, desk, me, command))
            time.sleep(ASKED_SECONDS_APART)
        told = [one.result() for one in asked]
    assert {code for _, code in told} <= {"busy", "deadline-exceeded"}, told
    assert max(seconds for seconds, _ in told) <= DEADLINE_SECONDS + LATE_SECONDS, told
    assert desk.do(AllocateAddress(subnet=subnet), me)
    assert desk.ask(GetStatus(), me).allocations == 2
    assert desk.ask(CheckBook(), me).clean


def test_who_had_no_turn_in_time_is_served_when_the_way_is_free(
    desk: LocalDesk,
    me: Actor,
    subnet: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first runs out of time; the last, who was in its crowd, does not."""
    monkeypatch.setattr(teller, "TURN_SECONDS", 0.5)
    with ThreadPoolExecutor(CALLERS) as crew:
        with in_the_way(desk, database_url):
            first = crew.submit(seconds_and_code, desk, me, AllocateAddress(subnet=subnet))
            time.sleep(0.1)
            others = [
                crew.submit(seconds_and_code, desk, me, AllocateAddress(subnet=subnet))
                for _ in range(3)
            ]
            time.sleep(DEADLINE_SECONDS - 0.2)
            late = crew.submit(seconds_and_code, desk, me, AllocateAddress(subnet="n"))
            told = [one.result() for one in (first, *others)]
        assert late.result()[1] == "done"
    assert {code for _, code in told} <= {"busy", "deadline-exceeded"}, told
    assert desk.ask(GetStatus(), me).allocations == 2


@pytest.mark.parametrize(
    "command",
    [
        ReleaseAddress(subnet="n", address=Address("10.0.0.9")),
        UpdateSubnet(subnet="n", name="m"),
    ],
    ids=["hot", "alone"],
)
def test_a_command_that_is_alone_ends_by_its_deadline(
    desk: LocalDesk, me: Actor, subnet: str, database_url: str, command: Command[Any]
) -> None:
    """Before: its last wait for a lock could begin at the deadline, and take ten seconds."""
    with in_the_way(desk, database_url):
        seconds, code = seconds_and_code(desk, me, command)
    assert code in ("busy", "deadline-exceeded")
    assert DEADLINE_SECONDS - 1.0 <= seconds <= DEADLINE_SECONDS + LATE_SECONDS
    desk.do(command, me)


def test_a_lock_that_is_not_had_in_time_costs_no_connection(
    postgres_desk: LocalDesk, me: Actor, postgres_url: str
) -> None:
    """The server gives the lock up; before, the client hung up, and every connection was new."""
    postgres_desk.do(CreateAddressScope(name="s"), me)
    made = postgres_desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24")), me)
    plain = AllocateAddress(subnet=str(made.id))
    with in_the_way(postgres_desk, postgres_url):
        for _ in range(2):
            with pytest.raises((Busy, DeadlineExceeded)):
                postgres_desk.do(plain, me)
    assert postgres_desk.store.away_at < 0


def test_a_server_that_lets_nobody_in_is_waited_for_no_longer_than_the_deadline() -> None:
    """Each of its hosts could take two seconds at least, whatever the deadline was."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hosts = f"host=127.0.0.1:{port}&host=127.0.0.1:{port}&host=127.0.0.1:{port}"
        store = Store(PostgresDialect(f"postgresql://me@/book?{hosts}"), lambda: 0)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable), store.reading(deadline=began + 0.5):
            pass
        assert time.monotonic() - began < 0.5 + LATE_SECONDS


@pytest.mark.parametrize("seconds", [None, 5.0, 20.0, 3600.0])
def test_a_question_is_answered_from_one_snapshot_however_long_it_may_take(
    postgres_desk: LocalDesk, seconds: float | None
) -> None:
    """What bounds its locks and statements begins the transaction, and begins it as it should."""
    deadline = None if seconds is None else time.monotonic() + seconds
    with postgres_desk.store.reading(deadline=deadline) as r:
        assert [r.conn.scalar(text(f"SHOW {name}")) for name in SHOWN] == ["repeatable read", "on"]
    with postgres_desk.store.writing(deadline=deadline) as tx:
        assert [tx.conn.scalar(text(f"SHOW {name}")) for name in SHOWN] == ["read committed", "off"]
