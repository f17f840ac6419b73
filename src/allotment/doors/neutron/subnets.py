"""Neutron's subnets and subnet pools in the book.

Invariant: one Neutron subnet is one subnet of the book, found by its name; entering it again finds
it, and entering another one under its name is refused.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from msgspec import UNSET, UnsetType

from allotment.doors.exchange.address_sets import union
from allotment.doors.exchange.seat import Seat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Place, Plan
from allotment.errors import AlreadyExists, InUse, NotFound, Overlap
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import (
    AllocateAddress,
    Batch,
    Command,
    CreateAddressScope,
    CreateSubnet,
    DeleteAddressScope,
    DeleteSubnet,
    UpdateAllocationPools,
    UpdateSubnet,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import GetSubnet, ListAllocations
from allotment.model.results import Allocation, Result, Subnet

_TRIES: Final = 5
Gateway = Address | None | UnsetType
Ranges = tuple[AddressRange, ...] | UnsetType


class SubnetWish(NamedTuple):
    """A subnet as Neutron wants it: of a prefix, or any of a length carved from its pool.

    `gateway` unset: the first address that a host may have; None: none. `ranges` unset: all
    around the gateway. In a change, unset leaves what is there.
    """

    place: Place
    project_id: str | None = None
    prefix: Prefix | None = None
    length: int | None = None
    gateway: Gateway = UNSET
    ranges: Ranges = UNSET


class Entered(NamedTuple):
    """A subnet of the book, and whether it was entered just now."""

    subnet: Subnet
    fresh: bool


class SubnetBook:
    """What the driver does with subnets at a desk."""

    def __init__(self, seat: Seat, plan: Plan) -> None:
        self._seat = seat
        self._plan = plan

    def find(self, subnet_id: str) -> Subnet:
        """The subnet of the book that stands for one of Neutron's; raises NotFound."""
        return self._seat.ask(GetSubnet(subnet=names.subnet_name(subnet_id)))

    def enter(self, wish: SubnetWish) -> Entered:
        """Enter a subnet, and its scope where that is missing.

        Raises:
            AlreadyExists: another one has the name.
            Overlap, PoolExhausted, InvalidValue, AllotmentError: as CreateSubnet.
        """
        scope = self._plan.scope_of(wish.place)
        pooled = wish.place.pool_id not in (None, names.DELEGATED_POOL)
        command = CreateSubnet(
            # A pool may have been entered in another scope than it would be today.
            scope=None if pooled else scope,
            pool=names.pool_name(wish.place.pool_id or "") if pooled else None,
            name=names.subnet_name(wish.place.subnet_id),
            prefix=wish.prefix,
            length=None if wish.prefix is not None else wish.length,
            prefix_placement=self._plan.prefix_placement,
            gateway=wish.gateway,
            ranges=wish.ranges,
            placement=self._plan.placement,
            quarantine_seconds=self._plan.quarantine_seconds,
            tags=(names.project_tag(wish.project_id),),
        )
        try:
            return Entered(self._in_scope(command, scope), fresh=True)
        except (AlreadyExists, Overlap):
            found = self._entered_before(wish)
            if found is None:
                raise
            return Entered(found, fresh=False)

    def _entered_before(self, wish: SubnetWish) -> Subnet | None:
        """What an earlier attempt of this very wish has entered."""
        try:
            found = self.find(wish.place.subnet_id)
        except NotFound:
            return None
        return found if _is_what_was_wished(found, wish) else None

    def _in_scope(self, command: CreateSubnet, scope: str) -> Subnet:
        """The subnet made; the scope that is not there yet, or was closed meanwhile, is opened."""
        for _ in range(_TRIES):
            try:
                return self._seat.do(command)
            except NotFound as error:
                if command.scope is None or error.facts.get("reference") != scope:
                    raise
                open_scope(self._seat, scope, self._plan.project)
        return self._seat.do(command)

    def remove(self, subnet: Subnet) -> None:
        """Remove a subnet with all that is held in it, and its scope if that was its last."""
        try:
            self._seat.do(DeleteSubnet(subnet=str(subnet.id), cascade=True))
        except NotFound:
            return  # somebody has removed it: that is what was wanted
        self._close_scope(subnet.scope)

    def _close_scope(self, scope: str) -> None:
        """Remove a scope that was opened for Neutron, and in which nothing is left."""
        if scope in self._plan.scopes.values() or not names.is_made_for_neutron(scope):
            return
        try:
            self._seat.do(DeleteAddressScope(scope=scope))
        except (InUse, NotFound):
            return  # somebody put something there, or was quicker

    def change(self, found: Subnet, wish: SubnetWish) -> Subnet:
        """Make a subnet as it is wished, and answer it; what is unset stays.

        Raises:
            InvalidValue: the gateway lies in a pool, or a pool outside the subnet.
        """
        if wish.prefix is not None and wish.prefix != found.prefix:
            return self._replace(found, wish)
        changes = list(_changes(found, wish))
        if not changes:
            return found
        self._seat.do(changes[0] if len(changes) == 1 else Batch(commands=tuple(changes)))
        return self._seat.ask(GetSubnet(subnet=str(found.id)))

    def _replace(self, found: Subnet, wish: SubnetWish) -> Subnet:
        """Another prefix under the same name: what is held of the old one is given up."""
        made = CreateSubnet(
            scope=found.scope,
            name=found.name,
            prefix=wish.prefix,
            gateway=wish.gateway,
            ranges=wish.ranges,
            placement=found.placement,
            quarantine_seconds=found.quarantine_seconds,
            tags=found.tags,
        )
        gone = DeleteSubnet(subnet=str(found.id), cascade=True)
        answers = self._seat.do(Batch(commands=(gone, made)))
        made_subnet = answers[1]
        assert isinstance(made_subnet, Subnet), "creating a subnet answers it"
        return made_subnet

    def held(self, subnet: Subnet) -> list[Allocation]:
        """All that is held of a subnet."""
        return list(every(self._seat, ListAllocations(subnet=str(subnet.id))))

    def restore(self, now: Subnet, before: Subnet, held: list[Allocation]) -> None:
        """Bring back a subnet as it was before its prefix was replaced."""
        place = Place("", str(before.prefix))
        wish = SubnetWish(place, None, before.prefix, None, before.gateway, before.pools)
        back = self._replace(now, wish)
        for one in held:
            self._seat.do(
                AllocateAddress(
                    subnet=str(back.id),
                    address=one.address,
                    identifier=one.identifier,
                    mac=one.mac,
                    description=one.description,
                )
            )


def open_scope(seat: Seat, scope: str, project: str | None) -> None:
    """Open a scope, unless somebody else has just done so."""
    try:
        seat.do(CreateAddressScope(name=scope, project=project, description="made for Neutron"))
    except AlreadyExists:
        return


def _is_what_was_wished(found: Subnet, wish: SubnetWish) -> bool:
    """Whether a subnet that is there already may have been entered for this very wish."""
    if wish.prefix is not None:
        return found.prefix == wish.prefix
    return found.prefix.length == wish.length


def _changes(found: Subnet, wish: SubnetWish) -> list[Command[Result]]:
    """What makes a subnet as it is wished; the gateway never stands in a pool meanwhile."""
    subnet = str(found.id)
    new_gateway = wish.gateway is not UNSET and wish.gateway != found.gateway
    new_ranges = wish.ranges is not UNSET and union(wish.ranges) != found.pools
    changes: list[Command[Any]] = []  # Any: of several kinds
    if new_gateway and new_ranges and found.gateway is not None:
        changes.append(UpdateSubnet(subnet=subnet, gateway=None))
    if new_ranges:
        assert not isinstance(wish.ranges, UnsetType), "there are new ones"
        changes.append(UpdateAllocationPools(subnet=subnet, ranges=wish.ranges))
    if new_gateway:
        changes.append(UpdateSubnet(subnet=subnet, gateway=wish.gateway))
    return changes
