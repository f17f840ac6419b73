"""What is tried of every operation, on the tree of `book.plant`, and what the oracle is told of it.

Invariant: an operation that is served and has no scene here fails the matrix; a scene that was
let through is mended by the owner, so that no cell disturbs another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from access.book import Book
from access.oracle import Policy
from access.terms import ALL, Grant, Request, Thing
from allotment import Address, AddressRange, Prefix
from allotment.model import commands as c
from allotment.model import events as e
from allotment.model import grants as g
from allotment.model import history as h
from allotment.model import queries as q
from allotment.model.access import Role

Mend = Callable[[Any], object]


class Scene(NamedTuple):
    """One request, as it is asked and as the oracle is asked about it; what it takes to mend it."""

    label: str
    asked: Callable[[], Any]
    about: Request | Callable[[Policy], Request]
    mend: Mend | None = None
    shows: Callable[[Book, Policy], set[str]] | None = None  # what the answer has to tell of

    @property
    def name(self) -> str:
        operation = "" if callable(self.about) else self.about.operation
        return f"{operation} {self.label}".strip()

    def judged(self, policy: Policy) -> str:
        """What the oracle says of it."""
        return policy.judge(self.about(policy) if callable(self.about) else self.about)


def _reading(book: Book) -> Iterator[Scene]:
    ids = book.ids
    for kind, field, names in (
        (q.GetProject, "project", ("owning", "other")),
        (q.GetAddressScope, "scope", ("scope", "elsewhere")),
        (q.GetSubnetPool, "pool", ("pool", "outer", "beside")),
        (q.GetSubnet, "subnet", ("subnet", "sibling", "distant")),
        (q.ListPrefixAllocations, "pool", ("pool",)),
        (q.ListFree, "container", ("subnet", "pool", "scope")),
        (g.GetQuota, "project", ("owning",)),
        (q.PreviewDelete, "subnet", ("subnet",)),
        (q.PreviewDelete, "pool", ("pool",)),
    ):
        for name in names:
            about = Request(kind.__name__, (name,))
            yield Scene(name, lambda k=kind, f=field, n=name: k(**{f: ids[n]}), about)
    for name in ("held-None", "held-owning", "held-other"):
        asked = q.GetAllocation(subnet=ids["subnet"], address=Address(ids[f"{name} address"]))
        yield Scene(name, lambda a=asked: a, Request("GetAllocation", ("subnet", name)))
    used = q.GetUtilisation(containers=(ids["subnet"], ids["outer"]))
    yield Scene("of two", lambda: used, Request("GetUtilisation", ("subnet", "outer")))
    by_name = q.GetSubnet(subnet="subnet", scope="scope")
    yield Scene("by name", lambda: by_name, Request("GetSubnet", ("subnet",), within="scope"))
    for kind in (q.ListProjects, q.ListAddressScopes, q.ListSubnetPools, q.ListSubnets, q.ListTree):
        yield Scene("", lambda k=kind: k(), Request(kind.__name__))
    for listed in (q.ListAllocations(), q.Search(text="held"), q.GetStatus(), q.GetUtilisation()):
        yield Scene("of all", lambda a=listed: a, Request(type(listed).__name__))
    looked = q.Lookup(address=Address("10.1.0.9"))
    yield Scene("", lambda: looked, Request("Lookup"))
    held = Address(ids["held-owning address"])
    asked = h.ListHistory(address=held, at=1 << 60)
    yield Scene("then", lambda a=asked: a, Request("ListHistory"))
    asked = h.ListHistory(address=held, subnet=ids["subnet"])
    yield Scene("of a subnet", lambda a=asked: a, Request("ListHistory", ("subnet",)))
    within = q.ListSubnets(pool=ids["pool"])
    yield Scene("of a pool", lambda: within, Request("ListSubnets", ("pool",)))
    yield Scene("", g.WhoAmI, Request("WhoAmI"))
    yield Scene("", g.ListTokens, Request("ListTokens"))
    for whole in (q.CheckBook, e.ListAudit, e.VerifyAudit, e.SealAudit):
        yield Scene("", whole, Request(whole.__name__, at=(ALL,), whole=True))
    yield Scene("", e.ListEvents, Request("ListEvents"))


def _projects(book: Book) -> Iterator[Scene]:
    ids = book.ids
    yield Scene(
        "",
        lambda: c.CreateProject(name=book.fresh("made")),
        Request("CreateProject", at=(ALL,)),
    )
    described = c.UpdateProject(project="owning", description="d")
    yield Scene("", lambda: described, Request("UpdateProject", ("owning",)))
    refused = c.DeleteProject(project=ids["owning"])
    yield Scene("in use", lambda: refused, Request("DeleteProject", ("owning",)))
    doomed = c.DeleteProject(project="doomed-project")
    yield Scene(
        "empty",
        lambda: doomed,
        Request("DeleteProject", ("doomed-project",)),
        lambda _: book.project("doomed-project"),
    )
    limit = g.SetQuota(project="owning", addresses=None)
    yield Scene("", lambda: limit, Request("SetQuota", ("owning",), at=("owning", ALL)))


def _scopes(book: Book) -> Iterator[Scene]:
    ids = book.ids
    yield Scene(
        "of nobody",
        lambda: c.CreateAddressScope(name=book.fresh("s")),
        Request("CreateAddressScope", at=(ALL,)),
    )
    yield Scene(
        "of a project",
        lambda: c.CreateAddressScope(name=book.fresh("s"), project="owning"),
        Request("CreateAddressScope", ("owning",)),
    )
    described = c.UpdateAddressScope(scope="scope", description="d")
    yield Scene("", lambda: described, Request("UpdateAddressScope", ("scope",)))
    given = c.UpdateAddressScope(scope=ids["elsewhere"], project="owning")
    lifted = c.UpdateAddressScope(scope=ids["elsewhere"], project=None)
    yield Scene(
        "given",
        lambda: given,
        Request(
            "UpdateAddressScope", ("elsewhere", "owning"), whole=True, at=("elsewhere", "owning")
        ),
        lambda _: book.do(lifted),
    )
    refused = c.DeleteAddressScope(scope="scope")
    yield Scene("in use", lambda: refused, Request("DeleteAddressScope", ("scope",)))


def _pools(book: Book) -> Iterator[Scene]:
    ids = book.ids

    def nested(**more: Any) -> c.CreateSubnetPool:
        number = book.number()
        prefix = Prefix(f"10.{128 + (number >> 8)}.{number & 255}.0/24")
        return c.CreateSubnetPool(name=book.fresh("p"), prefixes=(prefix,), **more)

    def gone(made: Any) -> object:
        return book.do(c.DeleteSubnetPool(pool=str(made.id)))

    yield Scene(
        "inside", lambda: nested(parent=ids["outer"]), Request("CreateSubnetPool", ("outer",)), gone
    )
    yield Scene(
        "by prefix",
        lambda: nested(scope="scope"),
        Request("CreateSubnetPool", at=("outer",), within="scope"),
        gone,
    )
    yield Scene(
        "for a project",
        lambda: nested(parent=ids["outer"], project="owning"),
        Request("CreateSubnetPool", ("outer", "owning")),
        gone,
    )
    described = c.UpdateSubnetPool(pool=ids["pool"], tags=("t",))
    yield Scene("", lambda: described, Request("UpdateSubnetPool", ("pool",)))
    same = c.UpdateSubnetPool(pool=ids["pool"], prefixes=(Prefix("10.1.0.0/16"),))
    yield Scene("grown", lambda: same, Request("UpdateSubnetPool", ("pool",), at=("pool", "outer")))
    refused = c.DeleteSubnetPool(pool="pool", scope="scope")
    yield Scene("in use", lambda: refused, Request("DeleteSubnetPool", ("pool",), within="scope"))
    book.pool("doomed", "pool", "10.1.128.0/24")
    book.subnet("doomed-subnet", "doomed", "10.1.128.0/25")
    doomed = c.DeleteSubnetPool(pool="doomed", cascade=True)

    def again(_: object) -> None:
        book.pool("doomed", "pool", "10.1.128.0/24")
        book.subnet("doomed-subnet", "doomed", "10.1.128.0/25")

    yield Scene(
        "whole", lambda: doomed, Request("DeleteSubnetPool", ("doomed",), whole=True), again
    )


def _subnets(book: Book) -> Iterator[Scene]:
    ids = book.ids

    def gone(made: Any) -> object:
        return book.do(c.DeleteSubnet(subnet=str(made.id)))

    carved = c.CreateSubnet(pool=ids["pool"], length=29)
    yield Scene("carved", lambda: carved, Request("CreateSubnet", ("pool",)), gone)
    owned = c.CreateSubnet(pool=ids["pool"], length=29, project="owning")
    yield Scene("for a project", lambda: owned, Request("CreateSubnet", ("pool", "owning")), gone)
    placed = c.CreateSubnet(scope="scope", prefix=Prefix("10.1.200.0/24"))
    about = Request("CreateSubnet", at=("pool",), within="scope")
    yield Scene("by prefix", lambda: placed, about, gone)
    described = c.UpdateSubnet(subnet="subnet", scope="scope", tags=("t",))
    yield Scene("", lambda: described, Request("UpdateSubnet", ("subnet",), within="scope"))
    given = c.UpdateSubnet(subnet=ids["sibling"], project="other")
    lifted = c.UpdateSubnet(subnet=ids["sibling"], project=None)
    yield Scene(
        "given",
        lambda: given,
        Request("UpdateSubnet", ("sibling", "other"), whole=True),
        lambda _: book.do(lifted),
    )
    ranges = (AddressRange("10.1.16.2-10.1.16.9"),)
    pools = c.UpdateAllocationPools(subnet=ids["sibling"], ranges=ranges)
    yield Scene("", lambda: pools, Request("UpdateAllocationPools", ("sibling",)))
    refused = c.DeleteSubnet(subnet=ids["subnet"])
    yield Scene("in use", lambda: refused, Request("DeleteSubnet", ("subnet",)))
    book.subnet("doomed-leaf", "pool", "10.1.129.0/24")
    doomed = c.DeleteSubnet(subnet="doomed-leaf", cascade=True)
    yield Scene(
        "whole",
        lambda: doomed,
        Request("DeleteSubnet", ("doomed-leaf",), whole=True),
        lambda _: book.subnet("doomed-leaf", "pool", "10.1.129.0/24"),
    )


def _allocating(book: Book) -> Iterator[Scene]:
    subnet, pool = book.ids["subnet"], book.ids["pool"]

    def gone(made: Any) -> object:
        return book.do(c.ReleaseAddress(subnet=subnet, address=made.address))

    plain = c.AllocateAddress(subnet=subnet)
    yield Scene("plainly", lambda: plain, Request("AllocateAddress", ("subnet",)), gone)
    named = c.AllocateAddress(subnet="subnet", scope="scope", tags=("t",))
    about = Request("AllocateAddress", ("subnet",), within="scope")
    yield Scene("by name", lambda: named, about, gone)
    owned = c.AllocateAddress(subnet=subnet, owner="owning")
    yield Scene(
        "for a project", lambda: owned, Request("AllocateAddress", ("subnet", "owning")), gone
    )
    either = c.AllocateAddress(subnet=subnet, fallbacks=(book.ids["sibling"],))
    yield Scene("or", lambda: either, Request("AllocateAddress", ("subnet", "sibling")), gone)
    for owner in (None, "owning"):
        many = c.AllocateAddresses(subnet=subnet, count=2, contiguous=True, owner=owner)
        about = Request("AllocateAddresses", ("subnet", owner) if owner else ("subnet",))

        def released(made: Any) -> object:
            both = tuple(Address.of(4, made.ranges[0].first + n) for n in range(2))
            return book.do(c.ReleaseAddresses(subnet=subnet, addresses=both))

        yield Scene(f"for {owner}", lambda m=many: m, about, released)
        block = c.AllocatePrefix(pool=pool, length=30, owner=owner)
        about = Request("AllocatePrefix", ("pool", owner) if owner else ("pool",))
        yield Scene(
            f"for {owner}",
            lambda b=block: b,
            about,
            lambda made: book.do(c.ReleasePrefix(pool=pool, prefix=made.prefix)),
        )


def _releasing(book: Book) -> Iterator[Scene]:
    ids = book.ids
    subnet, pool = ids["subnet"], ids["pool"]
    for owner in (None, "owning", "other"):
        name = f"held-{owner}"
        at = Address(ids[f"{name} address"])

        def again(_: object, n: str = name, o: str | None = owner, a: Address = at) -> None:
            book.address(n, "subnet", o, address=a)

        for one in (
            c.ReleaseAddress(subnet=subnet, address=at),
            c.ReleaseAddresses(subnet=subnet, addresses=(at,)),
            c.ReleaseMatching(subnet=subnet, identifier=name),
        ):
            about = Request(type(one).__name__, ("subnet",), at=(), held=(name,))
            yield Scene(name, lambda o=one: o, about, again)
        told = c.UpdateAllocation(subnet=subnet, address=at, description="d")
        about = Request("UpdateAllocation", ("subnet",), at=(), held=(name,))
        yield Scene(name, lambda t=told: t, about)
        moved = c.UpdateAllocation(subnet=subnet, address=at, owner="owning")
        about = Request("UpdateAllocation", ("subnet", "owning"), at=("owning",), held=(name,))
        back = c.UpdateAllocation(subnet=subnet, address=at, owner=owner)
        yield Scene(f"{name} given", lambda m=moved: m, about, lambda _, b=back: book.do(b))
        freed = c.UpdateAllocation(subnet=subnet, address=at, owner=None)
        about = Request("UpdateAllocation", ("subnet",), at=(), held=(name,), lifts=True)
        yield Scene(f"{name} lifted", lambda f=freed: f, about, lambda _, b=back: book.do(b))
    for owner in (None, "other"):
        name = f"block-{owner}"
        one = c.ReleasePrefix(pool=pool, prefix=Prefix(ids[f"{name} prefix"]))
        about = Request("ReleasePrefix", ("pool",), at=(), held=(name,))

        def held(_: object, n: str = name, o: str | None = owner) -> None:
            prefix = Prefix(ids[f"{n} prefix"])
            made = book.do(c.AllocatePrefix(pool=pool, prefix=prefix, owner=o, identifier=n))
            ids[n] = str(made.id)

        yield Scene(name, lambda o=one: o, about, held)
    mine = c.ReleaseMatching(owner="other")

    def restored(made: Any) -> None:
        if not made.count:
            return
        book.address("held-other", "subnet", "other", address=Address(ids["held-other address"]))

    yield Scene(
        "of an owner",
        lambda: mine,
        Request("ReleaseMatching", ("other",), held=("held-other",), must=False),
        restored,
    )


def _granting(book: Book) -> Iterator[Scene]:
    ids = book.ids
    book.token("victim")
    for on, kind in ((ALL, "installation"), ("owning", "project"), ("pool", "pool")):
        for deny in (False, True):
            asked = g.CreateGrant(
                actor="token:victim",
                role=Role.VIEWER,
                deny=deny,
                target=g.TargetKind(kind),
                reference=None if on == ALL else ids[on],
            )
            about = Request(
                "CreateGrant",
                () if on == ALL else (on,),
                at=(on, ALL) if deny else (on,),
                whole=not deny,
                until=float("inf"),
            )
            yield Scene(
                f"{'deny ' * deny}{on}",
                lambda a=asked: a,
                about,
                lambda made: book.do(g.RevokeGrant(grant=str(made.id))),
            )
    for deny, name in ((False, "a grant"), (True, "a denial")):

        def given(_: object = None, d: bool = deny, n: str = name) -> None:
            ids[n] = book.grant("token:victim", Grant("operator", "pool", deny=d))
            book.tree[n] = Thing("denial" if d else "grant", "pool")

        given()
        asked = lambda n=name: g.GetGrant(grant=ids[n])  # noqa: E731
        yield Scene(name, asked, Request("GetGrant", (name,), at=()))
        asked = lambda n=name: g.RevokeGrant(grant=ids[n])  # noqa: E731
        at = () if deny else ("pool",)
        about = Request("RevokeGrant", (name,), at=at, whole=not deny)
        yield Scene(name, asked, about, given)
    yield Scene("", g.ListGrants, Request("ListGrants"))
    of_pool = g.ListGrants(target=g.TargetKind.POOL, reference=ids["pool"])
    yield Scene("of a pool", lambda: of_pool, Request("ListGrants", ("pool",), at=()))


def _tokens(book: Book) -> Iterator[Scene]:
    yield Scene("", lambda: g.CreateToken(name=book.fresh("t")), Request("CreateToken", at=()))
    yield Scene(
        "of a project",
        lambda: g.CreateToken(name=book.fresh("t"), project="owning"),
        Request("CreateToken", ("owning",)),
    )
    for owner in (None, "owning"):
        actor = f"token:{owner}"

        def made(_: object = None, o: str | None = owner, a: str = actor) -> None:
            who = book.token(book.fresh(f"mortal-{o}"), o)
            book.tree[a], book.ids[a] = book.tree[who.name], book.ids[who.name]

        made()
        shown = lambda a=actor: g.GetToken(token=book.ids[a])  # noqa: E731
        yield Scene(actor, shown, Request("GetToken", (actor,)))
        ended = lambda a=actor: g.RevokeToken(token=book.ids[a])  # noqa: E731
        yield Scene(actor, ended, Request("RevokeToken", (actor,)), made)


def _others(book: Book) -> Iterator[Scene]:
    yield Scene("", c.RepairBook, Request("RepairBook", at=(ALL,), whole=True))
    forgotten = h.ForgetHistory(before=86_400_000)
    yield Scene("", lambda: forgotten, Request("ForgetHistory", at=(ALL,), whole=True))
    of_scope = h.ForgetHistory(before=86_400_000, scope="scope")
    yield Scene("of a scope", lambda: of_scope, Request("ForgetHistory", ("scope",), whole=True))
    yield Scene("", lambda: e.ResolveOperation(key=book.fresh("k")), Request("ResolveOperation"))
    part = c.UpdateSubnet(subnet=book.ids["subnet"], tags=("t",))
    batch = c.Batch(commands=(part,))
    yield Scene("of a part", lambda: batch, Request("UpdateSubnet", ("subnet",), batched=True))


def scenes(book: Book) -> list[Scene]:
    """All of them."""
    rooms = (
        _reading,
        _projects,
        _scopes,
        _pools,
        _subnets,
        _allocating,
        _releasing,
        _granting,
        _tokens,
        _others,
    )
    return [scene for room in rooms for scene in room(book)]
