"""Every row of the error table, provoked on a real database: type, phase, cause, clean-up."""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import contextlib
import resource
import secrets
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    DeadlineExceeded,
    Deadlock,
    Misconfigured,
    NotPrimary,
    Overloaded,
    Phase,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.queries import CheckBook, GetProject, ListProjects
from allotment.store.session import Read, Write
from postgres_cluster import Cluster

SECRET = "hunter2"
ZERO = b"\0" * 16
PROJECT = (
    "INSERT INTO project (id, name, description, created_at, version)"
    " VALUES (:id, 'first', '', 0, 1)"
)
SUBNET = (
    "INSERT INTO subnet (id, scope_id, family, first, length, placement, created_at)"
    " VALUES (:id, :scope, :family, :first, 24, 'lowest', 0)"
)
PREFIX = (
    "INSERT INTO prefix (holder_id, first, last, length, family, scope_id, parent_id, kind)"
    " SELECT :id, first, last, length, family, scope_id, {parent}, {kind} FROM prefix"
)


@dataclass
class Seen:
    """An error, and what there is to say about every error."""

    error: StoreError

    def assert_is(self, kind: type[StoreError], state: str | None, phase: Phase) -> None:
        assert type(self.error) is kind, repr(self.error)
        assert (self.error.state, self.error.phase) == (state, phase)
        assert self.error.__cause__ is not None, "the driver's own error is chained"
        assert SECRET not in str(self.error)
        assert SECRET not in str(self.error.facts)


def seen(raised: pytest.ExceptionInfo[StoreError]) -> Seen:
    return Seen(raised.value)


def new_id(tx: Read) -> Any:
    return secrets.token_hex(16) if tx.dialect.concurrent else secrets.token_bytes(16)


def run(tx: Read, statement: str, **params: object) -> Any:
    return tx.run(text(statement), params)


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """A scope `s` with a subnet."""
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24")), me)
    return desk


def still_serves(desk: LocalDesk, me: Actor) -> None:
    """That the connection was left fit for the next one, and the book as it was."""
    name = f"after-{secrets.token_hex(4)}"
    assert desk.do(CreateProject(name=name), me).name == name
    assert desk.ask(CheckBook(), me).clean


# --- constraints, on every database


def violate_unique(tx: Write) -> None:
    run(tx, PROJECT, id=new_id(tx))
    run(tx, PROJECT, id=new_id(tx))


def violate_key(tx: Write) -> None:
    run(tx, "INSERT INTO setting (name, value) SELECT name, value FROM setting")


def violate_reference(tx: Write) -> None:
    run(tx, SUBNET, id=new_id(tx), scope=new_id(tx), family=4, first=ZERO)


def violate_check(tx: Write) -> None:
    scope = run(tx, "SELECT id FROM address_scope").scalar_one()
    run(tx, SUBNET, id=new_id(tx), scope=scope, family=5, first=ZERO)


def violate_not_null(tx: Write) -> None:
    run(tx, "UPDATE subnet SET placement = NULL")


def violate_siblings(tx: Write) -> None:
    run(tx, PREFIX.format(parent="parent_id", kind="'pool'"), id=new_id(tx))


def violate_scope(tx: Write) -> None:
    run(tx, PREFIX.format(parent="holder_id", kind="kind"), id=new_id(tx))


CONSTRAINTS: list[tuple[Callable[[Write], None], str, str, str]] = [
    (violate_unique, "project_name_once", "23505", "2067"),
    (violate_key, "setting_pkey", "23505", "1555"),
    (violate_reference, "subnet_scope", "23503", "787"),
    (violate_check, "subnet_family", "23514", "275"),
    (violate_not_null, "placement", "23502", "1299"),
    (violate_siblings, "prefix_siblings_never_overlap", "23P01", "1811"),
    (violate_scope, "subnet_never_overlaps", "23P01", "1811"),
]


@pytest.mark.parametrize(("violate", "name", "postgres", "sqlite"), CONSTRAINTS)
def test_a_violated_constraint_is_named(
    book: LocalDesk,
    me: Actor,
    violate: Callable[[Write], None],
    name: str,
    postgres: str,
    sqlite: str,
) -> None:
    concurrent = book.store.dialect.concurrent
    with pytest.raises(ConstraintFailed) as raised, book.store.writing() as tx:
        violate(tx)
    seen(raised).assert_is(ConstraintFailed, postgres if concurrent else sqlite, "statement")
    if not concurrent:  # SQLite names keys by their columns, and no foreign key at all
        said = {
            "subnet_scope": "foreign_key",
            "placement": "subnet.placement",
            "setting_pkey": "setting.name",
        }
        name = said.get(name, name)
    assert raised.value.constraint == name
    still_serves(book, me)


# --- any error of the server, at a statement and at COMMIT

STATES: dict[str, type[StoreError]] = {
    "40001": Serialization,
    "40P01": Deadlock,
    "40003": CommitUnknown,
    "55P03": Busy,
    "57014": DeadlineExceeded,
    "25006": NotPrimary,
    "57P03": StoreUnavailable,
    "08006": StoreUnavailable,
    "08007": CommitUnknown,
    "53100": StoreFull,
    "53200": StoreUnavailable,
    "53300": Overloaded,
    "22003": Bug,
    "42501": Misconfigured,
    "42P01": SchemaMismatch,
    "58030": StoreCorrupt,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
    "P0001": StoreError,
    "ZZ999": StoreError,
}
LOST_AT_COMMIT = {"57P03", "08006", "53200"}
AT_COMMIT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON project
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def at_commit(url: str, body: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(AT_COMMIT.format(body=body))


@pytest.mark.parametrize("state", STATES)
def test_an_error_of_the_server_in_a_statement(
    postgres_desk: LocalDesk, me: Actor, state: str
) -> None:
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, PROJECT, id=new_id(tx))
        run(tx, f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{state}'; END $$")
    seen(raised).assert_is(STATES[state], state, "statement")
    assert postgres_desk.ask(ListProjects(), me).items == ()
    still_serves(postgres_desk, me)


@pytest.mark.parametrize("state", STATES)
def test_an_error_of_the_server_at_commit(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor, state: str
) -> None:
    at_commit(postgres_url, f"RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{state}';")
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, PROJECT, id=new_id(tx))
    wanted = CommitUnknown if state in LOST_AT_COMMIT else STATES[state]
    seen(raised).assert_is(wanted, state, "commit")
    assert postgres_desk.ask(ListProjects(), me).items == ()


# --- the same, by what really causes them


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


def test_a_read_only_database_is_not_the_primary(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.3)
    name = make_url(postgres_url).database
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        postgres_desk.store.dialect.engine.dispose()
        with pytest.raises(StoreError) as raised:
            postgres_desk.do(CreateProject(name="p"), me)
        seen(raised).assert_is(NotPrimary, "25006", "statement")
        admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    still_serves(postgres_desk, me)


def test_no_connection_to_a_former_primary_is_used_again(
    postgres_desk: LocalDesk, me: Actor
) -> None:
    def backend() -> int:
        with postgres_desk.store.reading() as r:
            return int(run(r, "SELECT pg_backend_pid()").scalar_one())

    before = backend()
    assert backend() == before
    with pytest.raises(NotPrimary), postgres_desk.store.writing() as tx:
        run(tx, "SET TRANSACTION READ ONLY")
        run(tx, PROJECT, id=new_id(tx))
    assert backend() != before
    still_serves(postgres_desk, me)


def terminate(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
        while admin.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            time.sleep(0.01)


def test_a_backend_that_is_shut_down_in_a_transaction(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    with pytest.raises(StoreError) as raised, postgres_desk.store.writing() as tx:
        run(tx, PROJECT, id=new_id(tx))
        terminate(postgres_url, run(tx, "SELECT pg_backend_pid()").scalar_one())
        run(tx, "SELECT 1")
    assert raised.value.state in ("57P01", None)
    seen(raised).assert_is(StoreUnavailable, raised.value.state, "statement")
    assert postgres_desk.ask(ListProjects(), me).items == ()
    still_serves(postgres_desk, me)


def test_a_backend_that_is_shut_down_between_two_requests_costs_nobody_an_error(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    with postgres_desk.store.reading() as r:
        pid = run(r, "SELECT pg_backend_pid()").scalar_one()
    terminate(postgres_url, pid)
    assert postgres_desk.do(CreateProject(name="p"), me).name == "p"
    with postgres_desk.store.reading() as r:
        pid = run(r, "SELECT pg_backend_pid()").scalar_one()
    terminate(postgres_url, pid)
    assert postgres_desk.ask(GetProject(project="p"), me).name == "p"


def test_a_backend_that_is_shut_down_at_commit_leaves_the_outcome_unknown(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    at_commit(postgres_url, "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;")
    with pytest.raises(StoreError) as raised:
        postgres_desk.do(CreateProject(name="p"), me)
    assert raised.value.state in ("57P01", None)
    seen(raised).assert_is(CommitUnknown, raised.value.state, "commit")
    assert postgres_desk.ask(ListProjects(), me).items == ()


def test_nobody_at_the_door_is_unavailable_at_connect() -> None:
    with pytest.raises(StoreError) as raised:
        open_book(f"postgresql://somebody:{SECRET}@127.0.0.1:1/nothing")
    seen(raised).assert_is(StoreUnavailable, None, "connect")


def test_a_server_that_stops_is_unavailable_until_it_is_back(
    postgres_cluster: Cluster, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.5)
    with open_book(postgres_cluster.url(), create=True) as desk:
        desk.do(CreateProject(name="before"), me)
        guest = psycopg.connect(postgres_cluster.url())
        # Smart: waits for guests, and tells newcomers 57P03.
        postgres_cluster._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        desk.store.dialect.engine.dispose()
        time.sleep(0.3)
        with pytest.raises(StoreError) as raised:
            desk.ask(GetProject(project="before"), me)
        seen(raised).assert_is(StoreUnavailable, None, "connect")
        guest.close()
        postgres_cluster.stop()
        with pytest.raises(StoreError) as raised:
            desk.do(CreateProject(name="meanwhile"), me)
        seen(raised).assert_is(StoreUnavailable, None, "connect")
        postgres_cluster.start()
        assert desk.ask(GetProject(project="before"), me).name == "before"
        still_serves(desk, me)


def test_a_database_that_is_not_there_is_refused_when_opened(postgres_url: str) -> None:
    """At connect psycopg tells no state: the phase says where to look."""
    url = make_url(postgres_url).set(database="no_such_database", password=SECRET)
    with pytest.raises(StoreError) as raised:
        open_book(url.render_as_string(hide_password=False))
    assert isinstance(raised.value, StoreUnavailable | Misconfigured)
    seen(raised).assert_is(type(raised.value), raised.value.state, "connect")


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("DROP TABLE event", "42P01"),
        ("ALTER TABLE event DROP COLUMN answer", "42703"),
        ("DROP FUNCTION allotment_take", "42883"),
    ],
)
def test_a_schema_that_is_not_ours_is_a_mismatch(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor, statement: str, state: str
) -> None:
    postgres_desk.do(CreateAddressScope(name="s"), me)
    postgres_desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)
    with psycopg.connect(postgres_url) as conn:
        conn.execute(statement)  # type: ignore[call-overload]
    with pytest.raises(StoreError) as raised:
        if state == "42883":
            postgres_desk.do(AllocateAddresses(subnet="n", count=2), me)
        else:
            postgres_desk.do(CreateProject(name="p"), me)
    phase: Phase = "statement" if state == "42883" else "commit"
    seen(raised).assert_is(SchemaMismatch, state, phase)
    assert postgres_desk.ask(ListProjects(), me).items == ()


@pytest.fixture
def stranger(postgres_desk: LocalDesk, postgres_url: str) -> Iterator[tuple[str, str]]:
    """A role of the server that has no right to anything, and the URL it connects with."""
    role = f"stranger_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        admin.execute(f"GRANT SELECT ON alembic_version TO {role}")
    yield role, make_url(postgres_url).set(username=role, password=SECRET).render_as_string(False)
    postgres_desk.store.dialect.engine.dispose()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {role}")
        admin.execute(f"DROP ROLE {role}")


def test_a_role_without_privileges_is_misconfigured(stranger: tuple[str, str], me: Actor) -> None:
    with open_book(stranger[1]) as desk:
        for serve in (
            lambda: desk.do(CreateProject(name="p"), me),
            lambda: desk.ask(ListProjects(), me),
        ):
            with pytest.raises(StoreError) as raised:
                serve()
            seen(raised).assert_is(Misconfigured, "42501", "statement")


def test_a_server_that_takes_no_more_connections_is_unavailable_at_connect(
    stranger: tuple[str, str], postgres_url: str
) -> None:
    role, url = stranger
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises(StoreError) as raised:
        open_book(url)
    assert isinstance(raised.value, StoreUnavailable | Overloaded)
    seen(raised).assert_is(type(raised.value), raised.value.state, "connect")


def test_a_pool_of_ours_that_is_empty_is_overloaded(
    postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS", 1)
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS_MORE", 0)
    monkeypatch.setattr("allotment.store.postgres.CONNECTION_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.2)
    outcomes: list[AllotmentError] = []

    def another() -> None:
        try:
            desk.do(CreateProject(name="p"), me)
        except AllotmentError as error:
            outcomes.append(error)

    with open_book(postgres_url, create=True) as desk:
        with desk.store.reading():
            thread = threading.Thread(target=another)
            thread.start()
            thread.join()
        assert isinstance(outcomes[0], Overloaded)
        Seen(outcomes[0]).assert_is(Overloaded, None, "connect")
        still_serves(desk, me)


# --- SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "book.db"


@pytest.fixture
def sqlite_desk(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDesk]:
    """A book in a file, that waits for nobody for long."""
    monkeypatch.setattr("allotment.store.sqlite.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.2)
    with open_book(f"sqlite:///{file}") as desk:
        yield desk
        assert desk.store.dialect.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def raw_of(r: Read) -> sqlite3.Connection:
    raw = r.conn.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def test_another_process_at_work_is_busy(sqlite_desk: LocalDesk, file: Path, me: Actor) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as raised:
        sqlite_desk.do(CreateProject(name="p"), me)
    seen(raised).assert_is(Busy, "5", "begin")
    assert sqlite_desk.ask(ListProjects(), me).items == (), "readers do not wait for a writer"
    other.execute("ROLLBACK")
    other.close()
    still_serves(sqlite_desk, me)


def test_another_thread_at_work_is_busy(sqlite_desk: LocalDesk, me: Actor) -> None:
    outcomes: list[AllotmentError] = []

    def another() -> None:
        try:
            sqlite_desk.do(CreateProject(name="p"), me)
        except AllotmentError as error:
            outcomes.append(error)

    with sqlite_desk.store.writing():
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
    assert isinstance(outcomes[0], Busy)
    assert outcomes[0].phase == "begin"
    still_serves(sqlite_desk, me)


def test_a_reader_that_turns_to_writing_too_late_is_serialization(
    sqlite_desk: LocalDesk, file: Path, me: Actor
) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.reading() as r:
        run(r, "SELECT * FROM project").all()
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute(PROJECT.replace(":id", "zeroblob(16)"))
        run(r, "UPDATE project SET description = 'mine'")
    seen(raised).assert_is(Serialization, "517", "statement")
    still_serves(sqlite_desk, me)


def test_a_table_in_use_is_busy(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        reader = raw_of(tx).execute("SELECT a.name FROM sqlite_master AS a, alembic_version")
        reader.fetchone()
        run(tx, "DROP TABLE alembic_version")
    assert int(raised.value.state or 0) & 0xFF == 6
    seen(raised).assert_is(Busy, raised.value.state, "statement")
    still_serves(sqlite_desk, me)


def test_a_read_only_file_is_not_the_primary(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        run(tx, "PRAGMA query_only = ON")
        run(tx, PROJECT, id=new_id(tx))
    seen(raised).assert_is(NotPrimary, "8", "statement")
    still_serves(sqlite_desk, me)


def test_an_interrupted_statement_is_over_its_time(sqlite_desk: LocalDesk, me: Actor) -> None:
    endless = (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
    )
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        timer = threading.Timer(0.1, raw_of(tx).interrupt)
        timer.start()
        run(tx, endless)
    timer.join()
    seen(raised).assert_is(DeadlineExceeded, "9", "statement")
    still_serves(sqlite_desk, me)


@pytest.mark.parametrize("url", ["sqlite://", None], ids=["memory", "file"])
def test_a_full_disk_changes_nothing(url: str | None, file: Path, me: Actor) -> None:
    with open_book(url or f"sqlite:///{file}") as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/16"), name="n"), me)
        with desk.store.reading() as r:
            pages = run(r, "PRAGMA page_count").scalar_one()
            run(r, f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreError) as raised:
            desk.do(AllocateAddresses(subnet="n", count=20_000), me)
        seen(raised).assert_is(StoreFull, "13", raised.value.phase)
        with desk.store.reading() as r:
            assert run(r, "SELECT count(*) FROM allocation").scalar_one() == 0
            run(r, "PRAGMA max_page_count = 1000000")
        assert desk.do(AllocateAddresses(subnet="n", count=20_000), me).count == 20_000
        still_serves(desk, me)


def test_a_disk_that_fails_is_unavailable_until_it_works(
    sqlite_desk: LocalDesk, file: Path, me: Actor
) -> None:
    """The kernel refuses to let the file grow: an I/O error, as of a failing disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(StoreError) as raised:
            sqlite_desk.do(CreateProject(name="p"), me)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert int(raised.value.state or 0) & 0xFF == 10
    seen(raised).assert_is(StoreUnavailable, raised.value.state, raised.value.phase)
    assert sqlite_desk.ask(ListProjects(), me).items == ()
    still_serves(sqlite_desk, me)


def test_a_damaged_file_is_corrupt(file: Path, me: Actor) -> None:
    with open_book(f"sqlite:///{file}") as desk:
        for number in range(200):
            desk.do(CreateProject(name=f"project-{number}", description="x" * 200), me)
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StoreError) as raised, open_book(f"sqlite:///{file}") as desk:
        desk.ask(ListProjects(), me)
    seen(raised).assert_is(StoreCorrupt, "11", raised.value.phase)


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_text(f"{SECRET} is no database " * 1000)
    with pytest.raises(StoreError) as raised:
        open_book(f"sqlite:///{file}")
    seen(raised).assert_is(StoreCorrupt, "26", "connect")
    assert file.read_text().startswith(SECRET), "and it is left as it was"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        open_book(f"sqlite:///{tmp_path}")
    seen(raised).assert_is(Misconfigured, "14", "connect")


def test_a_missing_table_is_a_mismatch(sqlite_desk: LocalDesk, file: Path, me: Actor) -> None:
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE event")
    with pytest.raises(StoreError) as raised:
        sqlite_desk.do(CreateProject(name="p"), me)
    seen(raised).assert_is(SchemaMismatch, "1", "commit")
    assert sqlite_desk.ask(ListProjects(), me).items == ()


def test_refused_access_is_misconfigured(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        raw_of(tx).set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        try:
            run(tx, "SELECT name FROM project")
        finally:
            raw_of(tx).set_authorizer(None)
    seen(raised).assert_is(Misconfigured, "23", "statement")
    still_serves(sqlite_desk, me)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT zeroblob(2147483648)", "18"),
        ("INSERT INTO event (id, at, actor, command, answer) VALUES ('x', 0, '', '', '')", "20"),
    ],
)
def test_a_value_that_does_not_fit_is_a_bug(
    sqlite_desk: LocalDesk, me: Actor, statement: str, code: str
) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        run(tx, statement)
    seen(raised).assert_is(Bug, code, "statement")
    still_serves(sqlite_desk, me)
