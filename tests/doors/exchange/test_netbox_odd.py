"""Fixtures that are odd, wrong or hostile: each object is handled, or told why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import DeskSeat
from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import CreateAddressScope, CreateSubnet, CreateSubnetPool
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    CheckBook,
    GetAllocation,
    GetProject,
    GetSubnet,
    GetSubnetPool,
    ListPrefixAllocations,
)
from allotment.model.results import Status

Outcomes = dict[str, Outcome | None]


@pytest.fixture
def book(imported: tuple[DeskSeat, Report]) -> DeskSeat:
    """What the odd fixture was imported into; nobody changes it."""
    return imported[0]


@pytest.fixture
def odd(imported: tuple[DeskSeat, Report]) -> Report:
    """The report of the odd fixture."""
    return imported[1]


def outcomes(report: Any) -> Outcomes:
    return {row.source: row.outcome for row in report.rows}


def row_of(report: Any, source: str) -> Any:
    return next(row for row in report.rows if row.source == source)


def left_out(report: Any, source: str) -> dict[str, str]:
    return {part.what: part.value for part in row_of(report, source).left_out}


def test_a_pool_and_the_aggregate_of_the_same_prefix_are_one_pool(
    book: DeskSeat, odd: Report
) -> None:
    assert row_of(odd, "ipam.prefix 1").outcome is Outcome.MERGED
    pool = book.ask(GetSubnetPool(pool="10.0.0.0/8", scope="Global"))
    assert (pool.description, pool.project) == ("all of it", "Harbour Works")
    assert pool.tags == ("date-added:2020-02-02", "rir:rfc-1918")


def test_a_prefix_with_children_becomes_a_pool_and_says_so(book: DeskSeat, odd: Report) -> None:
    assert book.ask(GetSubnetPool(pool="10.1.0.0/16", scope="Global")).description == "the harbour"
    assert "child prefixes" in row_of(odd, "ipam.prefix 2").left_out[0].why


def test_a_container_and_an_active_prefix_of_the_same_place_are_pool_and_subnet(
    book: DeskSeat, odd: Report
) -> None:
    pool = book.ask(GetSubnetPool(pool="10.1.2.0/24", scope="Global"))
    subnet = book.ask(GetSubnet(subnet="10.1.2.0/24", scope="Global"))
    assert subnet.pool_id == pool.id


def test_a_duplicate_prefix_is_merged_and_what_contradicts_is_left_out(odd: Report) -> None:
    assert row_of(odd, "ipam.prefix 4").outcome is Outcome.MERGED
    assert left_out(odd, "ipam.prefix 4") == {"description": "users again"}


def test_role_vlan_site_and_tags_become_tags_and_comments_description(
    book: DeskSeat, odd: Report
) -> None:
    subnet = book.ask(GetSubnet(subnet="10.1.1.0/24", scope="Global"))
    assert subnet.tags == ("Critical", "role:users", "site:harbour", "vlan:10")
    assert subnet.description == "users\n\nfirst floor\nsecond floor"
    newer = book.ask(GetSubnet(subnet="10.1.8.0/24", scope="Global"))
    assert newer.tags == ("site:harbour",), "since NetBox 4.2 it is called scope"


def test_custom_fields_are_kept_in_the_description(book: DeskSeat, odd: Report) -> None:
    assert book.ask(GetProject(project="Harbour Works")).description == "number: H-7"


def test_vrfs_of_one_name_become_scopes_of_their_own(book: DeskSeat, odd: Report) -> None:
    assert left_out(odd, "ipam.vrf 2") == {"name": "Blue"}
    assert left_out(odd, "ipam.vrf 3") == {"name": "Global"}, "that is the global table"
    for scope in ("Blue", "VRF 65001:2", "Global"):
        assert book.ask(GetSubnet(subnet="10.1.1.0/24", scope=scope)).scope == scope


def test_active_ranges_are_allocation_pools_without_network_and_broadcast(
    book: DeskSeat, odd: Report
) -> None:
    subnet = book.ask(GetSubnet(subnet="10.1.1.0/24", scope="Global"))
    assert subnet.pools == (
        AddressRange("10.1.1.1-10.1.1.50"),
        AddressRange("10.1.1.100-10.1.1.199"),
    )
    assert left_out(odd, "ipam.iprange 7") == {"range": "10.1.1.0-10.1.1.50"}


def test_a_prefix_out_of_use_has_no_allocation_pools(book: DeskSeat, odd: Report) -> None:
    subnet = book.ask(GetSubnet(subnet="10.1.4.0/24", scope="Global"))
    assert (subnet.pools, subnet.tags) == ((), ("status:reserved",))


def test_a_reserved_range_takes_what_nobody_holds(book: DeskSeat, odd: Report) -> None:
    def at(address: str) -> Any:
        return book.ask(
            GetAllocation(subnet="10.1.1.0/24", scope="Global", address=Address(address))
        )

    for address in ("10.1.1.10", "10.1.1.14", "10.1.1.16", "10.1.1.19"):
        held = at(address)
        assert (held.status, held.project) == (Status.RESERVED, "Harbour Works")
        assert held.tags == ("netbox:range:2", "role:users")
    assert (at("10.1.1.15").status, at("10.1.1.15").hostname) == (Status.ACTIVE, "web.example.net")


def test_an_address_that_is_only_in_a_pool_is_held_as_a_prefix_of_one_address(
    book: DeskSeat, odd: Report
) -> None:
    held = book.ask(ListPrefixAllocations(pool="10.0.0.0/8", scope="Global")).items
    assert [(str(one.prefix), one.identifier, one.project, one.status) for one in held] == [
        ("10.200.0.1/32", "netbox:ip:4", "Harbour Works", Status.RESERVED)
    ]
    assert left_out(odd, "ipam.ipaddress 4") == {"dns_name": "lo.example.net"}


def test_what_an_allocation_cannot_hold_is_left_out_and_named(book: DeskSeat, odd: Report) -> None:
    assert set(left_out(odd, "ipam.ipaddress 8")) == {"assigned_object", "nat_inside", "dns_name"}
    assert left_out(odd, "ipam.ipaddress 9") == {"tenant": "77", "mask": "/32"}
    held = book.ask(
        GetAllocation(subnet="10.1.1.0/24", scope="Global", address=Address("10.1.1.60"))
    )
    assert held.tags == ("role:vip", "status:deprecated")
    assert (held.hostname, held.description) == (None, "owner: Ann")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("ipam.aggregate 2", "host bits are set"),
        ("ipam.prefix 12", "no VRF '99'"),
        ("ipam.prefix 13", "0 to 32"),
        ("ipam.prefix 16", "missing required field `prefix`"),
        ("ipam.iprange 6", "does not come after"),
        ("ipam.ipaddress 3", "network or broadcast address"),
        ("ipam.ipaddress 10", "leading zeros"),
        ("ipam.ipaddress 12", "zone ids"),
        ("object 63", "not one of a Django fixture"),
    ],
)
def test_an_invalid_object_is_refused_alone_with_its_reason(
    odd: Report, source: str, why: str
) -> None:
    row = row_of(odd, source)
    assert row.outcome is Outcome.REFUSED
    assert why in row.reason
    assert row.code in ("invalid-value", "not-found")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("ipam.ipaddress 2", "held once in a scope: ipam.ipaddress 1 has it"),
        ("ipam.ipaddress 5", "no prefix of the file"),
        ("ipam.iprange 3", "more than 1,000,000"),
        ("ipam.iprange 4", "no single subnet"),
        ("ipam.iprange 5", "only active and reserved"),
        ("ipam.role 1", "kept as a tag"),
        ("ipam.rir 2", "no prefix, range or address"),
        ("dcim.device 1", "not part of the address space"),
    ],
)
def test_what_the_book_has_no_place_for_says_why(odd: Report, source: str, why: str) -> None:
    row = row_of(odd, source)
    assert row.outcome is Outcome.NOT_REPRESENTED
    assert why in row.reason


def test_a_key_that_comes_twice_counts_once(odd: Report) -> None:
    twice = [row for row in odd.rows if row.source == "ipam.ipaddress 14"]
    assert [row.outcome for row in twice] == [Outcome.REFUSED, Outcome.REFUSED]


def test_the_odd_fixture_again_changes_nothing(
    seat: DeskSeat, files: Path, from_netbox: Any, contents: Any
) -> None:
    first = from_netbox(seat, files / "netbox-odd.json")
    before = contents(seat)
    again = from_netbox(seat, files / "netbox-odd.json")
    assert contents(seat) == before
    assert again.counts()[Outcome.IMPORTED] == 0
    assert again.counts()[Outcome.UNCHANGED] == first.counts()[Outcome.IMPORTED]


def test_what_the_book_says_otherwise_is_told_and_left_as_it_is(
    seat: DeskSeat, from_netbox: Any
) -> None:
    seat.do(CreateAddressScope(name="Global"))
    seat.do(CreateSubnetPool(name="everything", scope="Global", prefixes=(Prefix("10.0.0.0/8"),)))
    seat.do(CreateSubnet(scope="Global", prefix=Prefix("10.1.0.0/24"), description="ours"))
    report = from_netbox(
        seat,
        fixture(
            ("ipam.prefix", {"prefix": "10.0.0.0/8", "status": "container"}),
            ("ipam.prefix", {"prefix": "10.1.0.0/24", "description": "theirs"}),
        ),
    )
    told = {row.label: (row.outcome, row.reason) for row in report.rows}
    assert told["10.0.0.0/8"] == (Outcome.DIFFERS, "the book has another name")
    assert told["10.1.0.0/24"] == (Outcome.DIFFERS, "the book has another description")
    assert seat.ask(GetSubnet(subnet="10.1.0.0/24")).description == "ours"


def test_what_is_in_conflict_with_the_book_is_refused_and_the_rest_imported(
    seat: DeskSeat, from_netbox: Any
) -> None:
    seat.do(CreateAddressScope(name="Global"))
    seat.do(CreateSubnet(scope="Global", prefix=Prefix("10.1.0.0/16")))
    prefixes = [("ipam.prefix", {"prefix": f"10.{n}.7.0/24"}) for n in range(5)]
    report = from_netbox(seat, fixture(*prefixes))
    refused = [row for row in report.rows if row.outcome is Outcome.REFUSED]
    assert [(row.label, row.code) for row in refused] == [("10.1.7.0/24", "overlap")]
    assert report.counts()[Outcome.IMPORTED] == 4


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{}", b"[", b"7", b"\xff\xfe[]", b'"text"', b'{"results": []}'),
        *(
            b"[" * 100_000,
            b'[{"a": ' * 20_000,
            b'[{"model": "ipam.prefix", "fields": {"\xff": 1}}]',
        ),
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_no_fixture_is_refused_whole(
    seat: DeskSeat, from_netbox: Any, contents: Any, raw: bytes
) -> None:
    with pytest.raises(InvalidValue, match="file"):
        from_netbox(seat, raw)
    assert not any(contents(seat).values())


def fixture(*objects: tuple[str, Any]) -> bytes:
    """A fixture of (model, fields)."""
    listed = [
        {"model": model, "pk": pk, "fields": fields} for pk, (model, fields) in enumerate(objects)
    ]
    return json.dumps(listed).encode()


PLACES = st.sampled_from(
    [
        *("10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.0/25", "10.1.1.128/31"),
        *("10.1.1.7/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::/64", "2001:db8::/127"),
        *("2001:db8::1/128", "10.1.1.1/8", "nonsense", ""),
    ]
)
ADDRESSES = st.sampled_from(
    [
        *("10.1.1.0/24", "10.1.1.1/24", "10.1.1.7/32", "10.1.1.129/31", "10.1.1.255/24"),
        *("10.9.9.9/32", "192.0.2.1/24", "2001:db8::1/64", "2001:db8::/64", "10.1.1.300/24", "x"),
    ]
)
LINKS = st.sampled_from([None, 0, 1, 2, "1", ["Blue"], True, {"a": 1}])
TEXTS = st.sampled_from(["", "fine", "a,b", "tab\there", "x" * 5000, "\u202e", "bad_name", "a.b."])
STATUSES = st.sampled_from(["active", "container", "reserved", "deprecated", "dhcp", "own", "", 7])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "prefix": PLACES,
        "address": ADDRESSES,
        "start_address": ADDRESSES,
        "end_address": ADDRESSES,
        "vrf": LINKS,
        "tenant": LINKS,
        "role": LINKS,
        "vlan": LINKS,
        "rir": LINKS,
        "site": LINKS,
        "scope_type": st.sampled_from([None, 3, ["dcim", "site"], ["dcim"]]),
        "scope_id": LINKS,
        "status": STATUSES,
        "name": TEXTS,
        "slug": TEXTS,
        "rd": TEXTS,
        "description": TEXTS,
        "comments": TEXTS,
        "dns_name": TEXTS,
        "is_pool": st.booleans(),
        "mark_utilized": st.booleans(),
        "custom_field_data": st.sampled_from([None, {}, {"a": [1]}, "text"]),
    },
)
MODELS = st.sampled_from(
    [
        *("ipam.vrf", "tenancy.tenant", "ipam.aggregate", "ipam.prefix", "ipam.prefix"),
        *("ipam.prefix", "ipam.iprange", "ipam.ipaddress", "ipam.ipaddress", "ipam.role"),
        *("ipam.vlan", "dcim.site", "extras.taggeditem", "a.b"),
    ]
)


@settings(max_examples=150)
@given(objects=st.lists(st.tuples(MODELS, FIELDS), max_size=12))
def test_no_fixture_crashes_the_import_or_spoils_the_book(
    two_books: Any, emptied: Any, from_netbox: Any, objects: list[tuple[str, Any]]
) -> None:
    seat = emptied(two_books[0])
    first = from_netbox(seat, fixture(*objects))
    told = [row for row in first.rows if row.kind != "global table"]
    assert len(told) == len(objects), "a row for each object"
    again = from_netbox(seat, fixture(*objects))
    assert again.counts()[Outcome.IMPORTED] == 0, "again, nothing is new"
    assert seat.ask(CheckBook()).clean
