"""A book on PostgreSQL whose big tables are in partitions is the same book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.bootstrap import _dialect
from allotment.errors import ConstraintFailed, InvalidValue
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    ReleaseAddresses,
    ReleaseMatching,
)
from allotment.model.queries import CheckBook, ListAllocations
from allotment.store import upgrade
from allotment.store.postgres_partitions import KEYS, HashPartitions
from old_book import OLD_SCHEMAS
from postgres_books import Shelf
from postgres_server import PostgresServer

Dump = dict[str, list[tuple[object, ...]]]
PARTS = 4
NAMES = (
    "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = %s::regclass AND conparentid = 0 ORDER BY 1"
)
INDEXES = (
    "SELECT indexname, replace(indexdef, 'ON ONLY', 'ON') FROM pg_indexes"
    " WHERE tablename = %s ORDER BY 1"
)
VIEWS = "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1"
SETTINGS = "SELECT DISTINCT reloptions FROM pg_class WHERE relname ~ '^free_extent_of_...$'"
NEW = "SELECT indexname FROM pg_indexes WHERE indexname ~ '^allocation_new' ORDER BY 1"
AGAIN = (
    "INSERT INTO allocation SELECT subnet_id, '\\xff', id, created_at, status, project_id,"
    " identifier FROM allocation WHERE identifier IS NOT NULL LIMIT 1"
)
RIGHTS = (
    "SELECT grantee, privilege_type FROM information_schema.role_table_grants"
    " WHERE table_name = 'allocation' ORDER BY 1, 2"
)


@pytest.fixture
def url(postgres_server: PostgresServer, postgres_books: Shelf, me: Actor) -> Iterator[str]:
    """A book with something in it, not in partitions yet; thrown away, as its tables change."""
    made = postgres_server.create_database(postgres_books.template)
    with open_book(made) as desk:
        furnish(desk, me)
    yield made
    postgres_server.drop_database(made)


def furnish(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateProject(name="p"), me)
    desk.do(CreateAddressScope(name="s"), me)
    for number in range(12):
        name, prefix = f"n{number}", Prefix(f"10.0.{number}.0/24")
        desk.do(CreateSubnet(scope="s", prefix=prefix, name=name), me)
        desk.do(AllocateAddresses(subnet=name, count=20, tags=("t",)), me)
        desk.do(AllocateAddress(subnet=name, owner="p", identifier="i", hostname="h"), me)


@pytest.fixture
def parted(url: str) -> Iterator[LocalDesk]:
    with open_book(url, create=True, partitions=PARTS) as desk:
        yield desk


def asked(url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute(query, values or None).fetchall()  # type: ignore[call-overload]


def test_every_row_is_kept_and_the_book_is_clean(
    url: str, me: Actor, dump: Callable[[LocalDesk], Dump]
) -> None:
    with open_book(url) as desk:
        before = dump(desk)
    with open_book(url, create=True, partitions=PARTS) as desk:
        assert dump(desk) == before
        assert desk.ask(CheckBook(), me).clean
    spread = asked(url, "SELECT count(DISTINCT tableoid) FROM allocation")
    assert spread[0][0] > 1


def test_what_was_said_of_the_tables_is_still_said(url: str) -> None:
    def said() -> list[list[tuple[Any, ...]]]:
        found = [asked(url, query, table) for table in KEYS for query in (NAMES, INDEXES)]
        return [*found, asked(url, VIEWS), asked(url, RIGHTS)]

    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("GRANT SELECT, INSERT ON allocation TO pg_monitor")
    before = said()
    with open_book(url, create=True, partitions=PARTS):
        pass
    assert said() == before
    options = asked(
        url, "SELECT DISTINCT reloptions FROM pg_class WHERE relname ~ 'extent_of_...$'"
    )
    assert options[0][0][0] == "fillfactor=70"
    assert len(options) == 1


def test_releasing_takes_nothing_from_another_partition(parted: LocalDesk, me: Actor) -> None:
    """The rows of several subnets are at the same places of their partitions."""
    addresses = tuple(Address(f"10.0.3.{last}") for last in range(2, 12))
    parted.do(ReleaseAddresses(subnet="n3", addresses=addresses), me)
    left = {
        f"n{number}": len(parted.ask(ListAllocations(subnet=f"n{number}"), me).items)
        for number in range(12)
    }
    assert left == {f"n{number}": 11 if number == 3 else 21 for number in range(12)}
    assert parted.ask(CheckBook(), me).clean


def test_allocating_and_releasing_go_on(parted: LocalDesk, me: Actor, url: str) -> None:
    for subnet in ("n1", str(parted.ask(ListAllocations(subnet="n2"), me).items[0].subnet_id)):
        given = [parted.do(AllocateAddress(subnet=subnet), me).address for _ in range(5)]
        assert len(set(given)) == 5
    assert parted.do(ReleaseMatching(owner="p"), me).count == 12
    assert parted.ask(CheckBook(), me).clean
    assert asked(url, "SELECT count(*) FROM allocation_readable") == [(12 * 20 + 10,)]


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO allocation SELECT * FROM allocation LIMIT 1", "allocation_pkey"),
        (
            AGAIN,
            "allocation_identifier_once",
        ),
        ("UPDATE allocation SET status = 'odd'", "allocation_status"),
        ("UPDATE allocation SET project_id = gen_random_uuid()", "allocation_project"),
        (
            "INSERT INTO allocation_tag VALUES ('x', gen_random_uuid(), '\\xff')",
            "allocation_tag_allocation",
        ),
        ("UPDATE free_extent SET first = '\\xff'", "free_extent_order"),
    ],
)
def test_a_refused_row_names_the_constraint_of_the_whole_table(
    parted: LocalDesk, statement: str, constraint: str
) -> None:
    with pytest.raises(ConstraintFailed) as refusal, parted.store.writing() as tx:
        tx.conn.exec_driver_sql(statement)
    assert refusal.value.constraint == constraint


def test_partitions_are_made_once(url: str, me: Actor) -> None:
    dialect = _dialect(url)
    assert upgrade.partition(dialect, PARTS) is True
    assert upgrade.partition(dialect, PARTS) is False
    with pytest.raises(InvalidValue, match="in 4 partitions"):
        upgrade.partition(dialect, 8)
    dialect.close()


@pytest.mark.parametrize("count", [-1, 0, 1, 257])
def test_a_number_that_makes_no_sense_is_refused(url: str, count: int) -> None:
    with pytest.raises(InvalidValue, match="from 2 to 256"):
        open_book(url, create=True, partitions=count)
    assert asked(url, "SELECT count(*) FROM pg_partitioned_table") == [(0,)]


def test_sqlite_has_none() -> None:
    with pytest.raises(InvalidValue, match="only a book on PostgreSQL"):
        open_book("sqlite://", create=True, partitions=PARTS)


def test_what_fails_half_way_leaves_the_book_as_it_was(
    url: str, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HashPartitions, "name", fail)
        with pytest.raises(KeyboardInterrupt):
            open_book(url, create=True, partitions=PARTS)
    assert asked(url, "SELECT count(*) FROM pg_partitioned_table") == [(0,)]
    with open_book(url) as desk:
        assert desk.ask(CheckBook(), me).clean


@pytest.mark.parametrize("version", OLD_SCHEMAS)
def test_an_old_book_in_partitions_is_upgraded(
    blank_postgres_url: str, me: Actor, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(upgrade, "HEAD", version)
        dialect = _dialect(blank_postgres_url)
        upgrade.upgrade(dialect)
        upgrade.partition(dialect, PARTS)
        dialect.close()
    with open_book(blank_postgres_url, create=True) as desk:
        furnish(desk, me)
        assert desk.ask(CheckBook(), me).clean


def test_an_index_that_an_upgrade_adds_is_named_in_every_partition(
    url: str, parted: LocalDesk
) -> None:
    with parted.store.writing() as tx:
        tx.conn.exec_driver_sql("CREATE UNIQUE INDEX allocation_new ON allocation (subnet_id, id)")
        assert parted.store.dialect.partitions is not None
        parted.store.dialect.partitions.name(tx.conn)
    names = asked(
        url, "SELECT indexname FROM pg_indexes WHERE indexname ~ '^allocation_new' ORDER BY 1"
    )
    expected = ["allocation_new", *(f"allocation_new_of_{part:03}" for part in range(PARTS))]
    assert [name for (name,) in names] == expected
