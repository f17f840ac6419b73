"""What people ask the book: pages, search, longest match, use, free space."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from allotment import Address, AddressRange, Mac, Prefix, open_book
from allotment.desk import LocalDesk
from allotment.errors import Ambiguous, InvalidValue, NotFound
from allotment.model.access import Actor
from allotment.model.address_range import parse_range
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    ReleaseAddresses,
    UpdateAllocation,
)
from allotment.model.queries import (
    GetAllocation,
    GetStatus,
    GetSubnet,
    GetUtilisation,
    ListAllocations,
    ListFree,
    ListSubnets,
    ListTree,
    Lookup,
    Search,
)
from allotment.model.results import Status
from conformance.callers import by_index


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """Two scopes that overlap; a pool tree in one of them."""
    desk.do(CreateProject(name="shop"), me)
    for scope in ("blue", "red"):
        desk.do(CreateAddressScope(name=scope), me)
        desk.do(CreateSubnetPool(name="corp", scope=scope, prefixes=(Prefix("10.0.0.0/8"),)), me)
        desk.do(CreateSubnet(name="office", scope=scope, prefix=Prefix("10.1.0.0/24")), me)
    desk.do(
        CreateSubnetPool(
            name="site", scope="blue", prefixes=(Prefix("10.2.0.0/16"),), parent="corp"
        ),
        me,
    )
    desk.do(CreateSubnet(name="lab", pool="site", scope="blue", length=26), me)
    desk.do(CreateSubnet(name="six", scope="blue", prefix=Prefix("2001:db8::/64")), me)
    return desk


def _all(desk: LocalDesk, me: Actor, query: Any, limit: int) -> list[Any]:
    import msgspec

    items: list[Any] = []
    cursor = None
    while True:
        page = desk.ask(msgspec.structs.replace(query, limit=limit, cursor=cursor), me)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


def test_a_name_in_two_scopes_is_ambiguous_until_the_scope_is_said(
    book: LocalDesk, me: Actor
) -> None:
    with pytest.raises(Ambiguous) as refused:
        book.ask(GetSubnet(subnet="office"), me)
    assert refused.value.facts["choices"] == ["blue", "red"]
    assert book.ask(GetSubnet(subnet="office", scope="red"), me).scope == "red"
    by_prefix = book.ask(GetSubnet(subnet="10.1.0.0/24", scope="blue"), me)
    assert by_prefix.name == "office"
    assert book.ask(GetSubnet(subnet=str(by_prefix.id)), me) == by_prefix


def test_pages_of_any_size_add_up_to_the_same_listing(book: LocalDesk, me: Actor) -> None:
    book.do(AllocateAddresses(subnet="office", scope="blue", count=25), me)
    book.do(AllocateAddresses(subnet="lab", count=7), me)
    whole = _all(book, me, ListAllocations(), 1000)
    assert len(whole) == 32
    for limit in (1, 3, 32):
        assert _all(book, me, ListAllocations(), limit) == whole
    subnets = _all(book, me, ListSubnets(), 1000)
    assert [str(one.prefix) for one in subnets] == [
        "10.1.0.0/24", "10.1.0.0/24", "10.2.0.0/26", "2001:db8::/64",
    ]  # fmt: skip
    assert _all(book, me, ListSubnets(), 1) == subnets
    tree = _all(book, me, ListTree(), 1000)
    assert _all(book, me, ListTree(), 1) == tree
    assert len(tree) == 7


def test_a_cursor_of_another_listing_is_refused(book: LocalDesk, me: Actor) -> None:
    book.do(AllocateAddresses(subnet="lab", count=3), me)
    cursor = book.ask(ListAllocations(limit=1), me).next
    with pytest.raises(InvalidValue, match="cursor"):
        book.ask(ListSubnets(cursor=cursor), me)
    for broken in ("", "x", "AAAA", "!!!!", cursor[:-2] if cursor else ""):
        with pytest.raises(InvalidValue, match="cursor"):
            book.ask(ListAllocations(cursor=broken), me)


def test_every_attribute_finds_its_allocation(book: LocalDesk, me: Actor) -> None:
    held = book.do(
        AllocateAddress(
            subnet="lab",
            hostname="Web-1.Example.org",
            identifier="vm:17",
            mac=Mac("02:00:5e:00:53:01"),
            owner="shop",
            description="the shop's front",
            tags=("prod", "web"),
            status=Status.RESERVED,
        ),
        me,
    )
    book.do(AllocateAddress(subnet="lab", hostname="db-1.example.org", tags=("prod",)), me)
    assert held.hostname == "web-1.example.org"
    queries = (
        ListAllocations(hostname="web"),
        ListAllocations(identifier="vm:17"),
        ListAllocations(mac=Mac("02-00-5E-00-53-01")),
        ListAllocations(owner="shop"),
        ListAllocations(tag="web"),
        ListAllocations(status=Status.RESERVED),
        ListAllocations(
            subnet="lab", range=AddressRange.of(4, held.address.value, held.address.value)
        ),
        ListAllocations(within=Prefix("10.2.0.0/16"), hostname="WEB-1"),
    )
    for query in queries:
        assert book.ask(query, me).items == (held,), query
    assert len(book.ask(ListAllocations(tag="prod"), me).items) == 2
    for text in ("web-1", "vm:17", "02:00:5e", "web", str(held.address)):
        hits = book.ask(Search(text=text), me).items
        assert [hit.allocation for hit in hits if hit.allocation] == [held], text


def test_a_search_page_by_page_gives_each_allocation_once(book: LocalDesk, me: Actor) -> None:
    """Whether it is found by its host name, by its identifier, by several tags, or by all."""
    tags = [(), ("x1",), ("x1", "x2"), ("x1", "x2", "x3"), ("y",)]
    made = [
        book.do(
            AllocateAddress(
                subnet="office",
                scope="blue",
                hostname=f"x-{number % 7}" if number % 3 else None,
                identifier=f"x:{number}" if number % 4 else None,
                tags=tags[number % 5],
            ),
            me,
        )
        for number in range(40)
    ]
    wanted = {one.id for one in made if one.hostname or one.identifier or one.tags[:1] == ("x1",)}
    for limit in (1, 3, 100):
        found = [hit.allocation for hit in _all(book, me, Search(text="x"), limit)]
        assert len(found) == len(wanted)
        assert {one.id for one in found} == wanted


@pytest.mark.parametrize("name", ["two pools", "no pool", "all of it"])
def test_what_is_held_outside_the_pools_is_counted(book: LocalDesk, me: Actor, name: str) -> None:
    pools = {
        "two pools": "10.9.0.10-10.9.0.19 10.9.0.30-10.9.0.39",
        "no pool": "",
        "all of it": "10.9.0.1-10.9.0.254",
    }[name]
    ranges = tuple(parse_range(one) for one in pools.split())
    prefix = Prefix("10.9.0.0/24")
    book.do(CreateSubnet(name="n", scope="blue", prefix=prefix, gateway=None, ranges=ranges), me)
    named = ["10.9.0.1", "10.9.0.9", "10.9.0.10", "10.9.0.25", "10.9.0.39", "10.9.0.40"]
    for address in named:
        book.do(AllocateAddress(subnet="n", address=Address(address)), me)
    (used,) = book.ask(GetUtilisation(containers=("n",)), me).items
    values = [Address(one).value for one in named]
    inside = [one for one in values if any(each.first <= one <= each.last for each in ranges)]
    assert (used.held, used.held_outside) == (len(inside), len(named) - len(inside))


def test_search_finds_containers_by_name_and_prefix(book: LocalDesk, me: Actor) -> None:
    kinds = {(hit.kind, hit.scope) for hit in book.ask(Search(text="office"), me).items}
    assert kinds == {("subnet", "blue"), ("subnet", "red")}
    assert [hit.name for hit in book.ask(Search(text="10.2.0.0/16"), me).items] == ["site"]
    assert book.ask(Search(text="nothing-like-it"), me).items == ()


def test_changed_attributes_are_found_and_old_ones_are_not(book: LocalDesk, me: Actor) -> None:
    held = book.do(AllocateAddress(subnet="lab", hostname="old", tags=("a", "b")), me)
    changed = book.do(
        UpdateAllocation(subnet="lab", address=held.address, hostname="new", tags=("b", "c")), me
    )
    assert (changed.id, changed.hostname, changed.tags) == (held.id, "new", ("b", "c"))
    assert book.ask(GetAllocation(subnet="lab", address=held.address), me) == changed
    assert book.ask(ListAllocations(tag="a"), me).items == ()
    assert book.ask(ListAllocations(tag="c"), me).items == (changed,)
    assert book.ask(ListAllocations(hostname="old"), me).items == ()


def test_longest_match_names_the_whole_chain_in_each_scope(book: LocalDesk, me: Actor) -> None:
    held = book.do(AllocateAddress(subnet="lab"), me)
    blue, red = book.ask(Lookup(address=held.address), me)
    assert [node.name for node in blue.chain] == ["corp", "site", "lab"]
    assert (blue.state, blue.allocation) == ("held", held)
    assert [node.name for node in red.chain] == ["corp"]
    assert red.allocation is None


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("10.1.0.0", "outside-pools"),
        ("10.1.0.1", "outside-pools"),
        ("10.1.0.2", "free"),
        ("10.9.9.9", "pool"),
    ],
)
def test_an_address_nobody_holds_says_what_it_is(
    book: LocalDesk, me: Actor, address: str, state: str
) -> None:
    (match,) = book.ask(Lookup(address=Address(address), scope="red"), me)
    assert match.state == state
    assert book.ask(Lookup(address=Address("192.0.2.1")), me) == ()


def test_a_prefix_is_looked_up_like_an_address(book: LocalDesk, me: Actor) -> None:
    (match,) = book.ask(Lookup(prefix=Prefix("10.2.0.0/27"), scope="blue"), me)
    assert [node.name for node in match.chain] == ["corp", "site", "lab"]
    (match,) = book.ask(Lookup(prefix=Prefix("10.0.0.0/9"), scope="blue"), me)
    assert [node.name for node in match.chain] == ["corp"]


def test_utilisation_is_exact_at_any_size(book: LocalDesk, me: Actor) -> None:
    book.do(AllocateAddresses(subnet="six", count=1000, status=Status.RESERVED), me)
    book.do(AllocateAddress(subnet="office", scope="blue", address=Address("10.1.0.1")), me)
    (six,) = book.ask(GetUtilisation(containers=("six",)), me).items
    assert (six.size, six.pool_size) == (2**64, 2**64 - 2)
    assert (six.held, six.reserved, six.free) == (1000, 1000, 2**64 - 1002)
    (office,) = book.ask(GetUtilisation(containers=("office",), scope="blue"), me).items
    assert (office.held, office.held_outside, office.free) == (0, 1, 253)
    (corp,) = book.ask(GetUtilisation(containers=("corp",), scope="blue"), me).items
    assert corp.held == 256 + 65536
    assert corp.free + corp.held == 2**24
    blue, red = book.ask(GetUtilisation(), me).items
    assert (blue.name, red.name) == ("blue", "red")
    for kind, count in (("subnet", 4), ("pool", 3)):
        found = _all(book, me, GetUtilisation(kind=kind), 2)
        assert len(found) == count
        assert all(one.free + one.quarantined + one.held == one.pool_size for one in found)


def test_free_space_is_listed_as_ranges_and_as_prefixes(book: LocalDesk, me: Actor) -> None:
    book.do(AllocateAddresses(subnet="lab", count=61), me)
    book.do(
        ReleaseAddresses(subnet="lab", addresses=(Address("10.2.0.4"), Address("10.2.0.5"))), me
    )
    ranges = book.ask(ListFree(container="lab"), me).items
    assert [str(one.range) for one in ranges] == ["10.2.0.4-10.2.0.5"]
    prefixes = book.ask(ListFree(container="lab", as_prefixes=True), me).items
    assert [str(one.prefix) for one in prefixes] == ["10.2.0.4/31"]
    sites = book.ask(ListFree(container="site", length=18), me).items
    assert [str(one.prefix) for one in sites] == ["10.2.64.0/18", "10.2.128.0/17"]
    anywhere = _all(book, me, ListFree(container="red", length=10), 1)
    assert [str(one.prefix) for one in anywhere] == [
        "10.64.0.0/10", "10.128.0.0/9",
    ]  # fmt: skip


def test_stripes_do_not_show_in_the_free_space_of_a_large_subnet(
    book: LocalDesk, me: Actor
) -> None:
    ranges = book.ask(ListFree(container="six"), me).items
    assert [one.range for one in ranges] == [
        parse_range("2001:db8::2-2001:db8::ffff:ffff:ffff:ffff")
    ]
    whole = sum(one.size for one in _all(book, me, ListFree(container="six", as_prefixes=True), 5))
    assert whole == 2**64 - 2


def test_what_is_not_there_says_how_to_see_what_is(book: LocalDesk, me: Actor) -> None:
    with pytest.raises(NotFound, match="allotment subnet list"):
        book.ask(GetSubnet(subnet="nowhere"), me)
    with pytest.raises(NotFound):
        book.ask(GetUtilisation(containers=("nowhere",)), me)


def test_the_status_counts_what_the_book_holds(book: LocalDesk, me: Actor) -> None:
    status = book.ask(GetStatus(), me)
    assert (status.scopes, status.pools, status.subnets, status.projects) == (2, 3, 4, 1)
    assert "password" not in status.database


@pytest.mark.postgres
def test_reserved_addresses_are_counted_by_their_own_index(postgres_url: str, me: Actor) -> None:
    """Else a subnet's utilisation would read everything that is held in it."""
    with open_book(by_index(postgres_url), create=True) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), name="n"), me)
        desk.do(AllocateAddresses(subnet="n", count=20), me)
        desk.do(AllocateAddresses(subnet="n", count=3, status=Status.RESERVED), me)
        (use,) = desk.ask(GetUtilisation(containers=("n",)), me).items
        reserved = desk.ask(ListAllocations(subnet="n", status=Status.RESERVED), me).items
    assert (use.held, use.reserved, len(reserved)) == (23, 3, 3)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        query = (
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'allocation_reserved'"
        )
        row = conn.execute(query).fetchone()
    assert row is not None
    assert row[0] >= 2
