"""The tests' own PostgreSQL: a durability test means nothing on a server that does not sync."""

import sqlite3

import psycopg
import pytest
from sqlalchemy import create_engine, text

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
