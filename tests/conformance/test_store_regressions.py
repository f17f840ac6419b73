"""Faults of the store and the desk, each as the smallest test that showed it.

Invariant: what is here once failed; a name is the claim that was broken.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.engine import make_url

from allotment import Address, AddressRange, LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    Bug,
    ConstraintFailed,
    NotPrimary,
    Overloaded,
    SchemaMismatch,
    StoreError,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteProject,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    RepairBook,
    UpdateAllocation,
)
from allotment.model.extent import Extent
from allotment.model.queries import CheckBook, GetStatus, ListProjects
from allotment.operations.gate import Gate
from allotment.operations.perform import Asked, perform_one
from allotment.store import schema

X = schema.prefix


class Caller(threading.Thread):
    """A command on its way, in a thread of its own."""

    def __init__(self, desk: LocalDesk, command: Command[Any], actor: Actor) -> None:
        super().__init__(daemon=True)
        self.desk, self.command, self.actor = desk, command, actor
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.desk.do(self.command, self.actor)
        except AllotmentError as error:
            self.outcome = error


def waiting(url: str) -> None:
    """Until somebody in the database waits for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + 20
    with psycopg.connect(url, autocommit=True) as watcher:
        while time.monotonic() < deadline:
            row = watcher.execute(query).fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


# --- idempotency: the same key twice at once, and a commit that comes late


@pytest.mark.parametrize(
    "command",
    [
        CreateProject(name="x"),
        CreateSubnet(prefix=Prefix("10.1.0.0/24")),
        AllocateAddress(subnet="n", address=Address("10.0.0.9")),
        ReleaseAddress(subnet="n", address=Address("10.0.0.5")),
        DeleteProject(project="old"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_keyed_command_whose_commit_comes_late_gets_its_own_answer(
    wire: Any, postgres_url: str, me: Actor, command: Command[Any]
) -> None:
    """S8, D3: the second attempt meets the effect of the first, and takes it for a stranger's."""
    import msgspec

    with open_book(wire.url) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateProject(name="old"), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)
        desk.do(AllocateAddress(subnet="n", address=Address("10.0.0.5")), me)
        keyed = msgspec.structs.replace(command, idempotency_key="k")
        wire.cut("late")
        caller = Caller(desk, keyed, me)
        waiting(postgres_url)
        wire.let_go()
        caller.join(40)
        assert not isinstance(caller.outcome, AllotmentError), repr(caller.outcome)
        assert desk.do(keyed, me) == caller.outcome


def test_one_key_from_many_at_once_has_one_answer_whatever_the_command(
    desk: LocalDesk, me: Actor
) -> None:
    for attempt in range(5):
        wish = CreateProject(name=f"p{attempt}", idempotency_key=f"k{attempt}")
        callers = [Caller(desk, wish, me) for _ in range(6)]
        for caller in callers:
            caller.join(40)
        outcomes = [caller.outcome for caller in callers]
        assert outcomes == [outcomes[0]] * 6, outcomes


# --- errors told apart, and what becomes of the connection


def test_a_missing_value_is_not_taken_for_a_name_that_exists(tmp_path: Path, me: Actor) -> None:
    """SQLite: NOT NULL on project.name was named `project_name_once`, hence AlreadyExists."""
    with open_book(f"sqlite:///{tmp_path}/book.db") as desk:
        desk.do(CreateProject(name="p"), me)
        with pytest.raises(ConstraintFailed) as refusal, desk.store.writing() as tx:
            tx.run(text("UPDATE project SET name = NULL"))
        assert refusal.value.state == "1299"
        assert refusal.value.constraint != "project_name_once"


@pytest.mark.parametrize("state", ["ZZ999", "XX000", "XX001", "25P02"])
def test_a_connection_with_an_error_nobody_knows_is_not_used_again(
    postgres_desk: LocalDesk, state: str
) -> None:
    """RELIABILITY 2, rules 1 and 3: unknown code, damage or a bug: the connection is discarded."""

    def backend() -> int:
        with postgres_desk.store.reading() as r:
            return int(r.run(text("SELECT pg_backend_pid()")).scalar_one())

    before = backend()
    assert backend() == before
    with pytest.raises(StoreError), postgres_desk.store.writing() as tx:
        tx.run(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))
    assert backend() != before


def test_a_pool_that_stayed_empty_is_not_waited_for_again(
    postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY 2: own pool time-out is not retried, the caller has waited already."""
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS", 1)
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS_MORE", 0)
    monkeypatch.setattr("allotment.store.postgres.CONNECTION_WAIT_SECONDS", 0.2)
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 4.0)
    with open_book(postgres_url, create=True) as desk, desk.store.reading():
        begun = time.monotonic()
        caller = Caller(desk, CreateProject(name="p"), me)
        caller.join(30)
        took = time.monotonic() - begun
        assert isinstance(caller.outcome, Overloaded)
        assert took < 2


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("PRAGMA query_only = ON; DELETE FROM project", NotPrimary),
        ("SELECT zeroblob(2147483648)", Bug),
        ("SELECT no_such_column", SchemaMismatch),
        ("INSERT INTO event (id, at, actor, command, answer) VALUES ('x', 0, '', '', '')", Bug),
    ],
)
def test_a_book_in_memory_outlives_an_error(
    me: Actor, statement: str, kind: type[StoreError]
) -> None:
    """Its one connection is the book: disposing of the pool threw the book away."""
    with open_book("sqlite://") as desk:
        desk.do(CreateProject(name="p"), me)
        with pytest.raises(kind), desk.store.writing() as tx:
            for one in statement.split("; "):
                tx.run(text(one))
        with desk.store.reading() as r:
            r.run(text("PRAGMA query_only = OFF"))
        assert [one.name for one in desk.ask(ListProjects(), me).items] == ["p"]
        assert desk.do(CreateProject(name="q"), me).name == "q"


# --- an end to every request (L3)


@pytest.fixture
def silence() -> Iterator[int]:
    """A port that takes connections and says nothing, as a stopped server does."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        guests: list[socket.socket] = []

        def welcome() -> None:
            with contextlib.suppress(OSError):
                while True:
                    guests.append(door.accept()[0])

        thread = threading.Thread(target=welcome, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        with contextlib.suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)
        thread.join()
        for guest in guests:
            guest.close()


def test_a_server_that_says_nothing_is_unavailable_in_time(silence: int) -> None:
    outcomes: list[BaseException] = []

    def connect() -> None:
        try:
            open_book(f"postgresql://x@127.0.0.1:{silence}/x?sslmode=disable&gssencmode=disable")
        except AllotmentError as error:
            outcomes.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(20)
    assert outcomes, "still waiting after 20 seconds"
    assert isinstance(outcomes[0], StoreUnavailable)


def test_a_server_that_falls_silent_in_a_transaction_ends_with_the_deadline(
    postgres_desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L3: its own time limits stand still with the server; only the client can end this."""
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 1.0)
    with postgres_desk.store.reading() as r:
        backend = int(r.run(text("SELECT pg_backend_pid()")).scalar_one())
    os.kill(backend, signal.SIGSTOP)
    try:
        caller = Caller(postgres_desk, CreateProject(name="p"), me)
        caller.join(15)
        ended = not caller.is_alive()
    finally:
        os.kill(backend, signal.SIGCONT)
    caller.join(20)
    assert ended, "still waiting after 15 times the deadline"


# --- a book that is only begun


def test_a_file_in_which_no_book_was_finished_is_still_new(tmp_path: Path, me: Actor) -> None:
    """The first command was ended, or is at work, between making the file and the tables."""
    path = tmp_path / "book.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size > 0
    with open_book(f"sqlite:///{path}") as desk:
        assert desk.do(CreateProject(name="p"), me).name == "p"


# --- what `check` did not see


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"),)), me)
    ranges = (AddressRange("10.0.0.10-10.0.0.20"),)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n", ranges=ranges), me)
    desk.do(AllocateAddress(subnet="n", tags=("t",)), me)
    desk.do(AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/24")), me)
    assert desk.ask(CheckBook(), me).clean
    return desk


def test_check_finds_a_prefix_that_nobody_holds(book: LocalDesk, me: Actor) -> None:
    with book.store.writing() as tx:
        row = dict(tx.run(select(X).where(X.c.kind == "subnet")).one()._mapping)
        first = Prefix("192.0.2.0/24").first
        place = {"first": first, "last": first + 255, "parent_id": row["scope_id"]}
        tx.run(insert(X).values(**{**row, **place, "holder_id": uuid4()}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_a_held_prefix_without_its_entry_in_the_forest(
    book: LocalDesk, me: Actor
) -> None:
    """The pool adds up, and its space would be handed out a second time."""
    held = schema.prefix_allocation
    with book.store.writing() as tx:
        row = dict(tx.run(select(held)).one()._mapping)
        first = Prefix("10.0.32.0/24").first
        tx.run(insert(held).values(**{**row, "id": uuid4(), "first": first}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_an_entry_whose_held_prefix_is_gone(book: LocalDesk, me: Actor) -> None:
    with book.store.writing() as tx:
        tx.run(delete(schema.prefix_allocation))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_an_entry_of_the_wrong_kind(book: LocalDesk, me: Actor) -> None:
    """As a pool, the entry of a subnet is beyond the guard `subnet_never_overlaps`."""
    with book.store.writing() as tx:
        tx.run(update(X).where(X.c.kind == "subnet").values(kind="pool"))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_a_pool_without_prefixes(book: LocalDesk, me: Actor) -> None:
    pool = schema.subnet_pool
    with book.store.writing() as tx:
        row = dict(tx.run(select(pool)).one()._mapping)
        tx.run(insert(pool).values(**{**row, "id": uuid4(), "name": "hollow"}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_tags_that_do_not_agree(book: LocalDesk, me: Actor) -> None:
    """`allocation_tag` is derived: a search by tag would not find the address."""
    with book.store.writing() as tx:
        tx.run(delete(schema.allocation_tag))
    assert not book.ask(CheckBook(), me).clean


def test_a_repair_never_makes_space_free_twice(book: LocalDesk, me: Actor) -> None:
    """Overlapping allocation pools: their addresses were opened up once for each."""
    pools = schema.allocation_pool
    with book.store.writing() as tx:
        subnet = tx.run(select(pools.c.subnet_id)).scalar_one()
        first = Address("10.0.0.15").value
        tx.run(insert(pools).values(subnet_id=subnet, first=first, last=first + 10))
    book.do(RepairBook(), me)
    faults = book.ask(CheckBook(), me).faults
    assert not [one for one in faults if "free extents overlap" in one.detail], faults


def test_a_repair_keeps_what_rests_at_rest(desk: LocalDesk, me: Actor) -> None:
    """S12: addresses in quarantine became free at once when their subnet was rebuilt."""
    desk.do(CreateAddressScope(name="s"), me)
    wish = CreateSubnet(prefix=Prefix("10.0.0.0/29"), name="n", quarantine_seconds=3600)
    desk.do(wish, me)
    held = desk.do(AllocateAddress(subnet="n"), me)
    other = desk.do(AllocateAddress(subnet="n"), me)
    desk.do(ReleaseAddress(subnet="n", address=held.address), me)
    extents = schema.free_extent
    with desk.store.writing() as tx:
        tx.run(
            insert(extents).values(
                container_id=other.subnet_id,
                first=other.address.value,
                last=other.address.value,
                available_at=0,
            )
        )
    assert desk.do(RepairBook(), me).clean
    assert desk.do(AllocateAddress(subnet="n"), me).address != held.address


def test_secrets_of_the_url_stay_out_of_the_status(postgres_url: str, me: Actor) -> None:
    secret = secrets.token_hex(8)
    with open_book(postgres_url, create=True):
        pass
    with_password = postgres_url.replace("postgres@", f"postgres:{secret}@")
    with open_book(with_password) as desk:
        assert secret not in repr(desk.ask(GetStatus(), me))


@pytest.mark.parametrize("release", ["several", "an owner's"])
def test_giving_some_back_reads_no_others_whatever_the_statistics(
    postgres_url: str, me: Actor, release: str
) -> None:
    """Nobody has analysed the table yet: the planner guesses that a subnet holds little."""
    url = make_url(postgres_url).update_query_dict({"options": "-c random_page_cost=4"})
    with open_book(url.render_as_string(hide_password=False), create=True) as desk:
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute("ALTER TABLE allocation SET (autovacuum_enabled = off)")
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/16"), name="n"), me)
        desk.do(CreateProject(name="p"), me)
        desk.do(AllocateAddresses(subnet="n", count=30_000), me)
        some = tuple(Address(f"10.0.{third}.77") for third in range(20, 90))
        command: Command[Any] = ReleaseAddresses(subnet="n", addresses=some)
        if release == "an owner's":
            for address in some[:9]:
                desk.do(UpdateAllocation(subnet="n", address=address, owner="p"), me)
            command = ReleaseMatching(owner="p", subnet="n")
        with desk.store.writing() as tx:
            released = perform_one(tx, Gate(), Asked(me, command))
            read = tx.run(
                text(
                    "SELECT pg_stat_get_xact_tuples_returned(oid) + sum("
                    " pg_stat_get_xact_tuples_returned(indexrelid))"
                    " FROM pg_class JOIN pg_index ON indrelid = oid"
                    " WHERE relname = 'allocation' GROUP BY oid"
                )
            ).scalar_one()
        assert released.count in (70, 9)
        assert read < 1_000


def test_a_taker_never_goes_back_for_what_was_freed_below(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    """Two that take several at once would each hold what the other waits for: a deadlock."""
    postgres_desk.do(CreateAddressScope(name="s"), me)
    ranges = tuple(AddressRange(f"10.0.0.{last}-10.0.0.{last}") for last in (10, 20))
    command = CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), ranges=ranges)
    subnet = postgres_desk.do(command, me)
    taken: list[list[Extent]] = []

    def take() -> None:
        with postgres_desk.store.writing(patient=True) as tx:
            taken.append(postgres_desk.store.dialect.take_lowest(tx, subnet.id, 2))

    low, middle, high = (Address(f"10.0.0.{last}") for last in (5, 10, 20))
    with psycopg.connect(postgres_url) as first, psycopg.connect(postgres_url) as other:
        first.execute("SELECT 1 FROM free_extent WHERE last = %s FOR UPDATE", (middle.packed,))
        taker = threading.Thread(target=take)
        taker.start()
        waiting(postgres_url)
        other.execute(
            "INSERT INTO free_extent (container_id, last, first, available_at)"
            " VALUES (%s, %s, %s, 0)",
            (subnet.id, low.packed, low.packed),
        )
        other.commit()
        first.rollback()
        taker.join()
    assert taken == [[Extent(middle.value, middle.value), Extent(high.value, high.value)]]


_ASKED_WHILE_CLOSED = """
import threading
from allotment import local_owner, open_book
from allotment.errors import AllotmentError
from allotment.model.queries import CheckBook
from allotment.model.commands import CreateProject

for _ in range(10):
    desk = open_book("sqlite://", create=True)
    for number in range(20):
        desk.do(CreateProject(name=f"p{number}"), local_owner())
    begun = threading.Barrier(5)

    def ask():
        begun.wait()
        for _ in range(40):
            try:
                desk.ask(CheckBook(), local_owner())
            except AllotmentError:
                return

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    desk.close()
    for thread in threads:
        thread.join()
"""


def test_a_book_in_memory_that_is_closed_while_it_is_asked_ends_in_order() -> None:
    """Its one connection was closed under a reader, which ended the whole process."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKED_WHILE_CLOSED], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
