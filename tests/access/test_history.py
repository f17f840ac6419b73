"""Whose former addresses are seen: by the scope, the subnet while it is there, and the project.

Invariant: what is not seen is answered as if it had never been.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from access.book import Book
from access.terms import ALL, Grant
from allotment import Address, open_book
from allotment.errors import Forbidden, NotFound
from allotment.model import commands as c
from allotment.model.access import Actor
from allotment.model.history import ForgetHistory, ListHistory
from allotment.store import schema

STAYS, GONE, NEVER = Address("10.1.0.9"), Address("10.2.0.9"), Address("10.1.0.8")
BOTH, NONE = ["mine", "other"], list[str]()


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    """Two projects held an address of a subnet that stays, and of one that is gone, in a pool."""
    with open_book(database_url, create=True) as desk:
        made = Book(desk)
        for project in ("mine", "other", "strange"):
            made.project(project)
        made.scope("scope")
        made.scope("far")
        made.pool("pool", "scope", "10.0.0.0/8")
        made.pool("beside", "scope", "11.0.0.0/8")
        for subnet, prefix in (("stays", "10.1.0.0/24"), ("gone", "10.2.0.0/24")):
            made.subnet(subnet, "pool", prefix)
        for owner in BOTH:
            for subnet, address in (("stays", STAYS), ("gone", GONE)):
                here = {"subnet": made.ids[subnet], "address": address}
                made.do(c.AllocateAddress(**here, owner=owner))
                made.do(c.ReleaseAddress(**here))
        yield made


def told(book: Book, who: Actor, address: Address, **more: Any) -> list[str]:
    found = book.desk.ask(ListHistory(address=address, **more), who).items
    return sorted(one.project or "" for one in found)


def somebody(book: Book, *grants: Grant) -> Actor:
    who = book.token("somebody")
    for grant in grants:
        book.grant(who, grant)
    return Actor(name=who.name)


def deny(on: str) -> Grant:
    return Grant("viewer", on, deny=True)


WHO: dict[str, tuple[list[Grant], list[str], list[str]]] = {
    "everything": ([Grant("viewer", ALL)], BOTH, BOTH),
    "the scope": ([Grant("viewer", "scope")], BOTH, BOTH),
    "the pool": ([Grant("viewer", "pool")], BOTH, NONE),
    "the subnet": ([Grant("viewer", "stays")], BOTH, NONE),
    "a project": ([Grant("viewer", "mine")], ["mine"], ["mine"]),
    "another scope": ([Grant("viewer", "far")], NONE, NONE),
    "another pool": ([Grant("viewer", "beside")], NONE, NONE),
    "another project": ([Grant("viewer", "strange")], NONE, NONE),
    "all but a project": ([Grant("viewer", ALL), deny("other")], ["mine"], ["mine"]),
    "all but the scope": ([Grant("viewer", ALL), deny("scope")], NONE, NONE),
    "all but the subnet": ([Grant("viewer", ALL), deny("stays")], NONE, BOTH),
    "all but the pool": ([Grant("viewer", ALL), deny("pool")], NONE, BOTH),
    "a project, but not the subnet": ([Grant("viewer", "mine"), deny("stays")], NONE, ["mine"]),
    "a project, but not the scope": ([Grant("viewer", "mine"), deny("scope")], NONE, NONE),
}


@pytest.mark.parametrize(("grants", "stays", "gone"), WHO.values(), ids=WHO)
def test_periods_are_seen_by_their_scope_subnet_and_project(
    book: Book, grants: list[Grant], stays: list[str], gone: list[str]
) -> None:
    who = somebody(book, *grants)
    book.do(c.DeleteSubnet(subnet=book.ids["gone"]))
    assert told(book, who, STAYS) == stays
    assert told(book, who, GONE) == gone
    for address, seen in ((STAYS, stays), (GONE, gone)):
        moments = [one.since for one in book.do_ask(ListHistory(address=address)).items]
        then = {one for at in moments for one in told(book, who, address, at=at)}
        assert then <= set(seen)
    assert told(book, who, NEVER) == NONE


def test_who_has_no_grant_asks_for_no_history(book: Book) -> None:
    with pytest.raises(Forbidden):
        told(book, somebody(book), STAYS)


def test_an_owner_is_not_told_the_name_of_a_scope_it_may_not_name(book: Book) -> None:
    who = somebody(book, Grant("viewer", "mine"))
    (seen,) = book.desk.ask(ListHistory(address=STAYS), who).items
    assert seen.scope is None
    with pytest.raises(NotFound):
        told(book, who, STAYS, scope="scope")
    with pytest.raises(NotFound):
        told(book, who, STAYS, subnet=book.ids["stays"])


def test_the_present_holder_is_seen_as_its_allocation_is(book: Book) -> None:
    book.do(c.AllocateAddress(subnet=book.ids["stays"], address=STAYS, owner="other"))
    mine, all_of_it = somebody(book, Grant("viewer", "mine")), book.token("all")
    book.grant(all_of_it, Grant("viewer", "stays"))
    assert told(book, mine, STAYS) == ["mine"]
    assert told(book, Actor(name=all_of_it.name), STAYS) == ["mine", "other", "other"]


def test_history_is_forgotten_by_who_administers_all_that_is_forgotten(book: Book) -> None:
    who = somebody(book, Grant("admin", "scope"))
    forget = ForgetHistory(before=1 << 60, scope="scope")
    for refused in (ForgetHistory(before=1 << 60), forget):
        with pytest.raises((Forbidden, NotFound)):
            book.desk.do(refused, who if refused is not forget else _partly(book))
    assert book.desk.do(forget, who).count == 4
    with book.desk.store.reading() as r:
        assert r.run(schema.allocation_period.select()).all() == []


def _partly(book: Book) -> Actor:
    """Who administers everything but a pool of the scope."""
    who = book.token("partly")
    book.grant(who, Grant("admin", ALL))
    book.grant(who, Grant("viewer", "pool", deny=True))
    return Actor(name=who.name)
