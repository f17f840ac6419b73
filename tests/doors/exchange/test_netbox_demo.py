"""NetBox's own demo data: everything that has a place in the book is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from allotment import local_owner, open_book
from allotment.doors.exchange.rehearsal import Rehearsal
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import DeskSeat
from allotment.model.address import Address
from allotment.model.queries import GetAllocation, GetStatus, GetSubnet, GetSubnetPool
from allotment.model.results import Status

NewSeat = Callable[[], DeskSeat]


def imported(report: Report) -> dict[str, int]:
    return {
        kind: counts[Outcome.IMPORTED]
        for kind, counts in report.kinds().items()
        if counts[Outcome.IMPORTED]
    }


def test_all_prefixes_addresses_ranges_vrfs_and_tenants_are_taken(
    seat: DeskSeat, netbox_demo: Path, from_netbox: Any
) -> None:
    report = from_netbox(seat, netbox_demo)
    assert imported(report) == {
        "ipam.prefix": 90,
        "ipam.ipaddress": 180,
        "ipam.iprange": 4,
        "ipam.vrf": 6,
        "ipam.aggregate": 4,
        "tenancy.tenant": 11,
        "global table": 1,
    }
    assert report.counts()[Outcome.REFUSED] == 0
    status = seat.ask(GetStatus())
    # 4 aggregates and 21 containers; 180 addresses and 4 reserved ranges of 50.
    assert (status.scopes, status.projects, status.pools) == (7, 11, 25)
    assert (status.subnets, status.allocations) == (69, 380)


def test_what_has_no_place_is_told_with_its_reason(
    seat: DeskSeat, netbox_demo: Path, from_netbox: Any
) -> None:
    report = from_netbox(seat, netbox_demo)
    without = {row.kind for row in report.rows if row.outcome is Outcome.NOT_REPRESENTED}
    assert without == {
        *("ipam.routetarget", "ipam.rir", "ipam.asn", "ipam.role", "ipam.vlangroup", "ipam.vlan"),
        "tenancy.tenantgroup",
    }
    assert all(row.reason for row in report.rows if row.outcome is not Outcome.IMPORTED)


def test_the_attributes_of_the_source_are_kept(
    seat: DeskSeat, netbox_demo: Path, from_netbox: Any
) -> None:
    from_netbox(seat, netbox_demo)
    office = seat.ask(GetSubnet(subnet="10.112.129.0/24"))
    assert office.project == "Dunder-Mifflin, Inc."
    assert office.tags == ("role:access-data", "site:2", "vlan:100")
    assert office.gateway is None, "NetBox knows no gateways"
    branch = seat.ask(GetSubnetPool(pool="10.112.128.0/17", scope="Global"))
    assert branch.description == "DM branch offices"
    first = seat.ask(GetAllocation(subnet="192.168.0.0/22", address=Address("192.168.0.1")))
    assert (first.status, first.identifier) == (Status.RESERVED, "netbox:ip:1")
    future = seat.ask(GetAllocation(subnet="192.168.0.0/22", address=Address("192.168.1.0")))
    assert (future.status, future.description) == (Status.RESERVED, "Future use")


def test_importing_again_changes_nothing(
    seat: DeskSeat, netbox_demo: Path, from_netbox: Any, contents: Any
) -> None:
    first = from_netbox(seat, netbox_demo)
    before = contents(seat)
    again = from_netbox(seat, netbox_demo)
    assert contents(seat) == before
    assert again.counts()[Outcome.IMPORTED] == 0
    assert again.counts()[Outcome.UNCHANGED] == first.counts()[Outcome.IMPORTED]


def test_a_rehearsal_changes_nothing_and_says_what_the_import_then_says(
    seat: DeskSeat, netbox_demo: Path, from_netbox: Any, contents: Any
) -> None:
    with open_book("sqlite://") as memory:
        stage = DeskSeat(memory, local_owner())
        would = from_netbox(Rehearsal(seat, stage), netbox_demo)
    assert not any(contents(seat).values())
    did = from_netbox(seat, netbox_demo)
    assert [row.plain() for row in would.rows] == [row.plain() for row in did.rows]
