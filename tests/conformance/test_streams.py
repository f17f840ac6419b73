"""What is read as it comes, when the reading fails: the first error is the one that is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from allotment import LocalDesk, open_book
from allotment.errors import (
    AllotmentError,
    Bug,
    DeadlineExceeded,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
)
from allotment.store.session import Write

# A statement whose second row is an error: the first part of it is read before that is known.
_FAILS_ON_THE_WAY = """
    SELECT CASE WHEN n < 50 THEN n ELSE made_to_fail(n) END FROM generate_series(1, 60) AS n
"""


@pytest.fixture
def failing(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[LocalDesk]:
    """A book on a server with a function that raises one SQLSTATE."""
    with open_book(postgres_url, create=True) as desk:
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(
                "CREATE FUNCTION made_to_fail(n int) RETURNS int LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'made' USING ERRCODE = '{request.param}'; END $$"
            )
        yield desk
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute("DROP FUNCTION made_to_fail")


@pytest.mark.parametrize("mode", ["reading", "writing"])
@pytest.mark.parametrize(
    ("failing", "due"),
    [("57014", DeadlineExceeded), ("40001", Serialization), ("XX001", StoreCorrupt)],
    indirect=["failing"],
)
def test_an_error_while_rows_are_read_is_told_as_it_is(
    failing: LocalDesk, due: type[AllotmentError], mode: str
) -> None:
    with pytest.raises(due) as caught, getattr(failing.store, mode)() as tx:
        for _ in tx.stream(text(_FAILS_ON_THE_WAY), rows=10):
            pass
    assert type(caught.value) is due
    with failing.store.reading() as r:
        assert r.run(text("SELECT 1")).scalar_one() == 1


@pytest.mark.parametrize("how", ["its backend is gone", "its wire is cut"])
def test_a_snapshot_that_cannot_be_ended_takes_no_connection_with_it(
    postgres_desk: LocalDesk, postgres_url: str, how: str
) -> None:
    """Before: what ended it raised, and an answer that was there already was lost."""
    store = postgres_desk.store
    with store.reading() as r:
        answer = r.run(text("SELECT pg_backend_pid()")).scalar_one()
        if how == "its backend is gone":
            end(postgres_url, answer)
        else:
            raw = r.conn.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            with socket.socket(fileno=os.dup(raw.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
    assert answer
    assert store.dialect.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with store.reading() as r:
        assert r.run(text("SELECT 1")).scalar_one() == 1


@pytest.mark.parametrize(
    ("how", "due"), [("it is gone", StoreError), ("its backend is gone", StoreUnavailable)]
)
def test_nothing_is_committed_after_a_cursor_that_could_not_be_closed(
    postgres_desk: LocalDesk, postgres_url: str, how: str, due: type[StoreError]
) -> None:
    """Before: a failed transaction's COMMIT undoes it in silence, and the change was answered."""
    store = postgres_desk.store

    def change(tx: Write) -> None:
        backend = tx.run(text("SELECT pg_backend_pid()")).scalar_one()
        tx.run(text("COMMENT ON TABLE address_scope IS 'changed'"))
        next(iter(tx.stream(text("SELECT generate_series(1, 60)"), rows=10)))
        if how == "it is gone":
            tx.run(text("CLOSE ALL"))
        else:
            end(postgres_url, backend)

    with pytest.raises(StoreError) as caught, store.writing() as tx:
        change(tx)
    assert type(caught.value) is due
    assert caught.value.phase == "statement"
    with store.reading() as r:
        said = r.run(text("SELECT obj_description('address_scope'::regclass)")).scalar_one()
    assert said != "changed"


def test_a_failed_transaction_is_never_committed_in_silence(postgres_desk: LocalDesk) -> None:
    with pytest.raises(Bug), postgres_desk.store.writing() as tx, suppress(SQLAlchemyError):
        tx.run(text("SELECT 1 / 0"))


def end(url: str, backend: int) -> None:
    """End a backend, and wait until it is gone."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SELECT pg_terminate_backend(%s)", [backend])
        while conn.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [backend]).fetchone():
            pass
