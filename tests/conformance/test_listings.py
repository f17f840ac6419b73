"""What filters keep, what pages add up to, and what a preview tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from allotment import Address, AddressRange, LocalDesk, Prefix, local_owner, open_book
from allotment.model.access import Actor, Role
from allotment.model.command import Command
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteAddressScope,
    DeleteSubnet,
    DeleteSubnetPool,
    ReleaseAddress,
)
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    GetGrant,
    GetQuota,
    ListGrants,
    ListTokens,
    RevokeToken,
    TargetKind,
    WhoAmI,
)
from allotment.model.queries import (
    GetAddressScope,
    GetUtilisation,
    ListAddressScopes,
    ListFree,
    ListPrefixAllocations,
    ListProjects,
    ListSubnetPools,
    ListSubnets,
    PreviewDelete,
    Search,
)
from conformance.dumps import Dumper

ME = local_owner()


def granted(role: Role, target: TargetKind, reference: str | None = None) -> CreateGrant:
    scope = "blue" if target in (TargetKind.POOL, TargetKind.SUBNET) else None
    return CreateGrant(actor="token:t", role=role, target=target, reference=reference, scope=scope)


def in_scope(scope: str) -> list[Command[Any]]:
    """A pool `p` around a pool `c` (of shop, tagged) and a subnet `n` of it, and a root subnet."""
    edge = AddressRange("10.9.0.2-10.9.0.4")
    return [
        CreateAddressScope(name=scope),
        CreateSubnetPool(name="p", scope=scope, prefixes=(Prefix("10.0.0.0/16"),)),
        CreateSubnetPool(
            name="c",
            scope=scope,
            parent="p",
            prefixes=(Prefix("10.0.0.0/24"),),
            project="shop",
            tags=("lab",),
        ),
        CreateSubnet(
            name="n", scope=scope, pool="c", length=28, project="shop", tags=("lab", "wet")
        ),
        CreateSubnet(
            name="root",
            scope=scope,
            prefix=Prefix("10.9.0.0/24"),
            ranges=(edge,),
            quarantine_seconds=3600,
        ),
        AllocateAddresses(subnet="n", scope=scope, count=2, owner="shop", tags=("name",)),
        AllocatePrefix(pool="c", scope=scope, length=28, owner="shop"),
        AllocatePrefix(pool="p", scope=scope, length=24),
        AllocateAddress(subnet="root", scope=scope, address=Address("10.9.0.3")),
        ReleaseAddress(subnet="root", scope=scope, address=Address("10.9.0.3")),
    ]


def filled(desk: LocalDesk) -> LocalDesk:
    for command in (
        CreateProject(name="idle"),
        CreateProject(name="shop"),
        *in_scope("blue"),
        *in_scope("red"),
        *(CreateToken(name=name) for name in ("t", "u", "gone")),
        RevokeToken(token="gone"),
        granted(Role.VIEWER, TargetKind.INSTALLATION),
        granted(Role.VIEWER, TargetKind.PROJECT, "idle"),
        granted(Role.OPERATOR, TargetKind.PROJECT, "shop"),
        granted(Role.ALLOCATOR, TargetKind.POOL, "p"),
        granted(Role.ALLOCATOR, TargetKind.SUBNET, "n"),
        structs.replace(granted(Role.ADMIN, TargetKind.SCOPE, "red"), actor="group:g"),
    ):
        desk.do(command, ME)
    return desk


@pytest.fixture(scope="module")
def book(module_url: str) -> Iterator[LocalDesk]:
    """Two scopes of the same contents; tokens and grants. One for all who only ask."""
    with open_book(module_url, create=True) as desk:
        yield filled(desk)


def all_of(desk: LocalDesk, query: Any, limit: int) -> list[Any]:
    """The items of all pages of a listing (Any: whatever it lists)."""
    items: list[Any] = []
    cursor = None
    while True:
        page = desk.ask(structs.replace(query, limit=limit, cursor=cursor), ME)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


def shown(one: Any) -> str:
    """What tells an item from others (Any: a resource)."""
    if hasattr(one, "role"):
        return f"{one.actor} {one.role} {one.target_name}"
    if hasattr(one, "range"):
        return str(one.range)
    where = f"{one.scope}/" if hasattr(one, "scope") else ""
    return where + str(getattr(one, "name", None) or one.prefix)


GRANTS = {
    "group:g admin red",
    "token:t viewer installation",
    "token:t viewer idle",
    "token:t operator shop",
    "token:t allocator p",
    "token:t allocator n",
}
LISTED: list[tuple[Any, set[str]]] = [
    (ListProjects(), {"idle", "shop"}),
    (ListAddressScopes(), {"blue", "red"}),
    (ListSubnetPools(), {"blue/c", "blue/p", "red/c", "red/p"}),
    (ListSubnetPools(scope="red"), {"red/c", "red/p"}),
    (ListSubnetPools(parent="p", scope="red"), {"red/c"}),
    (ListSubnetPools(project="shop"), {"blue/c", "red/c"}),
    (ListSubnetPools(tag="lab", scope="blue"), {"blue/c"}),
    (ListSubnetPools(tag="wet"), set()),
    (ListSubnets(), {"blue/n", "red/n", "blue/root", "red/root"}),
    (ListSubnets(scope="red"), {"red/n", "red/root"}),
    (ListSubnets(pool="c", scope="blue"), {"blue/n"}),
    (ListSubnets(pool="p", scope="blue"), set()),
    (ListSubnets(project="shop"), {"blue/n", "red/n"}),
    (ListSubnets(tag="wet", within=Prefix("10.0.0.0/8")), {"blue/n", "red/n"}),
    (ListSubnets(within=Prefix("10.9.0.0/25")), set()),
    (ListPrefixAllocations(pool="p", scope="red"), {"10.0.1.0/24"}),
    (ListTokens(), {"t", "u", "gone"}),
    (ListTokens(live=True), {"t", "u"}),
    (ListGrants(), GRANTS),
    (ListGrants(actor="group:g"), {"group:g admin red"}),
    (ListGrants(target=TargetKind.INSTALLATION), {"token:t viewer installation"}),
    (ListGrants(target=TargetKind.PROJECT), {"token:t viewer idle", "token:t operator shop"}),
    (ListGrants(target=TargetKind.PROJECT, reference="idle"), {"token:t viewer idle"}),
    (ListGrants(target=TargetKind.POOL, reference="p", scope="blue"), {"token:t allocator p"}),
    (ListGrants(target=TargetKind.SUBNET, reference="n", scope="red"), set()),
    (Search(text="n", scope="blue"), {"blue/n", "blue/10.0.0.2", "blue/10.0.0.3"}),
    (Search(text="root"), {"blue/root", "red/root"}),
    (GetUtilisation(), {"blue/blue", "red/red"}),
    (GetUtilisation(scope="red"), {"red/red"}),
    (GetUtilisation(kind="pool"), {"blue/c", "blue/p", "red/c", "red/p"}),
    (GetUtilisation(kind="subnet", scope="blue"), {"blue/n", "blue/root"}),
    (ListFree(container="root", scope="red"), {"10.9.0.2-10.9.0.2", "10.9.0.4-10.9.0.4"}),
]


@pytest.mark.parametrize(("query", "expected"), LISTED)
def test_a_listing_keeps_what_its_filters_say_on_pages_of_any_size(
    book: LocalDesk, query: Any, expected: set[str]
) -> None:
    whole = all_of(book, query, 1000)
    assert {shown(one) for one in whole} == expected
    assert len(whole) == len(expected)
    for limit in (1, 2):
        assert all_of(book, query, limit) == whole


@pytest.mark.parametrize(
    ("kind", "reference", "scope"), [("pool", "p", "blue"), ("scope", "red", None)]
)
def test_use_is_told_of_the_kind_that_is_asked_for(
    book: LocalDesk, kind: str, reference: str, scope: str | None
) -> None:
    found = book.ask(GetUtilisation(containers=(reference,), kind=kind, scope=scope), ME).items
    assert [(one.kind, one.name) for one in found] == [(kind, reference)]


def test_what_rests_is_not_free(book: LocalDesk) -> None:
    (use,) = book.ask(GetUtilisation(containers=("root",), scope="red"), ME).items
    assert (use.free, use.quarantined, use.held) == (2, 1, 0)


def test_one_is_found_as_it_is_listed(book: LocalDesk) -> None:
    for scope in book.ask(ListAddressScopes(), ME).items:
        for reference in (scope.name, str(scope.id)):
            assert book.ask(GetAddressScope(scope=reference), ME) == scope
    for grant in book.ask(ListGrants(), ME).items:
        assert book.ask(GetGrant(grant=str(grant.id)), ME) == grant


def test_a_project_without_a_limit_is_told_what_it_owns(book: LocalDesk) -> None:
    for name, owned in (("shop", (4, 4)), ("idle", (0, 0))):
        told = book.ask(GetQuota(project=name), ME)
        assert (told.addresses, told.prefixes) == (None, None)
        assert (told.addresses_used, told.prefixes_used) == owned


def test_everybody_is_told_who_they_are(book: LocalDesk) -> None:
    owner = book.ask(WhoAmI(), ME)
    assert (owner.actor, owner.token, owner.grants) == (ME.name, None, ())
    token = book.ask(WhoAmI(), Actor(name="token:t"))
    assert token.token is not None
    assert token.token.name == "t"
    assert {shown(one) for one in token.grants} == {one for one in GRANTS if "token:t" in one}


PREVIEWS: list[tuple[PreviewDelete, Command[Any], dict[str, int]]] = [
    (
        PreviewDelete(subnet="n", scope="red"),
        DeleteSubnet(subnet="n", scope="red", cascade=True),
        {"allocations": 2, "subnets": 1},
    ),
    (
        PreviewDelete(pool="p", scope="red"),
        DeleteSubnetPool(pool="p", scope="red", cascade=True),
        {"allocations": 2, "subnets": 1, "prefix allocations": 2, "subnet pools": 2},
    ),
    (
        PreviewDelete(scope="red"),
        DeleteAddressScope(scope="red", cascade=True),
        {
            "allocations": 2,
            "subnets": 2,
            "prefix allocations": 2,
            "subnet pools": 2,
            "address scopes": 1,
        },
    ),
]


@pytest.mark.parametrize(
    ("preview", "command", "contents"), PREVIEWS, ids=["subnet", "pool", "scope"]
)
def test_a_preview_tells_what_a_cascade_then_removes(
    desk: LocalDesk, dump: Dumper, preview: PreviewDelete, command: Command[Any], contents: Any
) -> None:
    filled(desk)
    before = dump(desk)
    assert desk.ask(preview, ME).contents == contents
    assert dump(desk) == before
    assert desk.do(command, ME).contents == contents
    assert {shown(one) for one in desk.ask(ListSubnetPools(), ME).items} >= {"blue/c", "blue/p"}
