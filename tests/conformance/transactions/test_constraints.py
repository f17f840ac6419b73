"""Constraints that another transaction lets a command run into.

Invariant: no constraint leaves the desk as it is: the caller hears what became of the request.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from allotment import LocalDesk, Prefix
from allotment.errors import AllotmentError, AlreadyExists, Bug, ConstraintFailed, Overlap
from allotment.model.access import Actor
from allotment.model.commands import (
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.queries import CheckBook
from allotment.operations.explain import explain
from allotment.store import schema
from allotment.store.postgres_at_once import AT_ONCE_SCHEMA
from allotment.store.postgres_schema import NATIVE_SCHEMA
from conformance.callers import Caller, waiting
from conformance.transactions.commands import fitting


@contextmanager
def uncommitted(url: str, statement: str, *params: object) -> Any:
    """Another transaction that has written a row, and commits when the block ends."""
    with psycopg.connect(url) as other:
        other.execute(statement, params)  # type: ignore[call-overload]
        yield other


@pytest.mark.parametrize(
    ("statement", "command"),
    [
        (
            "INSERT INTO project (id, name, created_at) VALUES (gen_random_uuid(), 'x', 0)",
            CreateProject(name="x"),
        ),
        (
            "INSERT INTO address_scope (id, name, created_at) VALUES (gen_random_uuid(), 'x', 0)",
            CreateAddressScope(name="x"),
        ),
        (
            """INSERT INTO subnet_pool (id, name, created_at, scope_id, family)
            SELECT gen_random_uuid(), 'x', 0, id, 4 FROM address_scope""",
            CreateSubnetPool(name="x", prefixes=(Prefix("10.5.0.0/16"),)),
        ),
        (
            """INSERT INTO subnet (id, name, created_at, scope_id, family, first, length, placement)
            SELECT gen_random_uuid(), 'x', 0, id, 4, decode(repeat('00', 16), 'hex'), 24, 'lowest'
            FROM address_scope""",
            CreateSubnet(name="x", prefix=Prefix("10.5.0.0/24")),
        ),
    ],
)
def test_a_name_that_another_takes_meanwhile_already_exists(
    small: LocalDesk, postgres_url: str, me: Actor, statement: str, command: Command[Any]
) -> None:
    with uncommitted(postgres_url, statement):
        caller = Caller(small, command, me)
        waiting(postgres_url)
    outcome = caller.result()
    assert isinstance(outcome, AlreadyExists), outcome
    assert outcome.facts["name"] == "x"


@pytest.mark.parametrize(
    ("command", "other"),
    [
        (CreateSubnet(prefix=Prefix("10.32.0.0/24")), Prefix("10.32.0.0/25")),
        (CreateSubnet(prefix=Prefix("10.32.0.0/24")), Prefix("10.32.0.0/16")),
        (CreateSubnetPool(name="x", prefixes=(Prefix("10.32.0.0/16"),)), Prefix("10.32.0.0/12")),
    ],
)
def test_a_prefix_that_another_takes_meanwhile_overlaps(
    small: LocalDesk, postgres_url: str, me: Actor, command: Command[Any], other: Prefix
) -> None:
    statement = (
        "INSERT INTO prefix (holder_id, first, last, length, family, scope_id, parent_id, kind)"
        " SELECT gen_random_uuid(), %s, %s, %s, 4, id, id, 'subnet' FROM address_scope"
    )
    ends = other.first.to_bytes(16, "big"), other.last.to_bytes(16, "big")
    with uncommitted(postgres_url, statement, *ends, other.length):
        caller = Caller(small, command, me)
        waiting(postgres_url)
    assert isinstance(caller.result(), Overlap), caller.outcome


def test_two_that_make_the_same_at_once_make_it_once(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    for number, command in enumerate(
        (
            CreateProject(name="x"),
            CreateSubnet(prefix=Prefix("10.0.0.0/24")),
            CreateSubnetPool(name="x", prefixes=(Prefix("10.1.0.0/16"),)),
        )
    ):
        callers = [Caller(desk, command, me) for _ in range(4)]
        outcomes = [caller.result() for caller in callers]
        refused = [one for one in outcomes if isinstance(one, AllotmentError)]
        assert len(refused) == 3, (number, outcomes)
        assert all(isinstance(one, AlreadyExists | Overlap) for one in refused), refused
    assert desk.ask(CheckBook(), me).clean


def constraint_names() -> list[str]:
    """Every constraint that the book's tables and native guards have."""
    names = {
        str(one.name) for table in schema.metadata.tables.values() for one in table.constraints
    }
    names |= {
        str(index.name)
        for table in schema.metadata.tables.values()
        for index in table.indexes
        if index.unique
    }
    words = " ".join((*NATIVE_SCHEMA, *AT_ONCE_SCHEMA)).split()
    names |= {words[at + 1] for at, word in enumerate(words) if word == "CONSTRAINT"}
    return sorted(names | {"foreign_key", "unheard_of"})


@pytest.mark.parametrize("name", constraint_names())
def test_no_constraint_leaves_the_desk_as_it_is(name: str) -> None:
    for command in fitting():
        told = explain(ConstraintFailed(name), command)
        assert not isinstance(told, ConstraintFailed)
        if isinstance(told, Bug):
            assert name in str(told), "a bug report says which"
