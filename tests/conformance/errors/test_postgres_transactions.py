"""What ends a transaction on PostgreSQL, by what really causes it: others, time, and ourselves.

Invariant: each is told by type, state and phase, and the connection serves the next one.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from allotment import LocalDesk
from allotment.errors import Bug, Busy, DeadlineExceeded, Deadlock, Serialization, StoreError
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.queries import ListProjects
from conformance.errors.seen import run, seen, still_serves


def test_two_transactions_that_cannot_be_ordered_are_serialization(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    postgres_desk.do(CreateProject(name="p"), me)
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        run(tx, "SELECT * FROM project")
        with psycopg.connect(postgres_url) as other:
            other.execute("UPDATE project SET description = 'other'")
        run(tx, "UPDATE project SET description = 'mine'")
    seen(raised).assert_is(Serialization, "40001", "statement")
    still_serves(postgres_desk, me)


def test_write_skew_is_serialization_at_commit(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    def skew(execute: Callable[[str], object], name: str) -> None:
        execute("SELECT count(*) FROM project")
        execute(
            f"INSERT INTO project (id, name, created_at) VALUES (gen_random_uuid(), '{name}', 0)"
        )

    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        with psycopg.connect(postgres_url) as other:
            other.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            skew(lambda statement: run(tx, statement), "mine")
            skew(other.execute, "other")
    seen(raised).assert_is(Serialization, "40001", "commit")
    assert [one.name for one in postgres_desk.ask(ListProjects(), me).items] == ["other"]


def test_a_deadlock_is_told_from_a_wait(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    for name in ("a", "b"):
        postgres_desk.do(CreateProject(name=name), me)
    lock = "SELECT 1 FROM project WHERE name = '{}' FOR UPDATE"
    with psycopg.connect(postgres_url) as other:
        other.execute("SET deadlock_timeout = '60s'")
        with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
            run(tx, "SET LOCAL deadlock_timeout = '300ms'")
            run(tx, lock.format("a"))
            other.execute(lock.format("b"))
            waiter = threading.Thread(target=other.execute, args=(lock.format("a"),))
            waiter.start()
            run(tx, lock.format("b"))
        waiter.join()
        other.rollback()
    seen(raised).assert_is(Deadlock, "40P01", "statement")
    still_serves(postgres_desk, me)


def test_a_lock_that_is_not_to_be_had_is_busy(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    postgres_desk.do(CreateProject(name="p"), me)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM project FOR UPDATE")
        with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
            run(tx, "SET LOCAL lock_timeout = '20ms'")
            run(tx, "SELECT 1 FROM project FOR UPDATE")
        other.rollback()
    seen(raised).assert_is(Busy, "55P03", "statement")
    still_serves(postgres_desk, me)


def test_a_statement_that_takes_too_long_ends(postgres_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, "SET LOCAL statement_timeout = '20ms'")
        run(tx, "SELECT pg_sleep(60)")
    seen(raised).assert_is(DeadlineExceeded, "57014", "statement")
    still_serves(postgres_desk, me)


def test_a_connection_has_time_limits_of_its_own(postgres_desk: LocalDesk) -> None:
    with postgres_desk.store.writing() as tx:
        for name in (
            "statement_timeout",
            "lock_timeout",
            "idle_in_transaction_session_timeout",
        ):
            assert run(tx, f"SHOW {name}").scalar_one() not in ("0", ""), name


def test_a_transaction_left_idle_is_a_bug(postgres_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, "SET LOCAL idle_in_transaction_session_timeout = '50ms'")
        time.sleep(0.5)
        run(tx, "SELECT 1")
    seen(raised).assert_is(Bug, "25P03", "statement")
    still_serves(postgres_desk, me)


def test_a_statement_after_a_failed_one_is_a_bug(postgres_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        raw: Any = tx.conn.connection.driver_connection
        with contextlib.suppress(psycopg.Error):
            raw.execute("SELECT 1/0")
        run(tx, "SELECT 1")
    seen(raised).assert_is(Bug, "25P02", "statement")
    still_serves(postgres_desk, me)
