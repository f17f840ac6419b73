"""What is read as it comes, when the reading fails: the first error is the one that is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from allotment import LocalDesk, open_book
from allotment.errors import AllotmentError, DeadlineExceeded, Serialization, StoreCorrupt

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
            with psycopg.connect(postgres_url, autocommit=True) as conn:
                conn.execute("SELECT pg_terminate_backend(%s)", [answer])
                while conn.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE pid = %s", [answer]
                ).fetchone():
                    pass
        else:
            raw = r.conn.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            with socket.socket(fileno=os.dup(raw.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
    assert answer
    assert store.dialect.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with store.reading() as r:
        assert r.run(text("SELECT 1")).scalar_one() == 1
