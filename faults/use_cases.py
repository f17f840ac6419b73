"""Every use case there is, on a book that has something of everything.

Invariant: a command or query of the product that is not tried here fails the campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from allotment.bootstrap import local_owner
from allotment.desk import LocalDesk
from allotment.model import commands as c
from allotment.model import events as e
from allotment.model import grants as g
from allotment.model import history as h
from allotment.model import queries as q
from allotment.model.access import Role
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix
from allotment.model.results import AddressPlacement, PrefixPlacement

ME = local_owner()
Act = Callable[[LocalDesk, str | None], Any]  # Any: whatever is answered


class UseCase(NamedTuple):
    """Something that is asked of a desk, with an idempotency key or without."""

    name: str
    act: Act
    keyed: bool
    writes: bool
    together: bool = False


class Furnished(NamedTuple):
    """A book, and the ids in it that some requests need."""

    net: str
    grant: str
    token: str
    net_allocation: str


def furnish(desk: LocalDesk) -> Furnished:
    """Enter something of everything."""

    def do(command: Any) -> Any:  # Any: whatever it answers
        return desk.do(command, ME)

    for name in ("own", "idle"):
        do(c.CreateProject(name=name))
    do(g.SetQuota(project="own", addresses=1000, prefixes=100))
    for name in ("s", "spare"):
        do(c.CreateAddressScope(name=name))
    do(c.CreateSubnetPool(name="pool", scope="s", prefixes=(Prefix("10.0.0.0/8"),)))
    do(c.CreateSubnetPool(name="small", scope="s", prefixes=(Prefix("172.16.0.0/24"),)))
    do(c.CreateSubnetPool(name="spared", scope="spare", prefixes=(Prefix("10.0.0.0/8"),)))
    net = do(
        c.CreateSubnet(
            scope="s", pool="pool", prefix=Prefix("10.1.0.0/24"), name="net", tags=("blue",)
        )
    )
    do(
        c.CreateSubnet(
            scope="s",
            prefix=Prefix("10.2.0.0/28"),
            name="rest",
            placement=AddressPlacement.LEAST_RECENTLY_USED,
            quarantine_seconds=60,
        )
    )
    do(c.CreateSubnet(scope="s", prefix=Prefix("2001:db8::/64"), name="six"))
    do(c.CreateSubnet(scope="s", prefix=Prefix("10.3.0.0/28"), name="idle"))
    do(c.CreateSubnet(scope="spare", prefix=Prefix("10.4.0.0/28"), name="gone"))
    held = do(
        c.AllocateAddress(
            subnet="net", address=Address("10.1.0.9"), owner="own", identifier="nine", tags=("red",)
        )
    )
    for last in (20, 21, 22, 24):
        do(c.AllocateAddress(subnet="net", address=Address(f"10.1.0.{last}"), owner="own"))
    do(c.AllocateAddress(subnet="gone"))
    do(c.AllocatePrefix(pool="small", length=28, owner="own", identifier="block"))
    token = do(g.CreateToken(name="robot", project="own"))
    grant = do(
        g.CreateGrant(
            actor="token:robot",
            role=Role.OPERATOR,
            target=g.TargetKind.SUBNET,
            reference="net",
            scope="s",
        )
    )
    do(c.AllocateAddress(subnet="idle", idempotency_key="an-old-key"))
    do(c.ReleaseAddress(subnet="idle", address=Address("10.3.0.2")))
    return Furnished(str(net.id), str(grant.id), token.secret.reveal(), str(held.id))


def _changes(ids: Furnished) -> Iterator[tuple[str, Any]]:  # Any: a command of any kind
    nine = Address("10.1.0.9")
    some = tuple(Address(f"10.1.0.{last}") for last in (20, 22, 24))
    ranges = (AddressRange("10.1.0.2-10.1.0.9"), AddressRange("10.1.0.100-10.1.0.200"))
    outer, inner = (Prefix("10.0.0.0/8"),), (Prefix("10.5.0.0/16"),)
    yield "", c.CreateProject(name="new")
    yield "", c.UpdateProject(project="own", name="renamed")
    yield "", c.DeleteProject(project="idle")
    yield "", c.CreateAddressScope(name="new", project="own")
    yield "", c.UpdateAddressScope(scope="s", description="said")
    yield "whole", c.DeleteAddressScope(scope="spare", cascade=True)
    yield "", c.CreateSubnetPool(name="new", scope="s", prefixes=inner, tags=("a", "b"))
    yield (
        "",
        c.UpdateSubnetPool(
            pool="pool", scope="s", prefixes=(*outer, Prefix("11.0.0.0/8")), name="wider"
        ),
    )
    yield "whole", c.DeleteSubnetPool(pool="small", scope="s", cascade=True)
    yield "named", c.CreateSubnet(scope="s", prefix=Prefix("10.6.0.0/24"), name="new")
    yield "carved", c.CreateSubnet(scope="s", pool="pool", length=26, project="own")
    yield "", c.UpdateSubnet(subnet="net", scope="s", name="renamed", project="own")
    yield "whole", c.DeleteSubnet(subnet="net", scope="s", cascade=True)
    yield "", c.UpdateAllocationPools(subnet="net", scope="s", ranges=ranges)
    yield "plain", c.AllocateAddress(subnet=ids.net, hostname="host")
    yield "by name", c.AllocateAddress(subnet="net", scope="s", hostname="host")
    yield "named", c.AllocateAddress(subnet="net", address=Address("10.1.0.77"), tags=("x", "y"))
    yield "identified", c.AllocateAddress(subnet="net", identifier="new", owner="own")
    yield "identified before", c.AllocateAddress(subnet="net", identifier="nine", owner="own")
    yield "oldest", c.AllocateAddress(subnet="rest")
    yield "next", c.AllocateAddress(subnet="rest", method=c.Method.NEXT)
    yield (
        "from the interface",
        c.AllocateAddress(subnet="six", method=c.Method.EUI_64, mac=Mac("02:00:00:00:00:01")),
    )
    yield (
        "stable",
        c.AllocateAddress(subnet="six", method=c.Method.STABLE_PRIVATE, interface="eth0"),
    )
    yield "of several", c.AllocateAddress(subnet="idle", fallbacks=("net",))
    yield "spread", c.AllocateAddresses(subnet="net", count=30, tags=("many",))
    yield "in a run", c.AllocateAddresses(subnet="net", count=30, contiguous=True, owner="own")
    yield "", c.UpdateAllocation(subnet="net", address=nine, hostname="said", tags=("green",))
    yield "of no holder", c.UpdateAllocation(subnet="net", address=nine, description="said")
    yield "", c.ReleaseAddress(subnet="net", address=nine)
    yield "by id", c.ReleaseAddress(subnet=ids.net, address=nine, allocation_id=ids.net_allocation)
    yield "", c.ReleaseAddresses(subnet="net", addresses=some)
    yield "", c.ReleaseMatching(owner="own")
    yield "any", c.AllocatePrefix(pool="pool", length=20, owner="own")
    yield "sparse", c.AllocatePrefix(pool="pool", length=20, placement=PrefixPlacement.SPARSE)
    yield "named", c.AllocatePrefix(pool="small", prefix=Prefix("172.16.0.64/28"))
    yield "", c.ReleasePrefix(pool="small", prefix=Prefix("172.16.0.0/28"))
    yield "of all", h.ForgetHistory(before=1 << 60)
    yield "of a scope", h.ForgetHistory(before=1 << 60, scope="s")
    yield "", c.RepairBook()
    yield (
        "",
        c.Batch(
            commands=(
                c.CreateSubnet(scope="s", prefix=Prefix("10.7.0.0/24"), name="batched"),
                c.AllocateAddress(subnet="batched"),
                c.AllocateAddresses(subnet="batched", count=5),
                c.ReleaseAddress(subnet="net", address=nine),
            )
        ),
    )
    yield "", g.CreateToken(name="new", project="own")
    yield "", g.RevokeToken(token="robot")
    yield (
        "",
        g.CreateGrant(
            actor="token:robot", role=Role.VIEWER, target=g.TargetKind.SCOPE, reference="s"
        ),
    )
    yield "", g.RevokeGrant(grant=ids.grant)
    yield "", g.SetQuota(project="idle", addresses=10)
    yield "", e.SealAudit()
    yield "of nothing", e.ResolveOperation(key="a-new-key")
    yield "of something", e.ResolveOperation(key="an-old-key")


def _questions(ids: Furnished) -> Iterator[tuple[str, Any]]:  # Any: a query of any kind
    nine = Address("10.1.0.9")
    yield "", q.GetProject(project="own")
    yield "", q.ListProjects()
    yield "", q.GetAddressScope(scope="s")
    yield "", q.ListAddressScopes()
    yield "", q.GetSubnetPool(pool="pool", scope="s")
    yield "", q.ListSubnetPools()
    yield "", q.GetSubnet(subnet="net", scope="s")
    yield "", q.ListSubnets()
    yield "", q.GetAllocation(subnet="net", address=nine)
    yield "", q.ListAllocations(owner="own")
    yield "", q.ListPrefixAllocations(pool="small", scope="s")
    yield "of all", q.GetUtilisation()
    yield "of one", q.GetUtilisation(containers=(ids.net,))
    yield "", q.ListFree(container=ids.net)
    yield "", q.Lookup(address=nine)
    yield "", h.ListHistory(address=nine)
    yield "then", h.ListHistory(address=Address("10.3.0.2"), scope="s", at=1 << 60)
    yield "", q.Search(text="n")
    yield "", q.ListTree()
    yield "", q.PreviewDelete(subnet=ids.net)
    yield "", q.CheckBook()
    yield "", q.GetStatus()
    yield "", e.ListEvents()
    yield "", e.ListAudit()
    yield "", e.VerifyAudit()
    yield "", g.WhoAmI()
    yield "", g.GetToken(token="robot")
    yield "", g.ListTokens()
    yield "", g.GetGrant(grant=ids.grant)
    yield "", g.ListGrants()
    yield "", g.GetQuota(project="own")


def every(ids: Furnished) -> list[UseCase]:
    """All of them; commands that take a key are asked with one and without."""
    found: list[UseCase] = []
    for label, command in _changes(ids):
        name = f"{type(command).__name__} {label}".strip()
        hot = command.together
        found.append(UseCase(name, _doing(command), False, True, hot))
        if command.takes_key and command.journaled:
            found.append(UseCase(f"{name}, keyed", _doing(command), True, True, hot))
    for label, query in _questions(ids):
        name = f"{type(query).__name__} {label}".strip()
        found.append(UseCase(name, _asking(query), False, False))
    authenticating = UseCase(
        "authenticate", lambda desk, _: desk.authenticate(ids.token), False, False
    )
    forgetting = UseCase("forget answers", lambda desk, _: desk.forget_answers(), False, True)
    return [*found, authenticating, forgetting]


def missing(ids: Furnished) -> list[str]:
    """What the product can be asked, and nobody asks here."""
    tried = {type(asked) for _, asked in (*_changes(ids), *_questions(ids))}
    return sorted(
        kind.__name__
        for root in (c.Command, q.Query)
        for kind in root.__subclasses__()
        if kind.__module__.startswith("allotment.") and kind not in tried
    )


def _doing(command: Any) -> Act:  # Any: a command of any kind
    from msgspec.structs import replace

    def act(desk: LocalDesk, key: str | None) -> Any:
        return desk.do(command if key is None else replace(command, idempotency_key=key), ME)

    return act


def _asking(query: Any) -> Act:  # Any: a query of any kind
    return lambda desk, _: desk.ask(query, ME)
