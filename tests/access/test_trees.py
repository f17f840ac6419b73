"""Random trees, random grants: what the desk shows and lets through is what the oracle says.

Invariant: a listing shows exactly what is seen, at every page size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.book import Book, Who
from access.doors import verdict_of
from access.oracle import Policy
from access.terms import Request
from access.trees import Grove
from allotment import Address, Prefix, open_book
from allotment.errors import Forbidden
from allotment.model import commands as c
from allotment.model import queries as q
from allotment.model.access import Role
from allotment.model.grants import CreateGrant, ListGrants, ListTokens, TargetKind
from allotment.model.history import ListHistory

PAGES = (1, 3, 100)
EXAMPLES = hypothesis.settings().max_examples
few = hypothesis.settings(
    max_examples=max(1, EXAMPLES // 5),
    suppress_health_check=list(hypothesis.HealthCheck),
)
fewer = hypothesis.settings(few, max_examples=max(1, EXAMPLES // 12))


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Book]:
    with open_book("sqlite://", create=True) as desk:
        yield Book(desk)


@pytest.fixture(scope="module")
def on_postgresql(postgres_server: Any) -> Iterator[Book]:
    url = postgres_server.create_database()
    with open_book(url, create=True) as desk:
        yield Book(desk)
    postgres_server.drop_database(url)


def paged(ask: Callable[[Any], Any], query: Any, limit: int) -> list[Any]:
    """Everything that a listing answers, page by page."""
    found: list[Any] = []
    cursor = None
    while True:
        page = ask(
            type(query)(
                **{
                    **{f: getattr(query, f) for f in query.__struct_fields__},
                    "limit": limit,
                    "cursor": cursor,
                }
            )
        )
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def listings(book: Book, policy: Policy) -> Iterator[tuple[Any, Callable[[Any], str], list[str]]]:
    """Every listing: the query, how a line of it is told, and what must be told."""

    def ids(*kinds: str) -> list[str]:
        return sorted(book.ids[name] for name in policy.visible(*kinds))

    def one(line: Any) -> str:
        return str(line.id)

    yield q.ListProjects(), one, ids("project")
    yield q.ListAddressScopes(), one, ids("scope")
    yield q.ListSubnetPools(), one, ids("pool")
    yield q.ListSubnets(), one, ids("subnet")
    yield q.ListAllocations(), one, ids("address")
    yield q.ListTree(), lambda node: str(node.holder_id), ids("pool", "subnet", "prefix")
    for address in {text for name, text in book.ids.items() if name.endswith(" address")}:
        here = [n for n in policy.visible("address") if book.ids[f"{n} address"] == address]
        wanted = sorted(2 * [book.ids[name] for name in here])
        yield ListHistory(address=Address(address)), lambda x: str(x.allocation_id), wanted
    for kind in ("subnet", "pool", "scope"):
        yield q.GetUtilisation(kind=kind), one, ids(kind)
    for pool in policy.visible("pool"):
        held = [n for n in policy.visible("prefix") if policy.tree[n].inside == pool]
        wanted = sorted(book.ids[name] for name in held)
        yield q.ListPrefixAllocations(pool=book.ids[pool]), one, wanted
    for scope in policy.visible("scope"):
        pools = [n for n in policy.visible("pool") if scope in policy.place(n)]
        wanted = sorted(book.ids[name] for name in pools)
        yield q.ListFree(container=book.ids[scope]), lambda x: str(x.container_id), wanted


def check_listings(grove: Grove, who: Who) -> None:
    book, policy = grove.book, grove.book.policy(who)
    actor = grove.actor(who)
    ask = lambda query: book.desk.ask(query, actor)  # noqa: E731
    if not policy.somewhere(1):
        for query, _, _ in listings(book, policy):
            with pytest.raises(Forbidden):
                ask(query)
        return
    for query, told, wanted in listings(book, policy):
        for limit in PAGES:
            shown = sorted(told(line) for line in paged(ask, query, limit))
            if isinstance(query, q.ListFree):
                shown = sorted(set(shown))
            assert shown == wanted, (query, limit)
    check_search(grove, policy, ask)
    check_lookup(book, policy, ask)
    status = ask(q.GetStatus())
    counts = (status.projects, status.scopes, status.pools, status.subnets, status.allocations)
    kinds = ("project", "scope", "pool", "subnet", "address")
    assert counts == tuple(len(policy.visible(kind)) for kind in kinds)


def check_search(grove: Grove, policy: Policy, ask: Callable[[Any], Any]) -> None:
    book = grove.book
    scopes = [n for n, thing in policy.tree.items() if thing.kind == "scope" and policy.may_name(n)]
    wanted = policy.visible("scope", "pool", "subnet", "address")
    for text, kinds in ((grove.stem + "-", None), ("10.0.0.0/8", "allocation")):
        hits = wanted if kinds is None else policy.visible("address")
        named = sorted(book.ids[n] for n in hits if policy.place(n) & set(scopes))
        for limit in PAGES:
            found = paged(ask, q.Search(text=text), limit)
            shown = sorted(str(x.id) for x in found if kinds in (None, x.kind))
            assert shown == named, (text, limit)


def check_lookup(book: Book, policy: Policy, ask: Callable[[Any], Any]) -> None:
    """The chain above each address that is held, in every scope, is what is seen of it."""
    for name, thing in policy.tree.items():
        if thing.kind != "address":
            continue
        address = Address(book.ids[f"{name} address"])
        matches = ask(q.Lookup(address=address))
        chains = {str(node.holder_id) for match in matches for node in match.chain}
        around = policy.place(thing.inside)
        mine = {book.ids[n] for n in policy.visible("pool", "subnet") if n in around}
        assert mine <= chains
        assert chains <= {book.ids[n] for n in policy.visible("pool", "subnet", "prefix")}
        shown = {str(match.allocation.id) for match in matches if match.allocation}
        seen = policy.sees(name) and policy.sees(thing.inside or "")
        assert (book.ids[name] in shown) == seen


def check_managed(grove: Grove, who: Who) -> None:
    """Tokens and grants: those that one may manage."""
    book, policy = grove.book, grove.book.policy(who)
    actor = grove.actor(who)
    for query, kinds, barred in (
        (ListTokens(live=True), ("token",), False),
        (ListGrants(), ("grant", "denial"), not policy.somewhere(4)),
    ):
        wanted = sorted(book.ids[name] for name in policy.visible(*kinds))
        for limit in PAGES:
            try:
                found = paged(lambda x: book.desk.ask(x, actor), query, limit)
                assert sorted(str(one.id) for one in found) == wanted
                assert not barred
            except Forbidden:
                assert barred


def request(grove: Grove, friend: Who) -> tuple[Any, Request] | None:
    """A random request, as it is asked and as the oracle is asked."""
    book, draw = grove.book, grove.draw
    kind = draw(st.sampled_from(["project", "scope", "pool", "subnet", "address", "prefix"]))
    name = grove.pick(kind)
    if name is None:
        return None
    ident, thing = book.ids[name], book.tree[name]
    owner = grove.owner()
    both = (name, owner) if owner else (name,)
    given = {"project": owner} if owner else {}
    described: dict[str, list[tuple[Any, Request]]] = {
        "project": [
            (q.GetProject(project=ident), Request("GetProject", (name,))),
            (c.UpdateProject(project=ident, description="d"), Request("UpdateProject", (name,))),
        ],
        "scope": [
            (q.GetAddressScope(scope=name), Request("GetAddressScope", (name,))),
            (
                c.UpdateAddressScope(scope=name, description="d", **given),
                Request("UpdateAddressScope", both, whole=bool(owner)),
            ),
        ],
        "pool": [
            (q.GetSubnetPool(pool=ident), Request("GetSubnetPool", (name,))),
            (
                c.UpdateSubnetPool(pool=ident, description="d", **given),
                Request("UpdateSubnetPool", both, whole=bool(owner)),
            ),
            (
                c.AllocatePrefix(pool=ident, length=30, owner=owner),
                Request("AllocatePrefix", both),
            ),
        ],
        "subnet": [
            (q.GetSubnet(subnet=ident), Request("GetSubnet", (name,))),
            (
                c.UpdateSubnet(subnet=ident, description="d", **given),
                Request("UpdateSubnet", both, whole=bool(owner)),
            ),
            (c.AllocateAddress(subnet=ident, owner=owner), Request("AllocateAddress", both)),
        ],
    }
    if kind in described:
        grant = CreateGrant(
            actor=friend.name, role=Role.VIEWER, target=TargetKind(kind), reference=ident
        )
        gift = Request("CreateGrant", (name,), whole=True, until=float("inf"))
        return draw(st.sampled_from([*described[kind], (grant, gift)]))
    home = thing.inside or ""
    if kind == "prefix":
        prefix = Prefix(book.ids[f"{name} prefix"])
        about = Request("ReleasePrefix", (home,), at=(), held=(name,))
        return c.ReleasePrefix(pool=book.ids[home], prefix=prefix), about
    address, subnet = Address(book.ids[f"{name} address"]), book.ids[home]
    at = (owner,) if owner else ()
    return draw(
        st.sampled_from(
            [
                (
                    q.GetAllocation(subnet=subnet, address=address),
                    Request("GetAllocation", (home, name)),
                ),
                (
                    c.UpdateAllocation(subnet=subnet, address=address, owner=owner),
                    Request(
                        "UpdateAllocation", (home, *at), at=at, held=(name,), lifts=owner is None
                    ),
                ),
                (
                    c.ReleaseAddress(subnet=subnet, address=address),
                    Request("ReleaseAddress", (home,), at=(), held=(name,)),
                ),
            ]
        )
    )


def follow(book: Book, asked: Any, about: Request) -> None:
    """What the oracle has to know of what was let through."""
    name = about.held[0] if about.held else about.names[0]
    if about.operation.startswith("Release"):
        del book.tree[name]
    elif about.operation == "UpdateAllocation":
        book.tree[name] = book.tree[name]._replace(project=asked.owner)
    elif len(about.names) > 1 and about.operation.startswith("Update"):
        book.tree[name] = book.tree[name]._replace(project=asked.project)


def play(book: Book, data: st.DataObject) -> None:
    grove = Grove(book, data)
    try:
        grove.plant()
        friend = book.token(grove.name())
        who = grove.somebody()
        check_listings(grove, who)
        check_managed(grove, who)
        for _ in range(data.draw(st.integers(1, 10))):
            drawn = request(grove, friend)
            if drawn is None:
                continue
            asked, about = drawn
            told, answer = verdict_of(book.desk, who, asked)
            assert told == book.policy(who).judge(about), (asked, about, book.grants[who.name])
            if answer is not None:
                follow(book, asked, about)
        if data.draw(st.booleans()):
            check_moved(grove, who)
    finally:
        grove.uproot()


def check_moved(grove: Grove, who: Who) -> None:
    """What was moved and released meanwhile is seen, or not, where it is now."""
    policy, actor = grove.book.policy(who), grove.actor(who)
    if policy.somewhere(1):
        found = paged(lambda x: grove.book.desk.ask(x, actor), q.ListSubnets(), 100)
        wanted = sorted(grove.book.ids[name] for name in policy.visible("subnet"))
        assert sorted(str(one.id) for one in found) == wanted


@few
@given(st.data())
def test_what_is_shown_and_let_through_is_what_the_oracle_says(
    on_sqlite: Book, data: st.DataObject
) -> None:
    play(on_sqlite, data)


@fewer
@given(st.data())
def test_and_so_it_is_on_postgresql(on_postgresql: Book, data: st.DataObject) -> None:
    play(on_postgresql, data)
