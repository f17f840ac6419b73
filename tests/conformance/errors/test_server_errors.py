"""Any error of a PostgreSQL server, in a statement and at COMMIT.

Invariant: an error is told apart by its code and its phase: at COMMIT, what may have been done.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import psycopg
import pytest

from allotment import LocalDesk
from allotment.errors import (
    Bug,
    Busy,
    CommitUnknown,
    DeadlineExceeded,
    Deadlock,
    Misconfigured,
    NotPrimary,
    Overloaded,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.queries import ListProjects
from conformance.errors.seen import PROJECT, SECRET, new_id, run, seen, still_serves

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


def test_a_backend_that_is_shut_down_at_commit_leaves_the_outcome_unknown(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    at_commit(postgres_url, "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;")
    with pytest.raises(StoreError) as raised:
        postgres_desk.do(CreateProject(name="p"), me)
    assert raised.value.state in ("57P01", None)
    seen(raised).assert_is(CommitUnknown, raised.value.state, "commit")
    assert postgres_desk.ask(ListProjects(), me).items == ()
