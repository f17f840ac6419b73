"""Every question to the book as a value: a frozen struct whose type parameter is its answer.

Invariant: a listing is a keyset page, in a total order that names no offset; filters that are
not named here do not exist.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec

from allotment.model.access import Role
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.limits import PAGE_SIZE_MAX, Bounds
from allotment.model.mac import Mac
from allotment.model.names import Hostname, Identifier, Reference, Tag
from allotment.model.prefix import Prefix
from allotment.model.results import (
    AddressScope,
    Allocation,
    BookStatus,
    CheckReport,
    Deleted,
    Found,
    FreeRange,
    Match,
    Page,
    PrefixAllocation,
    PrefixNode,
    Project,
    Status,
    Subnet,
    SubnetPool,
    Utilisation,
)

R = TypeVar("R", covariant=True)
PageSize = Annotated[int, Bounds(1, PAGE_SIZE_MAX)]
Length = Annotated[int, Bounds(0, 128)]


class Query(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="ask",
    tag=True,
):
    """A question; it changes nothing and sees one snapshot."""

    needs: ClassVar[Role] = Role.VIEWER
    takes_long: ClassVar[bool] = False
    """Whether its work grows with the book, so that it may take minutes."""
    reads_all: ClassVar[bool] = False
    """Whether it reads the whole book, so that it may take hours."""
    sealed: ClassVar[bool] = False
    """Whether it sees only what is sealed of the log, so that this is done up to now before."""


class GetProject(Query[Project], frozen=True, kw_only=True):
    """One project, by id or name."""

    project: Reference


class ListProjects(Query[Page[Project]], frozen=True, kw_only=True):
    """Projects by name."""

    limit: PageSize = 100
    cursor: str | None = None


class GetAddressScope(Query[AddressScope], frozen=True, kw_only=True):
    """One address scope, by id or name."""

    scope: Reference


class ListAddressScopes(Query[Page[AddressScope]], frozen=True, kw_only=True):
    """Address scopes by name."""

    limit: PageSize = 100
    cursor: str | None = None


class GetSubnetPool(Query[SubnetPool], frozen=True, kw_only=True):
    """One subnet pool, by id, name or one of its prefixes."""

    pool: Reference
    scope: Reference | None = None


class ListSubnetPools(Query[Page[SubnetPool]], frozen=True, kw_only=True):
    """Subnet pools by id."""

    scope: Reference | None = None
    parent: Reference | None = None
    project: Reference | None = None
    tag: Tag | None = None
    limit: PageSize = 100
    cursor: str | None = None


class GetSubnet(Query[Subnet], frozen=True, kw_only=True):
    """One subnet, by id, name or prefix."""

    subnet: Reference
    scope: Reference | None = None


class ListSubnets(Query[Page[Subnet]], frozen=True, kw_only=True):
    """Subnets in the order of their prefixes; `within` keeps those inside a prefix."""

    scope: Reference | None = None
    pool: Reference | None = None
    project: Reference | None = None
    within: Prefix | None = None
    tag: Tag | None = None
    limit: PageSize = 100
    cursor: str | None = None


class GetAllocation(Query[Allocation], frozen=True, kw_only=True):
    """The allocation that holds an address of a subnet."""

    subnet: Reference
    scope: Reference | None = None
    address: Address


class ListAllocations(Query[Page[Allocation]], frozen=True, kw_only=True):
    """Held addresses in order; every filter given must hold.

    `hostname` matches from its beginning, without regard to case.
    """

    subnet: Reference | None = None
    scope: Reference | None = None
    owner: Reference | None = None
    identifier: Identifier | None = None
    hostname: Hostname | None = None
    mac: Mac | None = None
    tag: Tag | None = None
    status: Status | None = None
    within: Prefix | None = None
    range: AddressRange | None = None
    limit: PageSize = 100
    cursor: str | None = None


class ListPrefixAllocations(Query[Page[PrefixAllocation]], frozen=True, kw_only=True):
    """Prefixes held from a subnet pool, in order."""

    pool: Reference
    scope: Reference | None = None
    limit: PageSize = 100
    cursor: str | None = None


class GetUtilisation(Query[Page[Utilisation]], frozen=True, kw_only=True):
    """Exact use of the named subnets, subnet pools or scopes; of all scopes when none is named."""

    takes_long = True
    containers: tuple[Reference, ...] = ()
    scope: Reference | None = None
    kind: str | None = None
    limit: PageSize = 100
    cursor: str | None = None


class ListFree(Query[Page[FreeRange]], frozen=True, kw_only=True):
    """Free space of a subnet, subnet pool or scope as ranges, or as CIDRs.

    With `length`: the free prefixes of that length or larger, as CIDRs.
    """

    container: Reference
    scope: Reference | None = None
    length: Length | None = None
    as_prefixes: bool = False
    limit: PageSize = 100
    cursor: str | None = None


class Lookup(Query[tuple[Match, ...]], frozen=True, kw_only=True):
    """What is this address or prefix? The longest match in every scope (or the one named)."""

    address: Address | None = None
    prefix: Prefix | None = None
    scope: Reference | None = None


class Search(Query[Page[Found]], frozen=True, kw_only=True):
    """Names, hostnames, identifiers, MACs, tags, addresses and prefixes that begin with `text`."""

    text: Reference
    scope: Reference | None = None
    limit: PageSize = 100
    cursor: str | None = None


class ListTree(Query[Page[PrefixNode]], frozen=True, kw_only=True):
    """All prefixes of the scopes, parents before children."""

    scope: Reference | None = None
    limit: PageSize = 100
    cursor: str | None = None


class PreviewDelete(Query[Deleted], frozen=True, kw_only=True):
    """What deleting a subnet, a subnet pool or, when neither is named, the scope would remove."""

    takes_long = True
    scope: Reference | None = None
    pool: Reference | None = None
    subnet: Reference | None = None


class CheckBook(Query[CheckReport], frozen=True, kw_only=True):
    """Prove the book consistent, or name what is not (RELIABILITY: S1-S5, S13)."""

    takes_long = True
    reads_all = True
    needs = Role.ADMIN


class GetStatus(Query[BookStatus], frozen=True, kw_only=True):
    """Which book this is and how much it holds."""

    takes_long = True
