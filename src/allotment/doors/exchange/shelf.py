"""What the book holds of the scopes that a file is about, kept up with what is imported.

Invariant: a scope is read from the book once, before anything is said about it; after that, only
what the desk answered is added.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from allotment.doors.exchange.prefix_index import PrefixIndex
from allotment.doors.exchange.seat import Seat, every
from allotment.errors import NotFound
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetAddressScope,
    GetProject,
    ListAllocations,
    ListPrefixAllocations,
    ListSubnetPools,
    ListSubnets,
    ListTree,
    Query,
)
from allotment.model.results import (
    AddressScope,
    Allocation,
    PrefixAllocation,
    Project,
    Result,
    Subnet,
    SubnetPool,
)

R = TypeVar("R", bound=Result)
# Any: a pool, a subnet or a prefix allocation.
Inside = defaultdict[str, PrefixIndex[Any]]


class Place(NamedTuple):
    """Where a command would put something: what kind of thing, in which scope, at which place.

    Of a project or a scope there is only the name, in the stead of the scope.
    """

    kind: type[Command[Any]]  # Any: whatever it answers
    scope: str
    where: Prefix | Address | None = None


def place_of(command: Command[Any]) -> Place:  # Any: whatever it answers
    """Where a command would put something."""
    match command:
        case CreateProject() | CreateAddressScope():
            return Place(type(command), command.name)
        case CreateSubnetPool():
            return Place(type(command), command.scope or "", command.prefixes[0])
        case CreateSubnet() | AllocatePrefix():
            return Place(type(command), command.scope or "", command.prefix)
        case AllocateAddress():
            return Place(type(command), command.scope or "", command.address)
        case _:
            raise AssertionError(f"a {type(command).__name__} puts nothing anywhere")


class Shelf:
    """Projects and scopes by name; what is inside a scope by prefix; allocations by address."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._projects: dict[str, Project | None] = {}
        self._scopes: dict[str, AddressScope | None] = {}
        self._absent: set[str] = set()
        self._pools: defaultdict[str, PrefixIndex[SubnetPool]] = defaultdict(PrefixIndex)
        self._subnets: defaultdict[str, PrefixIndex[Subnet]] = defaultdict(PrefixIndex)
        self._carved: defaultdict[str, PrefixIndex[PrefixAllocation]] = defaultdict(PrefixIndex)
        self._held: dict[UUID, dict[int, Allocation]] = {}

    def project(self, name: str) -> Project | None:
        """The project of that name."""
        if name not in self._projects:
            self._projects[name] = _found(self._seat, GetProject(project=name))
        return self._projects[name]

    def scope(self, name: str) -> AddressScope | None:
        """The address scope of that name; the first time, all that is in it is read."""
        if name not in self._scopes:
            self._scopes[name] = _found(self._seat, GetAddressScope(scope=name))
            try:
                self._read(name)
            except NotFound:  # not even something inside it is seen
                self._absent.add(name)
        return self._scopes[name]

    def lacks(self, kind: str, name: str) -> bool:
        """Whether a project or scope of that name would have to be made first.

        A scope of which one sees a part is there, seen itself or not.
        """
        if kind == "project":
            return self.project(name) is None
        return self.scope(name) is None and name in self._absent

    def subnet_around(self, scope: str, place: Address | Prefix) -> Subnet | None:
        """The subnet that holds an address."""
        self.scope(scope)
        return next((subnet for _, subnet in self._subnets[scope].around(place)), None)

    def pool_around(self, scope: str, place: Address | Prefix) -> Prefix | None:
        """The prefix of the deepest subnet pool around a place; it is a reference to the pool."""
        self.scope(scope)
        return next((prefix for prefix, _ in self._pools[scope].around(place)), None)

    def held(self, subnet: Subnet) -> dict[int, Allocation]:
        """The allocations of a subnet by address."""
        if subnet.id not in self._held:
            query = ListAllocations(subnet=str(subnet.id))
            self._held[subnet.id] = {one.address.value: one for one in every(self._seat, query)}
        return self._held[subnet.id]

    def find(self, command: Command[Any]) -> Result | None:  # Any: whatever it answers
        """What is where the command would put something of the kind."""
        kind, scope, where = place_of(command)
        if kind is CreateProject:
            return self.project(scope)
        if kind is CreateAddressScope:
            return self.scope(scope)
        if isinstance(where, Address):
            subnet = self.subnet_around(scope, where)
            return None if subnet is None else self.held(subnet).get(where.value)
        assert where is not None, "anything inside a scope has a place"
        self.scope(scope)
        return self._inside(kind)[scope].get(where)

    def _inside(self, kind: type[Command[Any]]) -> Inside:  # Any: whatever it answers
        homes: dict[type[Command[Any]], Inside] = {
            CreateSubnetPool: self._pools,
            CreateSubnet: self._subnets,
            AllocatePrefix: self._carved,
        }
        return homes[kind]

    def put(self, command: Command[Any], made: Result) -> None:  # Any: whatever it answers
        """Add what the desk made of a command."""
        scope = place_of(command).scope
        match made:
            case Project():
                self._projects[scope] = made
            case AddressScope():
                self._scopes[scope] = made
            case SubnetPool():
                self._put_pool(made)
            case Subnet():
                self._subnets[scope].put(made.prefix, made)
                self._held[made.id] = {}
            case PrefixAllocation():
                self._carved[scope].put(made.prefix, made)
            case Allocation():
                subnet = self.subnet_around(scope, made.address)
                assert subnet is not None, "it was allocated from there"
                self.held(subnet)[made.address.value] = made

    def _put_pool(self, pool: SubnetPool) -> None:
        for prefix in pool.prefixes:
            self._pools[pool.scope].put(prefix, pool)

    def _read(self, name: str) -> None:
        for pool in every(self._seat, ListSubnetPools(scope=name)):
            self._put_pool(pool)
        for subnet in every(self._seat, ListSubnets(scope=name)):
            self._subnets[name].put(subnet.prefix, subnet)
        carved = {
            node.parent_id
            for node in every(self._seat, ListTree(scope=name))
            if node.kind == "allocation" and node.parent_id is not None
        }
        for pool_id in sorted(carved):
            for held in every(self._seat, ListPrefixAllocations(pool=str(pool_id))):
                self._carved[name].put(held.prefix, held)


def _found(seat: Seat, query: Query[R]) -> R | None:
    try:
        return seat.ask(query)
    except NotFound:
        return None
