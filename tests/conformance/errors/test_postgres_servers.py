"""A PostgreSQL server that is gone, full, read-only, or not as we left it.

Invariant: what it lacks is told, never our secret; once it is back, the same desk serves again.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import secrets
import signal
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import make_url

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    Misconfigured,
    NotPrimary,
    Overloaded,
    Phase,
    SchemaMismatch,
    StoreError,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.queries import GetProject, ListProjects
from conformance.errors.seen import PROJECT, SECRET, Seen, new_id, run, seen, still_serves
from postgres_cluster import Cluster


def test_a_read_only_database_is_not_the_primary(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 2.0)
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


@pytest.mark.usefixtures("one_connection")
def test_a_pool_of_ours_that_is_empty_is_overloaded(
    postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
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
