"""`import neutron`: a running Neutron's address space becomes the book that our driver works with.

Invariant: names and identifiers are those of the driver, so that it goes on from there; running it
again changes nothing; Neutron's database is only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allotment.doors.exchange.intake import Intake, Wish
from allotment.doors.exchange.report import Outcome, Report, Row
from allotment.doors.exchange.seat import Seat
from allotment.doors.exchange.shelf import Shelf
from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.source import Source, by_id, facts_of, mac_of, ranges_of, wish_of
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.address import parse_address
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.names import DESCRIPTION
from allotment.model.neutron_rows import AddressRow, SubnetRow

FORMAT: Final = "neutron"
_SUBNET: Final = "subnet"
PRESENT: Final = (Outcome.IMPORTED, Outcome.UNCHANGED, Outcome.DIFFERS)


class NeutronImport:
    """One import on its way."""

    def __init__(self, seat: Seat, source: Source, report: Report, plan: Plan) -> None:
        self._source = source
        self._report = report
        self._plan = plan
        self._shelf = Shelf(seat)
        self._intake = Intake(seat, self._shelf, report)
        self._pools = by_id(source.subnet_pools())
        self._scopes: dict[str, Wish] = {}

    def bring_in(self) -> None:
        """Enter scopes, subnet pools, subnets and addresses, each kind before what needs it."""
        pools = list(self._pool_wishes())
        subnets = list(self._subnet_wishes())
        self._name_scopes()
        self._intake.take_all(self._scopes.values())
        self._intake.take_all(sorted(pools, key=_shortest_first))
        self._intake.take_all(wish for wish, _ in subnets)
        for wish, row in subnets:
            self._bring_addresses(wish, row)

    def _name_scopes(self) -> None:
        """What Neutron calls its address scopes; those that nothing is in are told, too."""
        for row in self._source.address_scopes():
            name = self._plan.scope_of_pool("", row.id)
            wish = self._scopes.get(name)
            if wish is None:
                told = self._report.row("address scope", row.id, row.name)
                self._scopes[name] = Wish(told, _scope(told, name, row.name))
            else:
                wish.row.label = row.name
                self._scopes[name] = Wish(wish.row, _scope(wish.row, name, row.name))

    def _needs(self, scope: str) -> str:
        """A scope that something of Neutron's stands in."""
        if scope not in self._scopes:
            told = self._report.row("scope", "needed by Neutron", scope, implied=True)
            self._scopes[scope] = Wish(told, _scope(told, scope, ""))
        return scope

    def _pool_wishes(self) -> Iterator[Wish]:
        for row in self._pools.values():
            told = self._report.row("subnet pool", row.id, row.name)
            try:
                facts = facts_of(row)
            except InvalidValue as error:
                self._report.refuse(told, error)
                continue
            if facts.quota is not None:
                why = "it stays in Neutron: the driver counts against it for the asking project"
                told.leave_out("default_quota", facts.quota, why)
            command = CreateSubnetPool(
                name=names.pool_name(row.id),
                scope=self._needs(self._plan.scope_of_pool(row.id, row.address_scope_id)),
                prefixes=facts.prefixes,
                default_length=facts.default_length,
                description=_description(told, row.name),
            )
            yield Wish(told, command)

    def _subnet_wishes(self) -> Iterator[tuple[Wish, SubnetRow]]:
        for row in self._source.subnets():
            told = self._report.row(_SUBNET, row.id, f"{row.name} {row.prefix}".strip())
            try:
                wish = wish_of(row, self._pools)
            except InvalidValue as error:
                self._report.refuse(told, error)
                continue
            if wish.ranges != ranges_of(row):
                told.leave_out("gateway", row.gateway, "it stood in a pool, and is taken out of it")
            command = CreateSubnet(
                scope=self._needs(self._plan.scope_of(wish.place)),
                prefix=wish.prefix,
                name=names.subnet_name(row.id),
                gateway=wish.gateway,
                ranges=wish.ranges,
                placement=self._plan.placement,
                quarantine_seconds=self._plan.quarantine_seconds,
                description=_description(told, row.name),
                tags=(names.project_tag(row.project_id),),
            )
            yield Wish(told, command), row

    def _bring_addresses(self, subnet: Wish, row: SubnetRow) -> None:
        """The addresses of a subnet that ports use; what is held for nobody is told."""
        command = subnet.command
        assert isinstance(command, CreateSubnet), "it came from a subnet"
        used: set[str] = set()
        wishes = []
        for one in self._source.addresses(row.id):
            used.add(one.address)
            told = self._report.row("address", f"{one.address} of {row.id}", one.port_id or "")
            if subnet.row.outcome not in PRESENT:
                why = "its subnet is not in the book"
                self._report.tell(told, Outcome.REFUSED, why, subnet.row.code)
                continue
            wish = self._address(told, one, command)
            if wish is not None:
                wishes.append(wish)
        self._intake.take_all(wishes)
        for address in sorted(set(self._source.held_by_the_reference_driver(row.id)) - used):
            told = self._report.row("held address", f"{address} of {row.id}", "")
            why = "Neutron's own driver holds it, and no port uses it: it was left behind"
            self._report.tell(told, Outcome.NOT_REPRESENTED, why)

    def _address(self, told: Row, one: AddressRow, subnet: CreateSubnet) -> Wish | None:
        if one.port_id is None:
            why = "a row of Neutron's without a port: nobody uses it"
            self._report.tell(told, Outcome.NOT_REPRESENTED, why)
            return None
        try:
            address = parse_address(one.address)
        except InvalidValue as error:
            self._report.refuse(told, error)
            return None
        mac = mac_of(one)
        if mac is None and one.mac:
            told.leave_out("mac_address", one.mac, "the book keeps MACs of 48 bits")
        command = AllocateAddress(
            subnet=str(subnet.prefix),
            scope=subnet.scope,
            address=address,
            identifier=names.identifier(one.port_id, address),
            mac=mac,
            description=names.attempt("import", "1"),
        )
        return Wish(told, command)


def _shortest_first(wish: Wish) -> int:
    command = wish.command
    assert isinstance(command, CreateSubnetPool), "they came from subnet pools"
    return min(prefix.length for prefix in command.prefixes)


def _scope(told: Row, name: str, said: str) -> CreateAddressScope:
    return CreateAddressScope(name=name, description=_description(told, said))


def _description(told: Row, text: str) -> str:
    """What Neutron calls something, as its description here."""
    try:
        DESCRIPTION.check(text, "name")
    except AllotmentError as error:
        told.leave_out("name", text, str(error.facts.get("rule", error.message)))
        return ""
    return text


def import_neutron(seat: Seat, source: Source, report: Report, plan: Plan) -> None:
    """Bring a Neutron's address space into the book.

    Raises:
        AllotmentError: the store cannot serve, or Neutron's database cannot be read; running it
            again goes on from there.
    """
    NeutronImport(seat, source, report, plan).bring_in()
