"""Violated constraints, on every database: each is told by its name.

Invariant: after a violation the connection serves the next one, and the book is as it was.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allotment import LocalDesk, Prefix
from allotment.errors import ConstraintFailed
from allotment.model.access import Actor
from allotment.model.commands import CreateAddressScope, CreateSubnet
from allotment.store.session import Write
from conformance.errors.seen import PROJECT, new_id, run, seen, still_serves

ZERO = b"\0" * 16
SUBNET = (
    "INSERT INTO subnet (id, scope_id, family, first, length, placement, created_at)"
    " VALUES (:id, :scope, :family, :first, 24, 'lowest', 0)"
)
PREFIX = (
    "INSERT INTO prefix (holder_id, first, last, length, family, scope_id, parent_id, kind)"
    " SELECT :id, first, last, length, family, scope_id, {parent}, {kind} FROM prefix"
)


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """A scope `s` with a subnet."""
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24")), me)
    return desk


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
