"""What the desk answers: frozen values with stable field names, the same at every door.

Invariant: counts are exact integers of any size; ranges are inclusive at both ends; times are
UTC milliseconds since 1970-01-01.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix

T = TypeVar("T")


class Status(StrEnum):
    """Why an address is held: in use, or set aside."""

    ACTIVE = "active"
    RESERVED = "reserved"


class AddressPlacement(StrEnum):
    """How automatic allocation chooses an address inside the allocation pools."""

    LOWEST = "lowest"
    RANDOM = "random"
    LEAST_RECENTLY_USED = "least-recently-used"


class PrefixPlacement(StrEnum):
    """How a prefix is chosen inside a subnet pool (sparse: RFC 3531, leaves room to grow)."""

    LOWEST = "lowest"
    BEST_FIT = "best-fit"
    SPARSE = "sparse"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything the desk answers."""


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a listing; `next` is the cursor of the following page, None at the end."""

    items: tuple[T, ...]
    next: str | None = None


class Project(Result, frozen=True, kw_only=True):
    """The tenant that owns things."""

    id: UUID
    name: str
    description: str
    created_at: int
    version: int


class AddressScope(Result, frozen=True, kw_only=True):
    """A domain in which addresses are unique; elsewhere: VRF, routing domain."""

    id: UUID
    name: str
    project_id: UUID | None
    project: str | None
    description: str
    created_at: int
    version: int


class SubnetPool(Result, frozen=True, kw_only=True):
    """A container of prefixes from which subnets, child pools and prefixes are carved."""

    id: UUID
    name: str
    scope_id: UUID
    scope: str
    parent_id: UUID | None
    family: int
    prefixes: tuple[Prefix, ...]
    default_length: int | None
    project_id: UUID | None
    project: str | None
    description: str
    tags: tuple[str, ...]
    created_at: int
    version: int


class Subnet(Result, frozen=True, kw_only=True):
    """A prefix whose single addresses are handed out.

    `pools` are its allocation pools, canonical: sorted, disjoint, never adjacent.
    """

    id: UUID
    name: str | None
    scope_id: UUID
    scope: str
    pool_id: UUID | None
    family: int
    prefix: Prefix
    gateway: Address | None
    pools: tuple[AddressRange, ...]
    placement: AddressPlacement
    quarantine_seconds: int
    project_id: UUID | None
    project: str | None
    description: str
    tags: tuple[str, ...]
    created_at: int
    version: int


class Allocation(Result, frozen=True, kw_only=True):
    """One address held by an owner; `id` guards a release against the next owner's address."""

    id: UUID
    subnet_id: UUID
    address: Address
    status: Status
    project_id: UUID | None
    project: str | None
    identifier: str | None
    hostname: str | None
    mac: Mac | None
    description: str
    tags: tuple[str, ...]
    created_at: int


class AllocatedAddresses(Result, frozen=True, kw_only=True):
    """Many addresses allocated at once, as ranges; every address got the next id after `first_id`.

    The ids run with the addresses, in the order of `ranges`.
    """

    subnet_id: UUID
    count: int
    ranges: tuple[AddressRange, ...]
    first_id: UUID
    status: Status
    created_at: int


class PrefixAllocation(Result, frozen=True, kw_only=True):
    """One prefix of a subnet pool held by an owner."""

    id: UUID
    pool_id: UUID
    prefix: Prefix
    status: Status
    project_id: UUID | None
    project: str | None
    identifier: str | None
    description: str
    tags: tuple[str, ...]
    created_at: int


class Released(Result, frozen=True, kw_only=True):
    """How many addresses or prefixes went back; `container_id` is where to, if that is one."""

    count: int
    container_id: UUID | None = None


class Deleted(Result, frozen=True, kw_only=True):
    """What a delete removed (or, in a preview, would remove), by noun.

    `container_id` is what it was directly inside of: a subnet pool or scope, if any.
    """

    contents: dict[str, int]
    container_id: UUID | None = None


class PoolsUpdated(Result, frozen=True, kw_only=True):
    """New allocation pools of a subnet, and the allocations that now stand outside them.

    `outside` is how many held addresses the removed ranges contained; they stay held.
    `outside_sample` names the first of them.
    """

    subnet: Subnet
    added: tuple[AddressRange, ...]
    removed: tuple[AddressRange, ...]
    outside: int
    outside_sample: tuple[Address, ...]


class Utilisation(Result, frozen=True, kw_only=True):
    """Exact use of one container: free + quarantined + held = pool_size.

    `size` counts every address of the prefixes; `pool_size` those inside the allocation pools (of
    a subnet pool: the same as `size`); `held` the ones held inside the pools, `held_outside` the
    ones held elsewhere in the subnet; `reserved` the held ones whose status is reserved.
    """

    kind: str
    id: UUID
    name: str
    scope: str
    prefixes: tuple[Prefix, ...]
    size: int
    pool_size: int
    free: int
    quarantined: int
    held: int
    held_outside: int
    reserved: int


class FreeRange(Result, frozen=True, kw_only=True):
    """One run of free addresses and the container it is in; `prefix` when CIDRs were asked for."""

    container_id: UUID
    container: str
    range: AddressRange
    prefix: Prefix | None
    size: int


class PrefixNode(Result, frozen=True, kw_only=True):
    """One line of a scope's tree: a prefix, what holds it, and where it hangs."""

    kind: str
    holder_id: UUID
    name: str
    prefix: Prefix
    parent_id: UUID | None
    scope: str


class Match(Result, frozen=True, kw_only=True):
    """The longest match for an address or prefix in one scope: its chain from the root down."""

    scope_id: UUID
    scope: str
    chain: tuple[PrefixNode, ...]
    allocation: Allocation | None
    state: str


class Found(Result, frozen=True, kw_only=True):
    """One search hit."""

    kind: str
    id: UUID
    name: str
    scope: str
    where: str
    matched: str
    allocation: Allocation | None = None


class Fault(Result, frozen=True, kw_only=True):
    """One broken invariant, with what it was found on."""

    rule: str
    kind: str
    id: str
    detail: str
    repairable: bool


class CheckReport(Result, frozen=True, kw_only=True):
    """The conservation audit: what was counted, and each fault found."""

    clean: bool
    scopes: int
    pools: int
    subnets: int
    allocations: int
    extents: int
    faults: tuple[Fault, ...]
    repaired: int = 0


class BookStatus(Result, frozen=True, kw_only=True):
    """What the book holds and where; `complete`: all of it, not just what the actor sees."""

    complete: bool
    version: str
    schema: str
    database: str
    projects: int
    scopes: int
    pools: int
    subnets: int
    allocations: int
