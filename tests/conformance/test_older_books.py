"""A book of an older schema, with something in it, is upgraded and goes on as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import inspect, select, text

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.bootstrap import _dialect, clock
from allotment.errors import IdempotencyMismatch, QuotaExceeded, SchemaMismatch
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.commands import (
    AllocateAddress,
    CreateSubnet,
    DeleteProject,
    ReleaseAddress,
    ReleaseMatching,
    UpdateAddressScope,
)
from allotment.model.grants import CreateGrant, CreateToken, GetQuota, SetQuota, TargetKind
from allotment.model.history import ListHistory
from allotment.model.queries import CheckBook, GetStatus, ListAllocations
from allotment.store import schema, settings, upgrade
from allotment.store.dialect import Dialect
from allotment.store.session import Store
from old_book import ANSWER, HELD, OLD_SCHEMAS, SUBNET, WISH, make_old_book


@pytest.fixture
def postgres_url(blank_postgres_url: str) -> str:
    """Here books are made, not copied."""
    return blank_postgres_url


@pytest.fixture(params=OLD_SCHEMAS)
def version(request: pytest.FixtureRequest) -> str:
    """An older schema."""
    found: str = request.param
    return found


@pytest.fixture
def old_url(database_url: str, version: str) -> str:
    """A database with a small book in it, as the version with that schema left it."""
    if database_url == "sqlite://":
        pytest.skip("a book in memory ends with its one connection")
    make_old_book(database_url, version)
    return database_url


@pytest.fixture
def upgraded(old_url: str) -> Iterator[LocalDesk]:
    with open_book(old_url, create=True) as desk:
        yield desk


def test_a_book_of_the_old_schema_is_refused_with_the_command_to_run(
    old_url: str, version: str
) -> None:
    for _ in range(2):
        with pytest.raises(SchemaMismatch) as refusal:
            open_book(old_url)
        assert f"schema {version}" in str(refusal.value)
        assert "allotment init" in str(refusal.value)


def test_an_upgraded_book_is_clean_and_holds_what_it_held(upgraded: LocalDesk, me: Actor) -> None:
    assert upgraded.ask(CheckBook(), me).clean
    status = upgraded.ask(GetStatus(), me)
    assert (status.scopes, status.projects, status.subnets, status.allocations) == (1, 1, 1, 1)
    (held,) = upgraded.ask(ListAllocations(), me).items
    assert (held.id, held.address, held.project) == (HELD, Address("10.0.0.1"), "j")


@pytest.mark.parametrize("subnet", ["n", str(SUBNET)], ids=["in a transaction", "at once"])
def test_an_upgraded_book_allocates(upgraded: LocalDesk, me: Actor, subnet: str) -> None:
    given = [upgraded.do(AllocateAddress(subnet=subnet), me).address for _ in range(13)]
    assert given == [Address(f"10.0.0.{last}") for last in range(2, 15)]
    assert upgraded.ask(CheckBook(), me).clean


def test_an_upgraded_book_answers_an_old_key_as_before(upgraded: LocalDesk) -> None:
    old = Actor(name="local:old", kind=ActorKind.OWNER)
    again = AllocateAddress(subnet="n", owner="j", idempotency_key="k")
    assert upgraded.do(again, old).id == HELD
    with pytest.raises(IdempotencyMismatch):
        upgraded.do(AllocateAddress(subnet="n", idempotency_key="k"), old)


def test_old_events_are_kept_as_done(upgraded: LocalDesk, me: Actor) -> None:
    upgraded.do(AllocateAddress(subnet="n"), me)
    with upgraded.store.reading() as r:
        rows = r.run(select(schema.event).order_by(schema.event.c.id)).all()
    assert [(row.actor, row.outcome) for row in rows] == [("local:old", "done"), (me.name, "done")]
    assert rows[0].command == WISH.decode()
    assert rows[0].answer == ANSWER
    assert rows[0].source is rows[0].request_id is rows[0].place_id is None


def test_what_is_new_works_on_what_is_old(upgraded: LocalDesk, me: Actor) -> None:
    """Quotas count what was owned before; grants hold on what was there before."""
    upgraded.do(SetQuota(project="j", addresses=2), me)
    upgraded.do(AllocateAddress(subnet="n", owner="j"), me)
    with pytest.raises(QuotaExceeded):
        upgraded.do(AllocateAddress(subnet="n", owner="j"), me)
    assert upgraded.ask(GetQuota(project="j"), me).addresses_used == 2
    upgraded.do(CreateToken(name="t"), me)
    upgraded.do(
        CreateGrant(actor="token:t", role=Role.ALLOCATOR, target=TargetKind.INSTALLATION), me
    )
    served = upgraded.do(AllocateAddress(subnet=str(SUBNET)), Actor(name="token:t"))
    assert served.address == Address("10.0.0.3")
    upgraded.do(UpdateAddressScope(scope="s", project="j"), me)
    upgraded.do(CreateSubnet(scope="s", prefix=Prefix("10.0.1.0/24")), me)
    upgraded.do(UpdateAddressScope(scope="s", project=None), me)
    upgraded.do(ReleaseMatching(owner="j"), me)
    upgraded.do(DeleteProject(project="j"), me)
    assert upgraded.ask(CheckBook(), me).clean


def test_the_history_of_what_was_held_before_begins_with_it(upgraded: LocalDesk, me: Actor) -> None:
    address = Address("10.0.0.1")
    (held,) = upgraded.ask(ListHistory(address=address), me).items
    assert (held.allocation_id, held.project, held.since, held.until) == (HELD, "j", 1, None)
    upgraded.do(ReleaseAddress(subnet="n", address=address), me)
    (ended,) = upgraded.ask(ListHistory(address=address), me).items
    assert (ended.allocation_id, ended.project, ended.since) == (HELD, "j", 1)
    assert ended.until is not None
    assert upgraded.ask(ListHistory(address=address, at=1), me).items == (ended,)


def test_an_upgrade_gives_a_book_the_secrets_it_lacked_and_keeps_the_old_one(
    old_url: str,
) -> None:
    def secrets(desk: LocalDesk) -> dict[str, bytes]:
        with desk.store.reading() as r:
            return {row.name: row.value for row in r.run(select(schema.setting))}

    dialect = _dialect(old_url)
    store = Store(dialect, clock)
    with store.reading() as r:
        (before,) = r.run(select(schema.setting)).all()
    store.close()
    with open_book(old_url, create=True) as desk:
        found = secrets(desk)
        assert found[settings.SECRET] == before.value
        assert set(found) == {
            settings.SECRET,
            settings.PEPPER.format(1),
            settings.CURSOR_KEY,
        }
        assert len(set(found.values())) == 3
    with open_book(old_url, create=True) as desk:
        assert secrets(desk) == found


def shape(dialect: Dialect) -> dict[str, set[str]]:
    """The columns and indexes of every table, by name."""
    with dialect.exclusive("read"), dialect.engine.connect() as conn:
        dialect.begin(conn, "read")
        seen = inspect(conn)
        return {
            table: {one["name"] for one in seen.get_columns(table)}
            | {str(one["name"]) for one in seen.get_indexes(table)}
            for table in seen.get_table_names()
        }


def test_an_upgrade_that_fails_leaves_the_old_book(
    old_url: str, version: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new tables come in one transaction with everything that belongs to them."""

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    dialect = _dialect(old_url)
    before = shape(dialect)
    with monkeypatch.context() as patch:
        patch.setattr(settings, "enter_missing", fail)
        with pytest.raises(KeyboardInterrupt):
            open_book(old_url, create=True)
    assert upgrade.found_version(dialect) == version
    assert shape(dialect) == before
    dialect.engine.dispose()
    with open_book(old_url, create=True) as desk:
        assert desk.ask(CheckBook(), me).clean


@pytest.mark.postgres
def test_the_functions_of_the_old_schema_are_gone(upgraded: LocalDesk) -> None:
    if not upgraded.store.dialect.concurrent:
        pytest.skip("SQLite has no functions of the book")
    query = text("SELECT proname FROM pg_proc WHERE proname LIKE 'allotment_allocate%'")
    with upgraded.store.reading() as r:
        found = sorted(r.run(query).scalars())
    assert found == ["allotment_allocate", "allotment_allocate_many"], "one of each name"
