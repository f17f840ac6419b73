"""A page deep in a listing reads what it shows, not what comes before it."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    CreateAddressScope,
    CreateSubnet,
)
from allotment.model.history import ListHistory
from allotment.model.queries import ListAllocations, ListSubnets
from allotment.store.history import OVERLAPS_MAX
from conformance.callers import by_index

SUBNETS, PAGE = 600, 100


@pytest.mark.postgres
def test_a_page_of_subnets_reads_no_more_than_itself(postgres_url: str, me: Actor) -> None:
    base = Address("10.0.0.0").value
    with open_book(postgres_url, create=True) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        prefixes = (Prefix(f"{Address.of(4, base + 16 * n)}/28") for n in range(SUBNETS))
        desk.do(Batch(commands=tuple(CreateSubnet(scope="s", prefix=p) for p in prefixes)), me)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("ANALYZE subnet")
    cursor, read, seen = None, [], []
    for _ in range(SUBNETS // PAGE):
        before = _read_through(postgres_url, "relname = 'subnet'")
        with open_book(by_index(postgres_url)) as desk:
            page = desk.ask(ListSubnets(scope="s", limit=PAGE, cursor=cursor), me)
        cursor, seen = page.next, [*seen, *page.items]
        read.append(_read_through(postgres_url, "relname = 'subnet'") - before)
    assert cursor is None
    assert [one.prefix.first for one in seen] == [base + 16 * n for n in range(SUBNETS)]
    assert max(read) <= 2 * PAGE, read


@pytest.mark.postgres
def test_a_page_of_a_subnet_s_addresses_reads_no_more_than_itself(
    postgres_url: str, me: Actor
) -> None:
    with open_book(postgres_url, create=True) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/16"), name="n"), me)
        desk.do(AllocateAddresses(subnet="n", count=10_000), me)
    cursor, read = None, []
    for _ in range(10):
        before = _read_through(postgres_url, "indexrelname = 'allocation_pkey'")
        with open_book(by_index(postgres_url)) as desk:
            page = desk.ask(ListAllocations(subnet="n", limit=1000, cursor=cursor), me)
        cursor = page.next
        assert len(page.items) == 1000
        read.append(_read_through(postgres_url, "indexrelname = 'allocation_pkey'") - before)
    assert cursor is None
    assert max(read) <= 1001


@pytest.mark.parametrize("tag", [None, "t"])
@pytest.mark.parametrize("limit", [1, 3, 4, 7, 50])
def test_the_pages_of_a_scope_show_each_address_once_in_order(
    desk: LocalDesk, me: Actor, limit: int, tag: str | None
) -> None:
    """Each page goes on in the subnet where the one before ended, and then with the others."""
    for scope in ("s", "other"):
        desk.do(CreateAddressScope(name=scope), me)
        for number in range(5):  # the third subnet holds one
            net = CreateSubnet(scope=scope, prefix=Prefix(f"10.{number}.0.0/24"))
            held = [AllocateAddress(subnet=str(desk.do(net, me).id), tags=("t",))] * 4
            desk.do(Batch(commands=tuple(held if number != 2 else held[:1])), me)
    seen, cursor = [], None
    while True:
        page = desk.ask(ListAllocations(scope="s", tag=tag, limit=limit, cursor=cursor), me)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
        assert len(page.items) == limit
    places = [(one.subnet_id, one.address.value) for one in seen]
    assert places == sorted(set(places))
    assert len(places) == 17


@pytest.mark.postgres
def test_a_look_into_a_long_history_reads_no_more_than_it_shows(
    postgres_url: str, me: Actor
) -> None:
    """One address with 5,000 former holders, each for a millisecond."""
    address, index = Address("10.0.0.7"), "indexrelname = 'allocation_period_pkey'"
    with open_book(postgres_url, create=True) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), name="n"), me)
        desk.do(AllocateAddress(subnet="n", address=address), me)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO allocation_period (scope_id, family, address, until, id, subnet_id, since,"
            " status) SELECT n.scope_id, 4, a.address, k + 1, gen_random_uuid(), n.id, k, 'active'"
            " FROM allocation a JOIN subnet n ON n.id = a.subnet_id, generate_series(0, 4999) AS k"
        )
        conn.execute("ANALYZE allocation_period")
    cursor, read, seen = None, [], []
    for _ in range(5):
        before = _read_through(postgres_url, index)
        with open_book(postgres_url) as desk:
            page = desk.ask(ListHistory(address=address, limit=1000, cursor=cursor), me)
        cursor, seen = page.next, [*seen, *page.items]
        read.append(_read_through(postgres_url, index) - before)
    assert [one.until for one in seen] == [None, *range(5000, 1, -1)]
    assert max(read) <= 1001, read
    for moment in (0, 2500, 4999):
        before = _read_through(postgres_url, index)
        with open_book(postgres_url) as desk:
            (found,) = desk.ask(ListHistory(address=address, at=moment), me).items
        assert (found.since, found.until) == (moment, moment + 1)
        assert _read_through(postgres_url, index) - before <= OVERLAPS_MAX


def _read_through(url: str, which: LiteralString) -> int:
    """How many entries of some indexes were read so far."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            f"SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE {which}"
        ).fetchone()
    assert row is not None
    return int(row[0])
