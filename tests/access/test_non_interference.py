"""Non-interference: what somebody may not see changes nothing of what they are told.

Invariant: a book with hidden things in it answers as one without them, to the letter, but for ids
and times, and the leaks that decision 0007 admits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from access.book import Book
from access.terms import ALL, Grant
from allotment import Address, Prefix, open_book
from allotment.errors import AllotmentError
from allotment.model import commands as c
from allotment.model import grants as g
from allotment.model import queries as q
from allotment.model import wire
from allotment.model.access import Actor, Role
from allotment.model.history import ListHistory

WHO = Actor(name="token:b")
EXAMPLES = hypothesis.settings().max_examples
ROUND = hypothesis.settings(
    max_examples=max(1, EXAMPLES // 2),
    suppress_health_check=list(hypothesis.HealthCheck),
)
SHORT_ROUND = hypothesis.settings(ROUND, max_examples=max(1, EXAMPLES // 4))
SETS = {
    "of parts": [Grant("admin", "tenant"), Grant("operator", "pool"), Grant("viewer", "net")],
    "but hidden": [
        Grant("operator", ALL),
        Grant("viewer", "void", deny=True),  # in both books: who is denied something knows that
        Grant("viewer", "hidden", deny=True),
        Grant("viewer", "secret", deny=True),
    ],
    "of nothing": [],
}
NAMES = ("tenant", "hidden", "shared", "secret", "main", "pool", "net", "away", "absent", "b", "h")
PREFIXES = ("10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.9.0.0/16", "10.9.9.0/24")
ADDRESSES = ("10.1.1.1", "10.1.1.2", "10.9.9.1", "10.200.0.1")


def plant(book: Book, *, full: bool) -> None:
    """What B sees; with `full`, other scopes, subtrees, tokens and grants, of like names too."""
    for name in ("tenant", "hidden", "secret") if full else ("tenant",):
        book.project(name)
    book.project("void")
    book.scope("main")
    book.pool("pool", "main", "10.0.0.0/8")
    book.subnet("net", "pool", "10.1.1.0/24", "tenant")
    book.address("mine", "net", "tenant")
    passed(book, "net", "main", "10.1.1.1", "tenant")
    book.do(c.CreateSubnet(pool="pool", name="over", prefix=Prefix("10.9.9.0/24")))
    passed(book, "over", "main", "10.9.9.1", None)
    book.do(c.DeleteSubnet(subnet="over"))
    if full:
        for name, owner in (("shared", "hidden"), ("elsewhere", "secret")):
            book.scope(name, owner)
            book.do(c.CreateSubnetPool(name="pool", scope=name, prefixes=(Prefix("10.0.0.0/8"),)))
            book.do(c.CreateSubnet(scope=name, name="net", prefix=Prefix("10.1.1.0/24")))
            book.do(c.CreateSubnet(scope=name, name="away", prefix=Prefix("10.9.9.0/24")))
            for address in ("10.1.1.1", "10.1.1.2"):
                held = c.AllocateAddress(
                    subnet="net",
                    scope=name,
                    address=Address(address),
                    identifier=f"mine{address[-1]}",
                    hostname="h",
                    tags=("t",),
                    owner=owner,
                )
                book.do(held)
            book.do(c.AllocatePrefix(pool="pool", scope=name, length=24, owner=owner))
            for subnet, address in (("away", "10.9.9.1"), ("net", "10.1.1.3")):
                passed(book, subnet, name, address, owner)
        book.token("h", "hidden")
    book.token("b")


def passed(book: Book, subnet: str, scope: str, address: str, owner: str | None) -> None:
    """Somebody held an address of a subnet, and nobody does."""
    here = {"subnet": subnet, "scope": scope, "address": Address(address)}
    book.do(c.AllocateAddress(**here, owner=owner, hostname="h"))
    book.do(c.ReleaseAddress(**here))


def planted(stack: ExitStack, urls: Iterable[str], grants: str) -> list[Book]:
    """The same book twice: with and without what B may not see."""
    made = [Book(stack.enter_context(open_book(url, create=True))) for url in urls]
    for book, full in zip(made, (True, False), strict=True):
        plant(book, full=full)
        for grant in SETS[grants]:
            if grant.on == ALL or grant.on in book.tree:
                book.grant(WHO.name, grant)
        if full:
            book.grant("token:h", Grant("admin", "hidden"))
    return made


@pytest.fixture(scope="module", params=SETS)
def books(request: pytest.FixtureRequest) -> Iterator[list[Book]]:
    """Both books on SQLite."""
    with ExitStack() as stack:
        yield planted(stack, ("sqlite://", "sqlite://"), request.param)


@pytest.fixture(scope="module", params=SETS)
def on_postgresql(request: pytest.FixtureRequest, postgres_server: Any) -> Iterator[list[Book]]:
    """Both books on PostgreSQL."""
    urls = [postgres_server.create_database() for _ in range(2)]
    with ExitStack() as stack:
        yield planted(stack, urls, request.param)
    for url in urls:
        postgres_server.drop_database(url)


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOMENT = re.compile(r'"(\w+_at|since|until)":\d+')
KEY = re.compile(r'"key_id":"\w+"')
CURSOR = re.compile(r'"next":"[^"]+"')


def told(book: Book, request: Any) -> str:
    """What B is told, to the letter, but for ids, times and what is made of them."""
    serve = book.desk.do if isinstance(request, c.Command) else book.desk.ask
    try:
        answer = wire.encode(serve(request, WHO)).decode()  # type: ignore[arg-type]
    except AllotmentError as error:
        answer = f"{error.code} {error.message} {sorted(error.facts.items())}"
    return masked(answer)


def masked(answer: str) -> str:
    """Without ids, times and what is made of them."""
    answer = KEY.sub("key", MOMENT.sub(r"\1", UUID.sub("id", answer)))
    return CURSOR.sub("more", answer)


def walk(book: Book, query: Any) -> list[str]:
    """Every page of a listing: as many, and of the same; some are in the order of ids."""
    shown = []
    while True:
        page = told(book, query)
        if not page.startswith("{"):
            return [*shown, page]
        items = book.desk.ask(query, WHO)
        shown.append(f"a page of {len(items.items)}")
        shown += [masked(wire.encode(one).decode()) for one in items.items]
        if items.next is None:
            return sorted(shown)
        query = structs.replace(query, cursor=items.next)


def fixed() -> Iterator[Any]:
    """Every query by every name, prefix and address; and commands that are refused."""
    for name in NAMES:
        yield from (
            q.GetProject(project=name),
            q.GetAddressScope(scope=name),
            q.GetSubnetPool(pool=name),
            q.GetSubnet(subnet=name),
            q.GetSubnet(subnet="net", scope=name),
            q.GetUtilisation(containers=(name,)),
            q.ListFree(container=name, limit=3),
            q.PreviewDelete(pool=name),
            q.PreviewDelete(subnet=name),
            g.GetQuota(project=name),
            q.ListPrefixAllocations(pool=name),
            g.GetToken(token=name),
            c.DeleteProject(project=name),
            c.UpdateProject(project=name, description="x"),
            c.DeleteAddressScope(scope=name),
            c.DeleteSubnetPool(pool=name),
            c.AllocateAddress(subnet="net", scope=name, address=Address("10.1.1.250")),
            c.ReleaseAddress(subnet=name, address=Address("10.1.1.2")),
            c.ReleaseMatching(owner=name),
            g.RevokeToken(token="h"),
            g.SetQuota(project=name, addresses=1),
            g.CreateToken(name="b", project=name),
            g.CreateGrant(
                actor="token:b", role=Role.VIEWER, target=g.TargetKind.PROJECT, reference=name
            ),
        )
    for prefix in map(Prefix, PREFIXES):
        yield from (
            q.Lookup(prefix=prefix),
            q.GetSubnet(subnet=str(prefix)),
            q.GetSubnetPool(pool=str(prefix)),
            q.ListSubnets(within=prefix),
        )
    for address in map(Address, ADDRESSES):
        yield from (q.Lookup(address=address), q.GetAllocation(subnet="net", address=address))
    yield from (q.GetStatus(), q.CheckBook())


def listings() -> Iterator[Any]:
    """Every listing, in pages of one, two and many."""
    for limit in (1, 2, 100):
        for kind in (
            q.ListProjects,
            q.ListAddressScopes,
            q.ListSubnetPools,
            q.ListSubnets,
            q.ListTree,
            q.ListAllocations,
            g.ListGrants,
            g.ListTokens,
        ):
            yield kind(limit=limit)
        for address in map(Address, ADDRESSES):
            yield ListHistory(address=address, limit=limit)
            yield ListHistory(address=address, limit=limit, at=1 << 60)
        for text in ("h", "n", "pool", "mine", "t", "10.0.0.0/8", "10.1.1.1", "secret"):
            yield q.Search(text=text, limit=limit)
        for kind in ("scope", "pool", "subnet"):
            yield q.GetUtilisation(kind=kind, limit=limit)


def test_every_answer_is_the_same_with_and_without_what_is_hidden(books: list[Book]) -> None:
    compare(books, step=1)


def test_and_so_it_is_on_postgresql(on_postgresql: list[Book]) -> None:
    compare(on_postgresql, step=2)


def compare(books: list[Book], step: int) -> None:
    """Ask both books the same: everything, or every so-many-th."""
    full, bare = books
    for request in islice(fixed(), 0, None, step):
        assert told(full, request) == told(bare, request), request
    for query in islice(listings(), 0, None, step):
        assert walk(full, query) == walk(bare, query), query


def requests() -> st.SearchStrategy[Any]:
    name, prefix = st.sampled_from(NAMES), st.sampled_from([Prefix(one) for one in PREFIXES])
    maybe = st.none() | name
    address = st.sampled_from([Address(one) for one in ADDRESSES])
    return st.one_of(
        st.builds(q.ListSubnets, scope=maybe, pool=maybe, project=maybe),
        st.builds(q.ListSubnetPools, scope=maybe, parent=maybe, project=maybe),
        st.builds(q.ListAllocations, subnet=maybe, scope=maybe, owner=maybe),
        st.builds(q.Search, text=name, scope=maybe),
        st.builds(q.Lookup, address=address, scope=maybe),
        st.builds(ListHistory, address=address, scope=maybe, subnet=maybe),
        st.builds(q.ListFree, container=name, scope=maybe, limit=st.just(2)),
        st.builds(q.GetUtilisation, containers=st.tuples(name), scope=maybe),
        st.builds(g.ListGrants, target=st.just(g.TargetKind.PROJECT), reference=name),
        st.builds(c.UpdateSubnet, subnet=name, scope=maybe, project=name, version=st.just(99)),
        st.builds(
            c.CreateSubnet,
            scope=maybe,
            pool=maybe,
            prefix=prefix,
            project=maybe,
            name=st.just("10.0.0.0/9"),
        ),
        st.builds(
            c.AllocateAddress,
            subnet=name,
            scope=maybe,
            owner=name,
            address=st.just(Address("10.250.0.1")),
        ),
        st.builds(
            c.UpdateAllocation,
            subnet=name,
            address=address,
            owner=name,
            allocation_id=st.just("none"),
        ),
        st.builds(c.ReleaseMatching, subnet=maybe, owner=maybe, identifier=st.just("mine")),
    )


@ROUND
@given(asked=requests())
def test_whatever_is_asked(books: list[Book], asked: Any) -> None:
    compare_one(books, asked)


@SHORT_ROUND
@given(asked=requests())
def test_whatever_is_asked_on_postgresql(on_postgresql: list[Book], asked: Any) -> None:
    compare_one(on_postgresql, asked)


def compare_one(books: list[Book], asked: Any) -> None:
    full, bare = books
    if isinstance(asked, c.ReleaseMatching):
        asked = c.Batch(commands=(asked, c.DeleteProject(project="absent")))  # done, and undone
    tell = walk if hasattr(asked, "cursor") else told
    assert tell(full, asked) == tell(bare, asked)
