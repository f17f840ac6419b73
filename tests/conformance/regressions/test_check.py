"""Faults of the check, which did not see them, and of the repair, which made some.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from allotment import Address, AddressRange, LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
    ReleaseAddress,
    RepairBook,
)
from allotment.model.queries import CheckBook
from allotment.store import schema

X = schema.prefix


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"),)), me)
    ranges = (AddressRange("10.0.0.10-10.0.0.20"),)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n", ranges=ranges), me)
    desk.do(AllocateAddress(subnet="n", tags=("t",)), me)
    desk.do(AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/24")), me)
    assert desk.ask(CheckBook(), me).clean
    return desk


def test_check_finds_a_prefix_that_nobody_holds(book: LocalDesk, me: Actor) -> None:
    with book.store.writing() as tx:
        row = dict(tx.run(select(X).where(X.c.kind == "subnet")).one()._mapping)
        first = Prefix("192.0.2.0/24").first
        place = {"first": first, "last": first + 255, "parent_id": row["scope_id"]}
        tx.run(insert(X).values(**{**row, **place, "holder_id": uuid4()}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_a_held_prefix_without_its_entry_in_the_forest(
    book: LocalDesk, me: Actor
) -> None:
    """The pool adds up, and its space would be handed out a second time."""
    held = schema.prefix_allocation
    with book.store.writing() as tx:
        row = dict(tx.run(select(held)).one()._mapping)
        first = Prefix("10.0.32.0/24").first
        tx.run(insert(held).values(**{**row, "id": uuid4(), "first": first}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_an_entry_whose_held_prefix_is_gone(book: LocalDesk, me: Actor) -> None:
    with book.store.writing() as tx:
        tx.run(delete(schema.prefix_allocation))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_an_entry_of_the_wrong_kind(book: LocalDesk, me: Actor) -> None:
    """As a pool, the entry of a subnet is beyond the guard `subnet_never_overlaps`."""
    with book.store.writing() as tx:
        tx.run(update(X).where(X.c.kind == "subnet").values(kind="pool"))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_a_pool_without_prefixes(book: LocalDesk, me: Actor) -> None:
    pool = schema.subnet_pool
    with book.store.writing() as tx:
        row = dict(tx.run(select(pool)).one()._mapping)
        tx.run(insert(pool).values(**{**row, "id": uuid4(), "name": "hollow"}))
    assert not book.ask(CheckBook(), me).clean


def test_check_finds_tags_that_do_not_agree(book: LocalDesk, me: Actor) -> None:
    """`allocation_tag` is derived: a search by tag would not find the address."""
    with book.store.writing() as tx:
        tx.run(delete(schema.allocation_tag))
    assert not book.ask(CheckBook(), me).clean


def test_a_repair_never_makes_space_free_twice(book: LocalDesk, me: Actor) -> None:
    """Overlapping allocation pools: their addresses were opened up once for each."""
    pools = schema.allocation_pool
    with book.store.writing() as tx:
        subnet = tx.run(select(pools.c.subnet_id)).scalar_one()
        first = Address("10.0.0.15").value
        tx.run(insert(pools).values(subnet_id=subnet, first=first, last=first + 10))
    book.do(RepairBook(), me)
    faults = book.ask(CheckBook(), me).faults
    assert not [one for one in faults if "free extents overlap" in one.detail], faults


def test_a_repair_keeps_what_rests_at_rest(desk: LocalDesk, me: Actor) -> None:
    """S12: addresses in quarantine became free at once when their subnet was rebuilt."""
    desk.do(CreateAddressScope(name="s"), me)
    wish = CreateSubnet(prefix=Prefix("10.0.0.0/29"), name="n", quarantine_seconds=3600)
    desk.do(wish, me)
    held = desk.do(AllocateAddress(subnet="n"), me)
    other = desk.do(AllocateAddress(subnet="n"), me)
    desk.do(ReleaseAddress(subnet="n", address=held.address), me)
    extents = schema.free_extent
    with desk.store.writing() as tx:
        tx.run(
            insert(extents).values(
                container_id=other.subnet_id,
                first=other.address.value,
                last=other.address.value,
                available_at=0,
            )
        )
    assert desk.do(RepairBook(), me).clean
    assert desk.do(AllocateAddress(subnet="n"), me).address != held.address
