"""Holding one address that was asked for by name, or made from an interface.

Invariant: "taken" is said only of an address that a snapshot shows to be held.
"""

from __future__ import annotations

from itertools import islice

from allotment.engine import interface_id, pools
from allotment.errors import AddressTaken, Bug, InvalidValue
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, Method
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.operations.free_space import Space, take_out
from allotment.operations.hand import Hand
from allotment.operations.registry import AGAIN, Outcome
from allotment.store import allocation_pools, allocations, extents, settings
from allotment.store.dialect import SubnetRow
from allotment.store.session import Write

_STABLE_TRIES = 8


def prefix_of(row: SubnetRow) -> Prefix:
    """The subnet's prefix."""
    return Prefix.of(row.family, row.first, row.length)


def check_usable(row: SubnetRow, address: Address) -> None:
    """Refuse what no interface of the subnet may have.

    Raises:
        InvalidValue: the address is outside the subnet, or its network, broadcast or
            subnet-router anycast address.
    """
    prefix = prefix_of(row)
    if not prefix.contains(address):
        raise InvalidValue("address", str(address), f"it must lie inside the subnet {prefix}")
    usable = pools.usable(row.family, prefix.first, prefix.last, row.length)
    if not usable.first <= address.value <= usable.last:
        what = (
            "network or broadcast address" if row.family == 4 else "subnet-router anycast address"
        )
        raise InvalidValue("address", str(address), f"it is the {what} of {prefix}")


def check_named(row: SubnetRow, address: Address) -> None:
    """Refuse what nobody may be given by name: as `check_usable`, but routers bear the anycast.

    Raises:
        InvalidValue: the address is outside the subnet, or its network or broadcast address.
    """
    if row.family == 6 and address.family == 6 and address.value == row.first:
        return
    check_usable(row, address)


def take(tx: Write, hand: Hand, address: Address) -> Outcome:
    """Take one address out of the free space, or find that it needs no taking (outside the pools).

    Returns:
        The address; an AddressTaken; or AGAIN when another transaction is at work on it.
    """
    row = hand.row
    check_named(row, address)
    if hand.gave(address.value):
        return AddressTaken(str(address), str(prefix_of(row)))
    if hand.pull(address.value):
        return address
    return _take_from_book(tx, row, address)


def _take_from_book(tx: Write, row: SubnetRow, address: Address) -> Outcome:
    found = extents.holding(tx, row.id, address.value)
    if found is not None:
        if found.available_at > tx.now:
            return AddressTaken(str(address), f"{prefix_of(row)} (resting after its release)")
        take_out(tx, Space(row.id), found, Extent(address.value, address.value))
        return address
    if allocations.find(tx, row.id, address.value) is not None:
        return AddressTaken(str(address), str(prefix_of(row)))
    if allocation_pools.covering(tx, row.id, address.value) is None:
        return address
    if not tx.dialect.concurrent:
        raise Bug(f"{address} is neither free nor held: run 'allotment check'")
    return AGAIN


def take_made(tx: Write, hand: Hand, wish: AllocateAddress) -> Outcome:
    """Take the address that the wish's interface has in this subnet (EUI-64, stable private)."""
    row = hand.row
    prefix = prefix_of(row)
    if wish.method is Method.EUI_64:
        if wish.mac is None:
            raise InvalidValue("mac", None, "method eui-64 makes the address from it: give one")
        return take(tx, hand, interface_id.eui64(prefix, wish.mac))
    interface = wish.interface or (str(wish.mac) if wish.mac else None)
    if interface is None:
        raise InvalidValue("interface", None, "method stable-private needs it, or a mac")
    secret = settings.secret(tx)
    outcome: Outcome = None
    candidates = interface_id.stable_private_candidates(prefix, interface, str(row.id), secret)
    for candidate in islice(candidates, _STABLE_TRIES):
        outcome = take(tx, hand, candidate.address)
        if not isinstance(outcome, AddressTaken):
            return outcome
    return outcome
