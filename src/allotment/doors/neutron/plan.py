"""How Neutron's address space is laid out in the book.

Invariant: what overlaps in Neutron stands in different scopes; what may not overlap, in the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from allotment.doors.neutron import names
from allotment.model.results import AddressPlacement, PrefixPlacement

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Unpooled(StrEnum):
    """Whose own scope subnets of no subnet pool stand in: their network's, or each in its own."""

    NETWORK = "network"
    SUBNET = "subnet"


class Place(NamedTuple):
    """What decides on a subnet's scope: Neutron's ids of what it is in, and its prefix."""

    subnet_id: str
    prefix: str
    network_id: str | None = None
    pool_id: str | None = None
    address_scope_id: str | None = None


class Plan(NamedTuple):
    """The rules of one installation.

    `scopes` gives an address scope, a subnet pool without one, or a network (by Neutron's id) a
    scope of the book that an operator keeps; all others get one by themselves, owned by `project`.
    """

    unpooled: Unpooled = Unpooled.NETWORK
    scopes: Mapping[str, str] = _NONE
    project: str | None = None
    placement: AddressPlacement = AddressPlacement.LOWEST
    prefix_placement: PrefixPlacement = PrefixPlacement.BEST_FIT
    quarantine_seconds: int = 0

    def scope_of_pool(self, pool_id: str, address_scope_id: str | None) -> str:
        """The scope that a subnet pool stands in."""
        if address_scope_id is not None:
            named = self.scopes.get(address_scope_id)
            return named or names.scope_of_address_scope(address_scope_id)
        return self.scopes.get(pool_id) or names.scope_of_pool(pool_id)

    def scope_of(self, place: Place) -> str:
        """The scope that a subnet stands in."""
        if place.pool_id == names.DELEGATED_POOL or place.prefix == names.PROVISIONAL_PREFIX:
            return names.scope_of_subnet(place.subnet_id)
        if place.pool_id is not None:
            return self.scope_of_pool(place.pool_id, place.address_scope_id)
        if place.network_id is None or self.unpooled is Unpooled.SUBNET:
            return names.scope_of_subnet(place.subnet_id)
        return self.scopes.get(place.network_id) or names.scope_of_network(place.network_id)
