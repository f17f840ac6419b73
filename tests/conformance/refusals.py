"""Requests of a book's owner that are refused, each with what the refusal says."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from allotment import Address, Prefix
from allotment.errors import (
    AllotmentError,
    AlreadyExists,
    IdentifierTaken,
    InUse,
    InvalidValue,
    NotFound,
    Overlap,
)
from allotment.model.access import Role
from allotment.model.address_range import AddressRange
from allotment.model.command import Command
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
    UpdateSubnet,
    UpdateSubnetPool,
)
from allotment.model.grants import CreateGrant, CreateToken, ListGrants, RevokeGrant, TargetKind
from allotment.model.queries import (
    GetUtilisation,
    ListAllocations,
    ListFree,
    Lookup,
    PreviewDelete,
    Search,
)
from allotment.store.pages import write_cursor

NOWHERE = str(UUID(int=7))
V4, V6 = "10.9.0.0/24", "2001:db8:9::/64"

BOOK: list[Command[Any]] = [
    CreateProject(name="j"),
    CreateAddressScope(name="s"),
    CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"), Prefix("10.1.0.0/16"))),
    CreateSubnetPool(name="six", prefixes=(Prefix("2001:db8::/48"),), default_length=64),
    CreateSubnetPool(
        name="c", parent="p", prefixes=(Prefix("10.0.16.0/24"), Prefix("10.0.32.0/24"))
    ),
    CreateSubnetPool(name="other", prefixes=(Prefix("10.2.0.0/16"),)),
    CreateSubnetPool(name="o", parent="other", prefixes=(Prefix("10.2.1.0/24"),)),
    CreateSubnetPool(name="apart", prefixes=(Prefix("10.4.0.0/26"), Prefix("10.5.0.0/24"))),
    CreateSubnet(name="n", prefix=Prefix("10.3.0.0/24")),
    CreateSubnet(name="in p", prefix=Prefix("10.1.0.0/24")),
    AllocateAddress(subnet="n", address=Address("10.3.0.9"), identifier="vm"),
    AllocateAddress(subnet="n", address=Address("10.3.0.10"), identifier="vm2"),
    AllocatePrefix(pool="p", prefix=Prefix("10.0.1.0/24"), identifier="net"),
    AllocatePrefix(pool="other", prefix=Prefix("10.2.0.0/28"), identifier="net"),
    AllocatePrefix(pool="o", prefix=Prefix("10.2.1.0/28"), identifier="net"),
    CreateToken(name="t"),
    CreateGrant(actor="token:t", role=Role.VIEWER, target=TargetKind.PROJECT, reference="j"),
]


class Refusal(NamedTuple):
    """A request, and the error it is answered with: its kind and some of its facts."""

    claim: str
    request: Any
    error: type[AllotmentError]
    facts: dict[str, object]


def invalid(claim: str, request: Any, field: str, rule: str) -> Refusal:
    return Refusal(claim, request, InvalidValue, {"field": field, "rule": rule})


def missing(claim: str, request: Any, what: str, reference: str) -> Refusal:
    return Refusal(claim, request, NotFound, {"what": what, "reference": reference})


def overlap(claim: str, request: Any, prefix: str, other: str) -> Refusal:
    return Refusal(claim, request, Overlap, {"prefix": prefix, "other": other})


def taken(claim: str, request: Any, identifier: str, holder: str) -> Refusal:
    return Refusal(claim, request, IdentifierTaken, {"identifier": identifier, "holder": holder})


def pool(*prefixes: str, name: str = "new", **more: Any) -> CreateSubnetPool:
    return CreateSubnetPool(name=name, prefixes=tuple(map(Prefix, prefixes)), **more)


def subnet(prefix: str | None = None, **more: Any) -> CreateSubnet:
    return CreateSubnet(prefix=Prefix(prefix) if prefix else None, **more)


def grant(**more: Any) -> CreateGrant:
    given = {"actor": "token:t", "role": Role.ADMIN, "target": TargetKind.INSTALLATION}
    return CreateGrant(**{**given, **more})


def prefixes_of(name: str, *prefixes: str) -> UpdateSubnetPool:
    return UpdateSubnetPool(pool=name, prefixes=tuple(map(Prefix, prefixes)))


NO_PREFIX = "a subnet pool has at least one prefix"
SAID_ALREADY = "the prefix 10.1.9.0/24 says it already"
OWN_NAME = "a name that reads as a prefix must be its own prefix"
AN_ID = "it must be an allocation's id"
ONE_OF_TWO = "give either an address or a prefix"
ALONE = "the installation needs none: give the target"
A_PAGE = "take it from the `next` of a page"
IN_N, IN_P = Address("10.3.0.9"), Prefix("10.1.9.0/24")

POOLS = [
    invalid("a pool without prefixes", pool(), "prefixes", NO_PREFIX),
    invalid("both families", pool(V4, V6), "prefixes", "IPv4 and IPv6 never share a pool"),
    invalid("33 bits", pool(V4, default_length=33), "default_length", "IPv4 has 32 bits"),
    invalid(
        "33 bits from now on",
        UpdateSubnetPool(pool="p", default_length=33),
        "default_length",
        "IPv4 has 32 bits",
    ),
    invalid("the name of another prefix", pool(V4, name="10.8.0.0/24"), "name", OWN_NAME),
    overlap("half of a pool", pool("10.4.0.0/24"), "10.4.0.0/24", "pool 10.5.0.0/24"),
    invalid("to lose all prefixes", prefixes_of("p"), "prefixes", NO_PREFIX),
    invalid("to change its family", prefixes_of("p", V6), "prefixes", "the pool is IPv4"),
    overlap(
        "to grow into another pool",
        prefixes_of("p", "10.0.0.0/16", "10.1.0.0/16", "10.2.9.0/24"),
        "10.2.9.0/24",
        "pool 10.2.0.0/16",
    ),
    overlap(
        "to grow out of its parent",
        prefixes_of("c", "10.0.16.0/24", V4),
        V4,
        "the scope's root",
    ),
    Refusal(
        "to give up what is in use",
        prefixes_of("p", "10.0.0.0/16"),
        InUse,
        {"name": "10.1.0.0/16", "contents": {"prefixes (as 10.1.0.0/24)": 1}},
    ),
    taken(
        "to adopt an identifier it has",
        prefixes_of("o", "10.2.1.0/24", "10.2.0.0/24"),
        "net",
        "10.2.1.0/28",
    ),
]

SUBNETS = [
    invalid(
        "a gateway of the other family",
        subnet(V4, gateway=Address("2001:db8::1")),
        "gateway",
        "it must be an IPv4 address",
    ),
    invalid("prefix and length", subnet("10.1.9.0/24", length=24), "length", SAID_ALREADY),
    invalid(
        "neither prefix nor pool",
        subnet(length=24),
        "prefix",
        "give a prefix, or a subnet pool to carve one from",
    ),
    invalid(
        "no length at all",
        subnet(pool="p"),
        "length",
        "subnet pool p has no default: give one",
    ),
    invalid("33 bits of IPv4", subnet(pool="p", length=33), "length", "the pool is IPv4"),
    invalid("a name that lies", subnet(V4, name="10.8.0.0/24"), "name", OWN_NAME),
    invalid("a new name that lies", UpdateSubnet(subnet="n", name=V4), "name", OWN_NAME),
]

HELD = [
    invalid(
        "a prefix and its length",
        AllocatePrefix(pool="p", prefix=IN_P, length=24),
        "length",
        SAID_ALREADY,
    ),
    taken(
        "another's identifier",
        UpdateAllocation(subnet="n", address=IN_N, identifier="vm2"),
        "vm2",
        "10.3.0.10",
    ),
    *(
        invalid(f"{type(request).__name__} of no id", request, "allocation_id", AN_ID)
        for request in (
            ReleaseAddress(subnet="n", address=IN_N, allocation_id="vm"),
            ReleasePrefix(pool="p", prefix=Prefix("10.0.1.0/24"), allocation_id="net"),
            UpdateAllocation(subnet="n", address=IN_N, allocation_id="vm"),
        )
    ),
    *(
        missing(f"{type(request).__name__} nowhere", request, "subnet", NOWHERE)
        for request in (
            ReleaseAddress(subnet=NOWHERE, address=IN_N),
            ReleaseAddresses(subnet=NOWHERE, addresses=(IN_N,)),
            ReleaseMatching(subnet=NOWHERE, identifier="vm"),
        )
    ),
    *(
        invalid(claim, request, "owner", "give either an owner or an identifier")
        for claim, request in (
            ("release of whose", ReleaseMatching(subnet="n")),
            ("release of both", ReleaseMatching(subnet="n", owner="j", identifier="vm")),
        )
    ),
    invalid(
        "an identifier anywhere",
        ReleaseMatching(identifier="vm"),
        "subnet",
        "an identifier is known within its subnet: name that",
    ),
    missing(
        "an identifier nobody has",
        ReleaseMatching(subnet="n", identifier="none"),
        "allocation with identifier",
        "none",
    ),
]

GRANTS = [
    invalid("a target of the installation", grant(reference="j"), "reference", ALONE),
    invalid("a scope of the installation", grant(scope="s"), "scope", ALONE),
    invalid(
        "a scope of a project",
        grant(target=TargetKind.PROJECT, reference="j", scope="s"),
        "scope",
        "it tells pools and subnets apart, nothing else",
    ),
    invalid(
        "which pool?",
        grant(target=TargetKind.POOL),
        "reference",
        "say which subnet pool",
    ),
    *(
        invalid(
            f"the actor {actor}",
            grant(actor=actor),
            "actor",
            "write token:NAME, user:ISSUER#SUBJECT, group:NAME",
        )
        for actor in ("me", "token:")
    ),
    missing("a token there is not", grant(actor="token:x"), "token", "x"),
    invalid("what is over", grant(expires_at=1), "expires_at", "it is over already"),
    Refusal(
        "a grant twice",
        grant(role=Role.VIEWER, target=TargetKind.PROJECT, reference="j"),
        AlreadyExists,
        {"what": "grant", "name": "viewer of token:t there"},
    ),
    missing("a grant that is no id", RevokeGrant(grant="viewer"), "grant", "viewer"),
    missing("a grant there is not", RevokeGrant(grant=NOWHERE), "grant", NOWHERE),
    Refusal("a token twice", CreateToken(name="t"), AlreadyExists, {"what": "token", "name": "t"}),
]

QUESTIONS = [
    invalid("no address", Lookup(), "address", ONE_OF_TWO),
    invalid("address and prefix", Lookup(address=IN_N, prefix=IN_P), "address", ONE_OF_TWO),
    invalid(
        "range and prefix",
        ListAllocations(within=IN_P, range=AddressRange("10.3.0.9-10.3.0.10")),
        "range",
        "give either a range or within",
    ),
    *(
        invalid(f"a search from {place}", Search(text="n", cursor=cursor), "cursor", A_PAGE)
        for place, cursor in ((one, write_cursor([one])) for one in (-1, 5001))
    ),
    invalid("a search for a blank", Search(text=" "), "text", "say what to look for"),
    invalid(
        "use of racks",
        GetUtilisation(kind="rack"),
        "kind",
        "it is one of subnet, pool, scope",
    ),
    invalid(
        "use of a rack",
        GetUtilisation(kind="rack", containers=("n",)),
        "kind",
        "it is one of subnet, pool, scope",
    ),
    invalid(
        "a preview of two",
        PreviewDelete(pool="p", subnet="n"),
        "subnet",
        "name a subnet or a subnet pool, not both",
    ),
    invalid(
        "a preview of nothing",
        PreviewDelete(),
        "scope",
        "name an address scope, a subnet pool or a subnet",
    ),
    invalid("33 bits free", ListFree(container="p", length=33), "length", "IPv4 has 32 bits"),
    missing(
        "use of no pool",
        GetUtilisation(kind="pool", containers=("n",)),
        "subnet, subnet pool or scope",
        "n",
    ),
    invalid("grants on a j of no kind", ListGrants(reference="j"), "reference", ALONE),
    invalid("grants of no kind in a scope", ListGrants(scope="s"), "scope", ALONE),
    invalid(
        "grants on some pool of a scope",
        ListGrants(target=TargetKind.POOL, scope="s"),
        "reference",
        "say which subnet pool",
    ),
]

REFUSALS = [
    pytest.param(one, id=f"{group}: {one.claim}")
    for group, refusals in {
        "pools": POOLS, "subnets": SUBNETS, "held": HELD, "grants": GRANTS, "asked": QUESTIONS,
    }.items()
    for one in refusals
]  # fmt: skip
