"""Faults of the store: errors told apart, and what becomes of the connection.

Invariant: what is here once failed; a name is the claim that was broken.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from allotment import LocalDesk, open_book
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
from allotment.model.commands import CreateProject
from allotment.model.queries import GetStatus, ListProjects
from conformance.callers import Caller


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


@pytest.mark.usefixtures("one_connection")
def test_a_pool_that_stayed_empty_is_not_waited_for_again(
    postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELIABILITY 2: own pool time-out is not retried, the caller has waited already."""
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


def test_secrets_of_the_url_stay_out_of_the_status(postgres_url: str, me: Actor) -> None:
    secret = secrets.token_hex(8)
    with open_book(postgres_url, create=True):
        pass
    with_password = postgres_url.replace("postgres@", f"postgres:{secret}@")
    with open_book(with_password) as desk:
        assert secret not in repr(desk.ask(GetStatus(), me))


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
