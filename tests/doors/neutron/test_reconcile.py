"""Whatever Neutron and the book disagree about is found, explained, and mended in the book."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from allotment.doors.cli.app import root
from allotment.doors.exchange.neutron import import_neutron
from allotment.doors.exchange.report import Report
from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.neutron import names
from allotment.doors.neutron.findings import EXPLAINED, FATES, Fate, Finding, Kind
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.reconcile import Reconciliation, mend
from allotment.doors.neutron.source import Source
from allotment.errors import NotFound
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    Command,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    ReleaseAddress,
    UpdateAllocation,
    UpdateAllocationPools,
    UpdateSubnet,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import GetAllocation, GetSubnet, GetSubnetPool, ListSubnets
from allotment.model.results import Allocation
from neutron_cloud import Cloud

LATER = time.time() + 3600


class Office:
    """A Neutron and a book that say the same, until somebody changes one of them."""

    def __init__(self, cloud: Cloud, source: Source, seat: DeskSeat) -> None:
        self.cloud, self.source, self.seat = cloud, source, seat
        self.pool = cloud.pool("10.0.0.0/16")
        self.network = "net"
        self.subnet = cloud.subnet(
            "10.0.1.0/24", "10.0.1.2-10.0.1.254", gateway="10.0.1.1", pool=self.pool
        )
        self.other = cloud.subnet("192.168.0.0/24", "192.168.0.2-192.168.0.9", network="net")
        self.port = cloud.port(self.subnet, "10.0.1.7")
        import_neutron(seat, source, Report("neutron", "neutron"), Plan())

    def look(self, *, now: float = LATER) -> list[Finding]:
        found = Reconciliation(self.seat, self.source, Plan(), clock=lambda: now)
        return list(found.findings())

    def kinds(self) -> list[Kind]:
        return [one.kind for one in self.look()]

    def mend(self) -> list[Fate]:
        """Mend each finding as it is met, as the command does."""
        comparison = Reconciliation(self.seat, self.source, Plan(), clock=lambda: LATER)
        fates = []
        for finding in comparison.findings():
            mend(finding)
            fates.append(finding.fate)
        return fates

    def in_book(self, command: Command[Any]) -> Any:
        return self.seat.do(command)

    def holder(self, address: str) -> Allocation:
        subnet = names.subnet_name(self.subnet)
        return self.seat.ask(GetAllocation(subnet=subnet, address=Address(address)))

    @property
    def name(self) -> str:
        return names.subnet_name(self.subnet)


@pytest.fixture
def office(cloud: Cloud, source: Source, seat: DeskSeat) -> Office:
    return Office(cloud, source, seat)


def test_after_an_import_nothing_differs(office: Office) -> None:
    assert office.look() == []


Change = Callable[[Office], object]

DIFFERENCES: list[tuple[str, Change, list[Kind]]] = [
    (
        "an address was taken, and the port was never made",
        lambda o: o.in_book(AllocateAddress(subnet=o.name, address=Address("10.0.1.9"))),
        [Kind.ADDRESS_LEFT],
    ),
    (
        "an address was released by hand",
        lambda o: o.in_book(ReleaseAddress(subnet=o.name, address=Address("10.0.1.7"))),
        [Kind.ADDRESS_MISSING],
    ),
    (
        "an address is held for another port",
        lambda o: o.in_book(
            UpdateAllocation(
                subnet=o.name, address=Address("10.0.1.7"), identifier="port:other:10.0.1.7"
            )
        ),
        [Kind.ADDRESS_OF_ANOTHER],
    ),
    (
        "an address is held for nobody named",
        lambda o: o.in_book(
            UpdateAllocation(subnet=o.name, address=Address("10.0.1.7"), identifier=None)
        ),
        [Kind.ADDRESS_OF_ANOTHER],
    ),
    (
        "a subnet was entered, and Neutron's was never committed",
        lambda o: o.in_book(_subnet("172.16.0.0/24", "neutron-subnet-gone")),
        [Kind.SUBNET_LEFT],
    ),
    (
        "a subnet was removed by hand, with what it held",
        lambda o: o.in_book(DeleteSubnet(subnet=o.name, cascade=True)),
        [Kind.SUBNET_MISSING, Kind.ADDRESS_MISSING],
    ),
    (
        "the allocation pools are others",
        lambda o: o.in_book(UpdateAllocationPools(subnet=o.name, ranges=())),
        [Kind.SUBNET_DIFFERS],
    ),
    (
        "the gateway is another",
        lambda o: o.in_book(UpdateSubnet(subnet=o.name, gateway=None)),
        [Kind.SUBNET_DIFFERS],
    ),
    (
        "the prefix is another",
        lambda o: (
            o.cloud.do("UPDATE subnets SET cidr = '192.168.7.0/24' WHERE id = ?", o.other)
            or o.cloud.do("DELETE FROM ipallocationpools WHERE subnet_id = ?", o.other)
        ),
        [Kind.SUBNET_DIFFERS],
    ),
    (
        "Neutron's subnet pool got another prefix",
        lambda o: o.cloud.do("INSERT INTO subnetpoolprefixes VALUES (?, '10.9.0.0/16')", o.pool),
        [Kind.POOL_DIFFERS],
    ),
    (
        "a subnet pool was removed in Neutron",
        lambda o: o.in_book(_pool("10.77.0.0/16", "neutron-pool-gone")),
        [Kind.POOL_LEFT],
    ),
]


def _subnet(prefix: str, name: str) -> CreateSubnet:
    return CreateSubnet(prefix=Prefix(prefix), scope="neutron-network-net", name=name)


def _pool(prefix: str, name: str) -> CreateSubnetPool:
    return CreateSubnetPool(prefixes=(Prefix(prefix),), scope="neutron-network-net", name=name)


@pytest.mark.parametrize(
    ("change", "kinds"), [one[1:] for one in DIFFERENCES], ids=[one[0] for one in DIFFERENCES]
)
def test_what_differs_is_found_mended_and_gone(
    office: Office, change: Change, kinds: list[Kind]
) -> None:
    change(office)
    assert office.kinds() == kinds
    assert office.mend() == [Fate.REPAIRED] * len(kinds)
    assert office.look() == []


def test_what_only_neutron_can_mend_is_told_and_kept(office: Office) -> None:
    office.cloud.without_port(office.subnet, "10.0.1.8")
    assert office.kinds() == [Kind.ADDRESS_WITHOUT_PORT]
    assert office.mend() == [Fate.KEPT]


def test_a_pool_whose_address_scope_was_changed_is_told_and_kept(office: Office) -> None:
    scope = office.cloud.scope("new")
    office.cloud.do("UPDATE subnetpools SET address_scope_id = ? WHERE id = ?", scope, office.pool)
    assert office.kinds() == [Kind.POOL_ELSEWHERE]
    assert office.mend() == [Fate.KEPT]


def test_a_row_that_is_not_valid_is_told_and_stops_nothing(office: Office) -> None:
    office.cloud.do("UPDATE subnets SET cidr = '10.0.1.0/33' WHERE id = ?", office.subnet)
    office.in_book(AllocateAddress(subnet=names.subnet_name(office.other)))
    assert sorted(office.kinds()) == [Kind.ADDRESS_LEFT, Kind.NOT_VALID]
    assert sorted(office.mend()) == [Fate.KEPT, Fate.REPAIRED]


def test_what_is_young_may_be_under_way_and_is_left_alone(office: Office) -> None:
    made = office.in_book(AllocateAddress(subnet=office.name, address=Address("10.0.1.9")))
    young = office.look(now=time.time())
    assert [one.young for one in young] == [True]
    mend(young[0])
    assert young[0].fate is Fate.YOUNG
    assert office.holder("10.0.1.9") == made


def test_what_neutron_has_committed_meanwhile_is_not_released(office: Office) -> None:
    made = office.in_book(AllocateAddress(subnet=office.name, address=Address("10.0.1.9")))
    (finding,) = office.look()
    office.cloud.port(office.subnet, "10.0.1.9")
    mend(finding)
    assert finding.fate is Fate.VANISHED
    assert office.holder("10.0.1.9") == made


def test_the_next_holder_of_an_address_does_not_lose_it_to_a_late_repair(office: Office) -> None:
    address = Address("10.0.1.9")
    office.in_book(AllocateAddress(subnet=office.name, address=address))
    (finding,) = office.look()
    office.in_book(ReleaseAddress(subnet=office.name, address=address))
    later = office.in_book(AllocateAddress(subnet=office.name, address=address))
    mend(finding)
    assert finding.fate is Fate.VANISHED
    assert office.holder("10.0.1.9") == later


def test_a_subnet_that_neutron_has_committed_meanwhile_is_not_removed(office: Office) -> None:
    made = office.in_book(_subnet("172.16.0.0/24", "neutron-subnet-late"))
    (finding,) = office.look()
    office.cloud.do(
        "INSERT INTO subnets VALUES ('late', '', 't', 'net', NULL, 4, '172.16.0.0/24', NULL)"
    )
    mend(finding)
    assert finding.fate is Fate.VANISHED
    assert office.seat.ask(GetSubnet(subnet=str(made.id))) == made


def test_a_pool_from_which_something_is_carved_is_not_removed(office: Office) -> None:
    office.cloud.do("DELETE FROM subnetpools")
    office.cloud.do("DELETE FROM subnetpoolprefixes")
    (finding,) = [one for one in office.look() if one.kind is Kind.POOL_LEFT]
    mend(finding)
    assert finding.fate is Fate.FAILED
    assert "still holds" in finding.detail
    assert office.seat.ask(GetSubnetPool(pool=names.pool_name(office.pool))).prefixes


def test_the_scope_of_a_removed_subnet_goes_with_it(office: Office) -> None:
    scope = names.scope_of_network("net")
    office.cloud.do("DELETE FROM subnets WHERE id = ?", office.other)
    office.mend()
    with pytest.raises(NotFound):
        office.seat.ask(ListSubnets(scope=scope))


def test_what_is_not_neutron_s_is_nobody_s_business(office: Office) -> None:
    office.in_book(_subnet("172.16.0.0/24", "printers"))
    office.in_book(AllocateAddress(subnet="printers"))
    assert office.look() == []


def test_every_kind_and_every_fate_is_explained() -> None:
    assert set(EXPLAINED) == set(Kind)
    assert set(FATES) == set(Fate)


# --- as it is typed


def run(*words: str) -> Any:
    return CliRunner().invoke(root, words)


@pytest.fixture
def conf(cloud: Cloud, tmp_path: Path) -> str:
    path = tmp_path / "neutron.conf"
    book = f"sqlite:///{tmp_path}/book.db"
    path.write_text(f"[database]\nconnection = {cloud.url}\n[allotment]\ndatabase = {book}\n")
    subnet = cloud.subnet("10.0.0.0/24", "10.0.0.2-10.0.0.99", gateway="10.0.0.1")
    cloud.port(subnet, "10.0.0.2", "10.0.0.3")
    assert run("import", "neutron", str(path)).exit_code == 0
    return str(path)


def test_the_command_ends_with_0_only_if_nothing_differs(cloud: Cloud, conf: str) -> None:
    assert run("neutron", "reconcile", conf).exit_code == 0
    cloud.do("DELETE FROM ipallocations WHERE ip_address = '10.0.0.3'")
    found = run("neutron", "reconcile", conf, "--young", "0")
    assert found.exit_code == 8, found.output
    assert "address-left" in found.stdout
    assert "--repair mends it" in found.stdout
    again = run("neutron", "reconcile", conf, "--young", "0")
    assert again.exit_code == 8, "without --repair nothing is changed"


def test_the_command_mends_and_tells_a_program_everything(cloud: Cloud, conf: str) -> None:
    cloud.do("DELETE FROM ipallocations WHERE ip_address = '10.0.0.3'")
    done = run("neutron", "reconcile", conf, "--young", "0", "--repair", "--output", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["counts"]["repaired"] == 1
    assert told["items"][0]["kind"] == "address-left"
    assert told["items"][0]["why"] == EXPLAINED[Kind.ADDRESS_LEFT]
    assert run("neutron", "reconcile", conf).exit_code == 0


def test_what_is_young_is_told_as_such(cloud: Cloud, conf: str) -> None:
    cloud.do("DELETE FROM ipallocations WHERE ip_address = '10.0.0.3'")
    done = run("neutron", "reconcile", conf, "--repair", "--output", "csv")
    assert done.exit_code == 8
    assert ",young," in done.stdout
