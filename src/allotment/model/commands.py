"""Every change of the book as a value: a frozen struct whose type parameter is its answer.

Invariant: a command is complete in itself, refuses unknown fields, and says which role it needs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, UnsetType

from allotment.model.access import Role
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.command import Command as Command
from allotment.model.limits import Bounds
from allotment.model.mac import Mac
from allotment.model.names import (
    Description,
    Hostname,
    Identifier,
    Name,
    Reference,
    Tag,
)
from allotment.model.prefix import Prefix
from allotment.model.results import (
    AddressPlacement,
    AddressScope,
    AllocatedAddresses,
    Allocation,
    CheckReport,
    Deleted,
    PoolsUpdated,
    PrefixAllocation,
    PrefixPlacement,
    Project,
    Released,
    Result,
    Status,
    Subnet,
    SubnetPool,
)

Length = Annotated[int, Bounds(0, 128)]
Count = Annotated[int, Bounds(1, 10_000_000)]
QuarantineSeconds = Annotated[int, Bounds(0, 31_536_000)]


class Method(StrEnum):
    """How the address is found.

    `any` free one, by placement; the `next` in order (the lowest, whatever the placement); made
    from the interface: modified `eui-64` (RFC 4291) or `stable-private` (RFC 7217).
    """

    ANY = "any"
    NEXT = "next"
    EUI_64 = "eui-64"
    STABLE_PRIVATE = "stable-private"


class CreateProject(Command[Project], frozen=True, kw_only=True):
    """Enter a project."""

    needs = Role.ADMIN
    name: Name
    description: Description = ""


class UpdateProject(Command[Project], frozen=True, kw_only=True):
    """Change a project's name or description."""

    needs = Role.ADMIN
    project: Reference
    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    version: int | None = None


class DeleteProject(Command[Deleted], frozen=True, kw_only=True):
    """Remove a project that owns nothing."""

    needs = Role.ADMIN
    project: Reference


class CreateAddressScope(Command[AddressScope], frozen=True, kw_only=True):
    """Open a domain in which addresses are unique; grants on its `project` hold inside it."""

    needs = Role.ADMIN
    name: Name
    project: Reference | None = None
    description: Description = ""


class UpdateAddressScope(Command[AddressScope], frozen=True, kw_only=True):
    """Change what is said about an address scope."""

    needs = Role.ADMIN
    scope: Reference
    name: Name | UnsetType = UNSET
    project: Reference | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    version: int | None = None


class DeleteAddressScope(Command[Deleted], frozen=True, kw_only=True):
    """Remove an address scope; refuses while something is inside, unless `cascade`."""

    takes_long = True
    needs = Role.ADMIN
    scope: Reference
    cascade: bool = False


class CreateSubnetPool(Command[SubnetPool], frozen=True, kw_only=True):
    """Make a container of prefixes; prefixes already inside it in the scope become its children."""

    takes_long = True
    needs = Role.OPERATOR
    name: Name
    scope: Reference | None = None
    prefixes: tuple[Prefix, ...]
    parent: Reference | None = None
    default_length: Length | None = None
    project: Reference | None = None
    description: Description = ""
    tags: tuple[Tag, ...] = ()


class UpdateSubnetPool(Command[SubnetPool], frozen=True, kw_only=True):
    """Change a subnet pool; `prefixes` replaces its prefixes (only free space can be dropped)."""

    takes_long = True
    needs = Role.OPERATOR
    pool: Reference
    scope: Reference | None = None
    name: Name | UnsetType = UNSET
    prefixes: tuple[Prefix, ...] | UnsetType = UNSET
    default_length: Length | None | UnsetType = UNSET
    project: Reference | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: tuple[Tag, ...] | UnsetType = UNSET
    version: int | None = None


class DeleteSubnetPool(Command[Deleted], frozen=True, kw_only=True):
    """Remove a subnet pool; its space returns to its parent. Refuses while it holds something."""

    takes_long = True
    needs = Role.OPERATOR
    pool: Reference
    scope: Reference | None = None
    cascade: bool = False


class CreateSubnet(Command[Subnet], frozen=True, kw_only=True):
    """Enter a subnet: the given `prefix`, or any of `length` carved from subnet pool `pool`.

    `gateway` unset means the first usable address (none for /31, /32, /127 and /128).
    `ranges` unset means one pool around the gateway; an empty tuple means no pool.
    """

    needs = Role.OPERATOR
    scope: Reference | None = None
    pool: Reference | None = None
    prefix: Prefix | None = None
    length: Length | None = None
    prefix_placement: PrefixPlacement = PrefixPlacement.LOWEST
    name: Name | None = None
    gateway: Address | None | UnsetType = UNSET
    ranges: tuple[AddressRange, ...] | UnsetType = UNSET
    placement: AddressPlacement = AddressPlacement.LOWEST
    quarantine_seconds: QuarantineSeconds = 0
    project: Reference | None = None
    description: Description = ""
    tags: tuple[Tag, ...] = ()


class UpdateSubnet(Command[Subnet], frozen=True, kw_only=True):
    """Change what is said about a subnet (its pools: `UpdateAllocationPools`)."""

    needs = Role.OPERATOR
    subnet: Reference
    scope: Reference | None = None
    name: Name | None | UnsetType = UNSET
    gateway: Address | None | UnsetType = UNSET
    placement: AddressPlacement | UnsetType = UNSET
    quarantine_seconds: QuarantineSeconds | UnsetType = UNSET
    project: Reference | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: tuple[Tag, ...] | UnsetType = UNSET
    version: int | None = None


class DeleteSubnet(Command[Deleted], frozen=True, kw_only=True):
    """Remove a subnet; its prefix returns to its pool. Refuses while addresses are held."""

    takes_long = True
    needs = Role.OPERATOR
    subnet: Reference
    scope: Reference | None = None
    cascade: bool = False


class UpdateAllocationPools(Command[PoolsUpdated], frozen=True, kw_only=True):
    """Replace a subnet's allocation pools, compared as sets of addresses; `()` empties them."""

    takes_long = True
    needs = Role.OPERATOR
    subnet: Reference
    scope: Reference | None = None
    ranges: tuple[AddressRange, ...]
    version: int | None = None


class AllocateAddress(Command[Allocation], frozen=True, kw_only=True):
    """Hold one address of `subnet`, or of the first of `fallbacks` that has one.

    `address` asks for that very one (also outside the allocation pools). `method` eui-64 and
    stable-private need `mac`, or `interface`. With an `identifier` that already holds an
    address here, that allocation is the answer.
    """

    together = True
    needs = Role.ALLOCATOR
    subnet: Reference
    scope: Reference | None = None
    fallbacks: tuple[Reference, ...] = ()
    address: Address | None = None
    method: Method = Method.ANY
    placement: AddressPlacement | None = None
    interface: Identifier | None = None
    status: Status = Status.ACTIVE
    owner: Reference | None = None
    identifier: Identifier | None = None
    hostname: Hostname | None = None
    mac: Mac | None = None
    description: Description = ""
    tags: tuple[Tag, ...] = ()


class AllocateAddresses(Command[AllocatedAddresses], frozen=True, kw_only=True):
    """Hold `count` addresses, all or none; `contiguous` as one run, which `first` may fix."""

    takes_long = True
    needs = Role.ALLOCATOR
    subnet: Reference
    scope: Reference | None = None
    count: Count
    contiguous: bool = False
    first: Address | None = None
    status: Status = Status.ACTIVE
    owner: Reference | None = None
    hostname: Hostname | None = None
    description: Description = ""
    tags: tuple[Tag, ...] = ()


class UpdateAllocation(Command[Allocation], frozen=True, kw_only=True):
    """Change what is said about a held address."""

    needs = Role.ALLOCATOR
    subnet: Reference
    scope: Reference | None = None
    address: Address
    allocation_id: Reference | None = None
    status: Status | UnsetType = UNSET
    owner: Reference | None | UnsetType = UNSET
    identifier: Identifier | None | UnsetType = UNSET
    hostname: Hostname | None | UnsetType = UNSET
    mac: Mac | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    tags: tuple[Tag, ...] | UnsetType = UNSET


class ReleaseAddress(Command[Released], frozen=True, kw_only=True):
    """Give one address back; with `allocation_id`, only if that allocation still holds it."""

    together = True
    needs = Role.ALLOCATOR
    subnet: Reference
    scope: Reference | None = None
    address: Address
    allocation_id: Reference | None = None


class ReleaseAddresses(Command[Released], frozen=True, kw_only=True):
    """Give several addresses back, all or none."""

    takes_long = True
    needs = Role.ALLOCATOR
    subnet: Reference
    scope: Reference | None = None
    addresses: tuple[Address, ...]


class ReleaseMatching(Command[Released], frozen=True, kw_only=True):
    """Give back all that `owner` or `identifier` holds in a subnet, or (owner) anywhere."""

    takes_long = True
    needs = Role.ALLOCATOR
    subnet: Reference | None = None
    scope: Reference | None = None
    owner: Reference | None = None
    identifier: Identifier | None = None


class AllocatePrefix(Command[PrefixAllocation], frozen=True, kw_only=True):
    """Hold a prefix of a subnet pool: the given `prefix`, or any of `length`."""

    needs = Role.ALLOCATOR
    pool: Reference
    scope: Reference | None = None
    prefix: Prefix | None = None
    length: Length | None = None
    placement: PrefixPlacement = PrefixPlacement.LOWEST
    status: Status = Status.ACTIVE
    owner: Reference | None = None
    identifier: Identifier | None = None
    description: Description = ""
    tags: tuple[Tag, ...] = ()


class ReleasePrefix(Command[Released], frozen=True, kw_only=True):
    """Give a prefix back to its subnet pool."""

    needs = Role.ALLOCATOR
    pool: Reference
    scope: Reference | None = None
    prefix: Prefix
    allocation_id: Reference | None = None


class RepairBook(Command[CheckReport], frozen=True, kw_only=True):
    """Check the book and rebuild what is derived (free extents); held addresses never change."""

    takes_long = True
    reads_all = True
    needs = Role.ADMIN


class Batch(Command[tuple[Result, ...]], frozen=True, kw_only=True):
    """Several commands in one transaction, all or none; the answers come in their order."""

    takes_long = True
    needs = Role.VIEWER
    commands: tuple[Command[Result], ...]
