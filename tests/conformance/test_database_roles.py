"""The roles of a PostgreSQL book: the app can do its work, and cannot touch what was recorded."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import make_url

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import Misconfigured
from allotment.model.access import Actor
from allotment.model.address_range import parse_range
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateSubnet,
    DeleteSubnet,
    ReleaseAddress,
    UpdateAllocationPools,
)
from allotment.model.events import ListEvents, SealAudit, VerifyAudit
from allotment.model.queries import CheckBook
from allotment.store import postgres_roles


class Roles(NamedTuple):
    """URLs of one book, as each of its roles."""

    owner: str
    app: str
    reader: str


@pytest.fixture
def roles(postgres_url: str) -> Iterator[Roles]:
    """A book whose roles have their rights; the roles are gone after the test."""
    app, reader = (f"allotment_{kind}_{secrets.token_hex(4)}" for kind in ("app", "reader"))
    url = make_url(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        for role in (app, reader):
            owner.execute(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{role}'")
        for _ in range(2):  # again, as after an upgrade
            for statement in postgres_roles.grants(app, reader):
                owner.execute(statement)
        yield Roles(
            postgres_url,
            *(
                url.set(username=role, password=role).render_as_string(hide_password=False)
                for role in (app, reader)
            ),
        )
        for role in (app, reader):
            owner.execute(f'DROP OWNED BY "{role}"')
            owner.execute(f'DROP ROLE "{role}"')


@pytest.fixture
def app_desk(roles: Roles) -> Iterator[LocalDesk]:
    """The book's desk, as the app."""
    with open_book(roles.app) as desk:
        yield desk


def work(desk: LocalDesk, me: Actor) -> None:
    """A little of everything that locks, writes, changes and deletes."""
    desk.do(CreateAddressScope(name="blue"), me)
    for name, prefix in (("office", "10.0.0.0/24"), ("lab", "10.0.1.0/24")):
        desk.do(CreateSubnet(scope="blue", prefix=Prefix(prefix), name=name), me)
    for key in (None, "once", "once"):
        held = desk.do(AllocateAddress(subnet="office", idempotency_key=key), me)
    desk.do(ReleaseAddress(subnet="office", address=held.address), me)
    pools = (parse_range("10.0.1.10-10.0.1.20"),)
    desk.do(UpdateAllocationPools(subnet="lab", ranges=pools), me)
    desk.do(DeleteSubnet(subnet="lab"), me)


def test_the_app_does_all_its_work(app_desk: LocalDesk, me: Actor) -> None:
    work(app_desk, me)
    anchor = app_desk.do(SealAudit(), me)
    assert anchor.sequence > 6
    report = app_desk.ask(VerifyAudit(anchors=(anchor,)), me)
    assert (report.intact, report.unsealed) == (True, 0)
    assert app_desk.ask(CheckBook(), me).clean


@pytest.mark.parametrize("table", sorted(postgres_roles.APPEND_ONLY))
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_app_can_neither_change_nor_remove_what_was_recorded(
    app_desk: LocalDesk, roles: Roles, me: Actor, table: str, change: str
) -> None:
    work(app_desk, me)
    app_desk.do(SealAudit(), me)
    column = "at" if table == "event" else "high"
    with (
        psycopg.connect(roles.app) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(change.format(table, column, column))  # even to what it is already


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE event",
        "ALTER TABLE event ADD COLUMN x int",
        "UPDATE setting SET value = value",
        "UPDATE alembic_version SET version_num = version_num",
        "CREATE RULE quiet AS ON INSERT TO event DO INSTEAD NOTHING",
        "ALTER SEQUENCE event_id_seq RESTART",
        "SELECT setval('event_id_seq', 1)",
    ],
)
def test_the_app_cannot_change_the_tables_or_the_book_itself(roles: Roles, statement: str) -> None:
    with (
        psycopg.connect(roles.app) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(statement)


def test_the_reader_reads_and_lists_what_was_sealed_and_writes_nothing(
    roles: Roles, me: Actor
) -> None:
    with open_book(roles.app) as app:
        work(app, me)
    with open_book(roles.reader) as desk:
        assert desk.ask(CheckBook(), me).clean
        assert desk.ask(VerifyAudit(), me).unsealed == 0
        assert len(desk.ask(ListEvents(), me).items) > 6
        with pytest.raises(Misconfigured):
            desk.do(CreateAddressScope(name="red"), me)


@pytest.mark.parametrize("table", sorted(postgres_roles.UNREADABLE))
def test_the_reader_sees_no_secret_and_no_stored_answer(roles: Roles, table: str) -> None:
    with (
        psycopg.connect(roles.reader) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute(f"SELECT * FROM {table}")


def test_a_role_with_quotes_in_its_name_is_one_name() -> None:
    assert any('TO "a""b"' in one for one in postgres_roles.grants('a"b', "reader"))


def test_what_the_guide_runs_prints_the_statements() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "database-roles.md").read_text()
    (code,) = re.findall(r"python3 -c '(.*?)'", guide, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    wanted = postgres_roles.grants("allotment_app", "allotment_reader")
    assert done.stdout == "".join(f"{statement};\n" for statement in wanted)
