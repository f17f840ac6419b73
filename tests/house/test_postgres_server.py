"""The tests' own PostgreSQL: a durability test means nothing on a server that does not sync."""

import sqlite3
from typing import cast

import psycopg
import pytest
from sqlalchemy import create_engine, text

from allotment import Prefix, local_owner, open_book
from allotment.model.access import Role
from allotment.model.commands import (
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.grants import CreateGrant, SetQuota, TargetKind
from postgres_books import Shelf
from postgres_cluster import Cluster
from postgres_server import PostgresServer


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
def test_the_server_is_as_durable_as_in_production(
    postgres_server: PostgresServer, setting: str
) -> None:
    assert ask(postgres_server.admin_url, f"show {setting}") == "on"


def test_the_server_has_connections_for_the_races(postgres_server: PostgresServer) -> None:
    assert int(str(ask(postgres_server.admin_url, "show max_connections"))) >= 200


def test_btree_gist_can_be_created(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create extension if not exists btree_gist")
        connection.execute(
            "create table room (scope int, span int8range,"
            " constraint apart exclude using gist (scope with =, span with &&))"
        )
        connection.execute("insert into room values (1, '[1,5]'), (2, '[1,5]'), (1, '[6,9]')")
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.execute("insert into room values (1, '[5,6]')")


def test_databases_are_apart_and_gone_when_dropped(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("create table mark ()")
    assert ask(second, "select to_regclass('mark')") is None
    for url in (first, second):
        postgres_server.drop_database(url)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)


def test_a_template_is_prepared_once_and_copied(postgres_server: PostgresServer) -> None:
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("create table mark ()")

    names = {postgres_server.template("marked", prepare) for _ in range(2)}
    assert len(names) == len(prepared) == 1
    url = postgres_server.create_database(names.pop())
    assert ask(url, "select to_regclass('mark')") is not None
    postgres_server.drop_database(url)


def state(url: str) -> dict[str, object]:
    """Everything that a test could find in a book."""
    rows = "select json_agg(t)::text from (select * from {} order by 1) t"
    tables = "select json_agg(tablename order by 1) from pg_tables where schemaname = 'public'"
    sequences = "select json_agg(s)::text from pg_sequences s"
    named = cast("list[str]", ask(url, tables))
    found = {name: ask(url, rows.format(name)) for name in named}
    return {**found, "sequences": ask(url, sequences)}


def test_a_book_that_is_lent_again_is_as_a_new_one(postgres_books: Shelf) -> None:
    first = postgres_books.lend()
    new = state(first)
    with open_book(first) as desk:
        desk.do(CreateAddressScope(name="s"), local_owner())
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24")), local_owner())
        desk.do(AllocateAddresses(subnet="10.0.0.0/24", count=9, tags=("t",)), local_owner())
        desk.do(CreateProject(name="p"), local_owner())
        desk.do(SetQuota(project="p", addresses=1), local_owner())
        desk.do(
            CreateGrant(actor="group:g", role=Role.ADMIN, target=TargetKind.INSTALLATION),
            local_owner(),
        )
    assert state(first) != new
    postgres_books.take_back(first)
    again = postgres_books.lend()
    assert again == first
    assert state(again) == new
    postgres_books.take_back(again)


CHANGES = [
    "create table mark ()",
    "alter table project add column mark int",
    "alter table project drop constraint project_name_once",
    "create index mark on project (created_at)",
    "drop function allotment_queue cascade",
    """
    create or replace function allotment_queue(container uuid) returns bigint
    language sql immutable strict parallel safe as $$ select 1::bigint $$
    """,
    "create function mark() returns int language sql as 'select 1'",
    "create sequence mark",
    "create view mark as select 1",
    "drop table audit_block",
    "grant select on project to public",
    "alter default privileges grant select on tables to public",
    "alter table project disable trigger all",
    "create schema mark",
    """
    do $$ begin
      execute format('alter database %I set work_mem = 99', current_database());
    end $$
    """,
    """
    do $$ begin
      execute format('revoke all on database %I from public', current_database());
    end $$
    """,
]
LONG = """
insert into event (at, actor, command, answer) select 1, '', '', '' from generate_series(1, 99999)
"""


@pytest.mark.parametrize("change", [*CHANGES, LONG])
def test_a_change_of_more_than_a_few_rows_is_seen(postgres_books: Shelf, change: str) -> None:
    url = postgres_books.lend()
    with psycopg.connect(url) as connection:
        assert postgres_books.unchanged(connection)
        connection.execute(change.encode())
        assert not postgres_books.unchanged(connection)
        connection.rollback()
    postgres_books.take_back(url)


def test_a_book_of_which_more_than_rows_was_changed_is_not_lent_again(
    postgres_books: Shelf,
) -> None:
    url = postgres_books.lend()
    with psycopg.connect(url) as connection:
        connection.execute("alter table project add column mark int")
    postgres_books.take_back(url)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_book_that_somebody_is_still_in_is_not_lent_again(postgres_books: Shelf) -> None:
    url = postgres_books.lend()
    with psycopg.connect(url):
        postgres_books.take_back(url)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_killed_server_comes_back_with_what_it_acknowledged(postgres_cluster: Cluster) -> None:
    url = postgres_cluster.url()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept (number int)")
        connection.execute("insert into kept values (7)")
        connection.commit()
        postgres_cluster.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    postgres_cluster.start()
    assert ask(url, "select number from kept") == 7


def test_every_kind_of_database_answers(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar() == 1
    engine.dispose()


def test_sqlite_knows_what_the_store_needs() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35), "RETURNING came with 3.35"
