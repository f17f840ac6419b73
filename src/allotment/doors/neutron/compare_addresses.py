"""Comparing the addresses of one subnet: what Neutron's ports use, what the book holds.

Invariant: an address that the book holds is released only if it is old enough that no request can
still be about it, and Neutron, asked again, does not use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from allotment.doors.exchange.seat import Seat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.addresses import AddressBook, AddressWish
from allotment.doors.neutron.findings import Fate, Finding, Kind
from allotment.doors.neutron.source import Source, mac_of
from allotment.errors import AddressTaken, InvalidValue, NotFound
from allotment.model.address import Address, parse_address
from allotment.model.neutron_rows import AddressRow
from allotment.model.queries import ListAllocations
from allotment.model.results import Allocation, Subnet

IsYoung = Callable[[int], bool]


class SubnetPair(NamedTuple):
    """A subnet of Neutron's, and the book's, if it has it."""

    subnet_id: str
    subnet: Subnet | None


class _Pair(NamedTuple):
    """What the comparison of one subnet shares."""

    source: Source
    book: AddressBook
    subnet_id: str


def compare_addresses(
    seat: Seat, source: Source, book: AddressBook, pair: SubnetPair, is_young: IsYoung
) -> Iterator[Finding]:
    """What differs in the addresses of one subnet."""
    held = {} if pair.subnet is None else _held(seat, pair.subnet)
    here = _Pair(source, book, pair.subnet_id)
    for row in source.addresses(pair.subnet_id):
        try:
            address = parse_address(row.address)
        except InvalidValue as error:
            yield Finding(
                Kind.NOT_VALID, _told(here, row.address), error.message, "-", fate=Fate.KEPT
            )
            continue
        yield from _compare(here, row, address, held.pop(address, None))
    for address, one in sorted(held.items()):
        yield _left(here, address, one, young=is_young(one.created_at))


def _held(seat: Seat, subnet: Subnet) -> dict[Address, Allocation]:
    """What is held of a subnet now; it may have got another id, or gone, since it was listed."""
    for reference in (str(subnet.id), subnet.name or ""):
        try:
            found = every(seat, ListAllocations(subnet=reference))
            return {one.address: one for one in found}
        except NotFound:
            continue
    return {}


def _told(here: _Pair, address: Address | str) -> str:
    return f"{address} of subnet {here.subnet_id}"


def _compare(
    here: _Pair, row: AddressRow, address: Address, held: Allocation | None
) -> Iterator[Finding]:
    if row.port_id is None:
        book = "-" if held is None else "held"
        yield Finding(Kind.ADDRESS_WITHOUT_PORT, _told(here, address), "no port", book)
        return
    wanted = f"port {row.port_id}"
    if held is None:
        yield Finding(
            Kind.ADDRESS_MISSING, _told(here, address), wanted, "-", _take(here, row, address)
        )
        return
    other = names.port_of(held.identifier)
    if other != row.port_id:
        book = f"port {other}" if other else "nobody named"
        yield Finding(
            Kind.ADDRESS_OF_ANOTHER,
            _told(here, address),
            wanted,
            book,
            _hand_over(here, row, held),
        )


def _wish(here: _Pair, row: AddressRow, address: Address) -> AddressWish:
    return AddressWish(
        subnets=(here.subnet_id,),
        address=address,
        port_id=row.port_id,
        request_id="reconcile",
        mac=mac_of(row),
    )


def _take(here: _Pair, row: AddressRow, address: Address) -> Callable[[], bool]:
    def mend() -> bool:
        if not here.source.has_address(here.subnet_id, row.address):
            return False
        here.book.forget(here.subnet_id)
        try:
            here.book.take(_wish(here, row, address), lambda _subnet, _address: True)
        except AddressTaken:
            return False  # it was taken meanwhile: for this port, or it is found the next time
        return True

    return mend


def _hand_over(here: _Pair, row: AddressRow, held: Allocation) -> Callable[[], bool]:
    def mend() -> bool:
        if not here.source.has_address(here.subnet_id, row.address):
            return False
        here.book.hand_over(held, _wish(here, row, held.address))
        return True

    return mend


def _left(here: _Pair, address: Address, held: Allocation, *, young: bool) -> Finding:
    def mend() -> bool:
        if here.source.has_address(here.subnet_id, str(address)):
            return False
        return here.book.give_back(held)

    port = names.port_of(held.identifier)
    book = f"port {port}" if port else "held"
    if held.description:
        book += f" ({held.description})"
    return Finding(Kind.ADDRESS_LEFT, _told(here, address), "-", book, mend, young=young)
