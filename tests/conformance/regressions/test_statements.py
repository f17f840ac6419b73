"""Faults of what one statement reads, and of what it takes.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from allotment import Address, AddressRange, LocalDesk, Prefix, open_book
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    ReleaseAddresses,
    ReleaseMatching,
    UpdateAllocation,
)
from allotment.model.extent import Extent
from allotment.operations.gate import Gate
from allotment.operations.perform import Asked, perform_one
from conformance.callers import waiting

PARTS = (
    "SELECT oid::regclass FROM pg_class"
    " WHERE relname ~ '^allocation(_of_[0-9]+)?$' AND relkind = 'r'"
)


@pytest.mark.parametrize("known", ["nothing", "that a subnet holds one"])
@pytest.mark.parametrize("release", ["several", "an owner's"])
def test_giving_some_back_reads_no_others_whatever_the_statistics(
    postgres_url: str, me: Actor, release: str, known: str
) -> None:
    """The table has grown since it was analysed: the planner thinks that a subnet holds little."""
    url = make_url(postgres_url).update_query_dict({"options": "-c random_page_cost=4"})
    with open_book(url.render_as_string(hide_password=False), create=True) as desk:
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            for (table,) in conn.execute(PARTS).fetchall():
                conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/16"), name="n"), me)
        desk.do(CreateProject(name="p"), me)
        if known != "nothing":
            for third in range(40):
                small = desk.do(CreateSubnet(scope="s", prefix=Prefix(f"10.1.{third}.0/29")), me)
                desk.do(AllocateAddress(subnet=str(small.id)), me)
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute("ANALYZE allocation")
        desk.do(AllocateAddresses(subnet="n", count=30_000), me)
        some = tuple(Address(f"10.0.{third}.77") for third in range(20, 90))
        command: Command[Any] = ReleaseAddresses(subnet="n", addresses=some)
        if release == "an owner's":
            for address in some[:9]:
                desk.do(UpdateAllocation(subnet="n", address=address, owner="p"), me)
            command = ReleaseMatching(owner="p", subnet="n")
        with desk.store.writing() as tx:
            released = perform_one(tx, Gate(), Asked(me, command))
            read = tx.run(
                text(
                    "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM ("
                    f"{PARTS} UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid IN ({PARTS})"
                    ") AS read (oid)"
                )
            ).scalar_one()
        assert released.count in (70, 9)
        assert read < 1_000


def test_a_taker_never_goes_back_for_what_was_freed_below(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    """Two that take several at once would each hold what the other waits for: a deadlock."""
    postgres_desk.do(CreateAddressScope(name="s"), me)
    ranges = tuple(AddressRange(f"10.0.0.{last}-10.0.0.{last}") for last in (10, 20))
    command = CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), ranges=ranges)
    subnet = postgres_desk.do(command, me)
    taken: list[list[Extent]] = []

    def take() -> None:
        with postgres_desk.store.writing(patient=True) as tx:
            taken.append(postgres_desk.store.dialect.take_lowest(tx, subnet.id, 2))

    low, middle, high = (Address(f"10.0.0.{last}") for last in (5, 10, 20))
    with psycopg.connect(postgres_url) as first, psycopg.connect(postgres_url) as other:
        first.execute("SELECT 1 FROM free_extent WHERE last = %s FOR UPDATE", (middle.packed,))
        taker = threading.Thread(target=take)
        taker.start()
        waiting(postgres_url)
        other.execute(
            "INSERT INTO free_extent (container_id, last, first, available_at)"
            " VALUES (%s, %s, %s, 0)",
            (subnet.id, low.packed, low.packed),
        )
        other.commit()
        first.rollback()
        taker.join()
    assert taken == [[Extent(middle.value, middle.value), Extent(high.value, high.value)]]
