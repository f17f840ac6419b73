"""Ways round the rule that were found, each with what is refused now.

Invariant: each test failed before its fault was mended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from access.book import ME, Book, Who
from access.terms import ALL, Grant
from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError, Forbidden, NotFound
from allotment.model import commands as c
from allotment.model import queries as q
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.grants import CreateGrant, CreateToken, ListGrants, RevokeGrant, TargetKind


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    """A scope, a pool, a subnet, two projects; `held` and `block` belong to the other project."""
    with open_book(database_url, create=True) as desk:
        made = Book(desk)
        made.project("mine")
        made.project("other")
        made.scope("scope")
        made.pool("pool", "scope", "10.0.0.0/8")
        made.subnet("subnet", "pool", "10.1.0.0/24")
        made.address("held", "subnet", "other")
        made.address("nobodys", "subnet")
        made.prefix("block", "pool", 24, "other")
        yield made


def actor(book: Book, *grants: Grant, name: str = "somebody") -> Actor:
    who: Who = book.token(name)
    for grant in grants:
        book.grant(who, grant)
    return Actor(name=who.name)


def address(book: Book, name: str) -> Address:
    return Address(book.ids[f"{name} address"])


def error_of(desk: LocalDesk, command: Any, who: Actor) -> AllotmentError:
    with pytest.raises(AllotmentError) as caught:
        desk.do(command, who)
    return caught.value


def _everywhere(who: Actor, role: Role, until: int | None) -> CreateGrant:
    return CreateGrant(actor=who.name, role=role, expires_at=until, target=TargetKind.INSTALLATION)


def test_an_administrator_for_a_time_gives_nothing_for_longer(book: Book) -> None:
    who = actor(book)
    end = time.time_ns() // 1_000_000 + 60_000
    book.do(_everywhere(who, Role.ADMIN, end))
    for until in (None, end + 1):
        with pytest.raises(Forbidden):
            book.desk.do(
                _everywhere(who, Role.VIEWER, until),
                who,
            )
    book.desk.do(
        _everywhere(who, Role.VIEWER, end),
        who,
    )


def test_an_allocator_of_everything_takes_no_owner_away(book: Book) -> None:
    who = actor(book, Grant("allocator", ALL))
    command = c.UpdateAllocation(subnet="subnet", address=address(book, "held"), owner=None)
    with pytest.raises(Forbidden):
        book.desk.do(command, who)
    command = c.UpdateAllocation(subnet="subnet", address=address(book, "held"), hostname="h")
    assert book.desk.do(command, who).project == "other"


def test_what_a_batch_that_failed_saw_is_forgotten(book: Book) -> None:
    """The epoch it counted up to is another's, later: what it read then never was."""
    operator = actor(book, Grant("operator", "subnet"), Grant("operator", "mine"))
    tenant = actor(book, Grant("allocator", "mine"), name="tenant")
    subnet = book.ids["subnet"]
    moves = c.UpdateSubnet(subnet=subnet, project="mine")
    parts = (moves, c.AllocateAddress(subnet=subnet), c.DeleteProject(project="nobody's"))
    with pytest.raises(NotFound):
        book.desk.do(c.Batch(commands=parts), operator)
    book.grant(Who(operator.name, None), Grant("viewer", "other"))
    for _ in range(2):
        with pytest.raises(NotFound):
            book.desk.do(c.AllocateAddress(subnet=subnet), tenant)


def test_an_older_snapshot_brings_no_older_rules_back(tmp_path: Any) -> None:
    with open_book(f"sqlite:///{tmp_path}/book.db") as desk:
        book = Book(desk)
        with desk.store.reading() as old:
            before = desk._gate.known(old)
            thread = threading.Thread(target=lambda: actor(book, Grant("viewer", ALL)))
            thread.start()
            thread.join()
            who = Actor(name="token:somebody")
            newer = threading.Thread(target=lambda: desk.ask(q.ListProjects(), who))
            newer.start()
            newer.join()
            after = desk._gate._known
            assert after.epoch > before.epoch
            assert desk._gate.known(old).epoch == before.epoch
            assert desk._gate._known is after


@pytest.mark.parametrize("on", ["other", "subnet"])
def test_a_cascade_spares_what_is_denied(book: Book, on: str) -> None:
    who = actor(book, Grant("admin", ALL), Grant("viewer", on, deny=True))
    for command in (
        c.DeleteSubnet(subnet=book.ids["subnet"], cascade=True),
        c.DeleteSubnetPool(pool="pool", cascade=True),
        c.DeleteAddressScope(scope="scope", cascade=True),
    ):
        assert error_of(book.desk, command, who).code in ("forbidden", "not-found")


def test_a_denial_elsewhere_hinders_no_cascade(book: Book) -> None:
    book.scope("elsewhere")
    who = actor(book, Grant("admin", ALL), Grant("viewer", "elsewhere", deny=True))
    book.desk.do(c.DeleteSubnetPool(pool="pool", cascade=True), who)


def test_nothing_is_granted_on_a_project_that_may_own_what_is_denied(book: Book) -> None:
    """The owner of the scope denied it; it holds a subnet of a project that they administer."""
    book.scope("secret", "other")
    book.subnet("theirs", "secret", "10.9.0.0/24", "mine")
    who = actor(book, Grant("admin", "mine"), Grant("viewer", "secret", deny=True))
    friend = actor(book, name="friend")
    gift = CreateGrant(
        actor=friend.name, role=Role.ADMIN, target=TargetKind.PROJECT, reference="mine"
    )
    with pytest.raises(Forbidden):
        book.desk.do(gift, who)
    book.do(c.UpdateSubnet(subnet=book.ids["theirs"], description="the owner may"))


def test_what_contains_something_denied_is_given_to_no_project(book: Book) -> None:
    grants = Grant("operator", "pool"), Grant("operator", "mine"), Grant("viewer", "subnet", True)
    who = actor(book, *grants)
    with pytest.raises(Forbidden):
        book.desk.do(c.UpdateSubnetPool(pool="pool", project="mine"), who)
    book.do(c.UpdateSubnetPool(pool="pool", project="mine"))


def test_what_is_denied_is_taken_into_no_new_pool(book: Book) -> None:
    grants = Grant("operator", "pool"), Grant("operator", "mine"), Grant("viewer", "subnet", True)
    who = actor(book, *grants)
    around = c.CreateSubnetPool(
        name="around", parent=book.ids["pool"], prefixes=(Prefix("10.1.0.0/16"),), project="mine"
    )
    with pytest.raises(Forbidden):
        book.desk.do(around, who)
    beside = c.CreateSubnetPool(
        name="beside", parent=book.ids["pool"], prefixes=(Prefix("10.2.0.0/16"),), project="mine"
    )
    made = book.desk.do(beside, who)
    grown = c.UpdateSubnetPool(
        pool=str(made.id), prefixes=(Prefix("10.1.0.0/16"), Prefix("10.2.0.0/16"))
    )
    with pytest.raises(Forbidden):
        book.desk.do(grown, who)
    assert book.do(grown).prefixes == grown.prefixes


def test_an_administrator_of_everything_lists_no_grants_on_what_is_denied(book: Book) -> None:
    who = actor(book, Grant("admin", ALL), Grant("viewer", "pool", deny=True))
    friend = Who("token:somebody", None)
    hidden = book.grant(friend, Grant("viewer", "pool"))
    shown = book.grant(friend, Grant("viewer", "mine"))
    listed = {str(one.id) for one in book.desk.ask(ListGrants(), who).items}
    assert hidden not in listed
    assert shown in listed
    assert len(listed) == 3, "their own on everything, and the denial"
    with pytest.raises(NotFound):
        book.desk.do(RevokeGrant(grant=hidden), who)


def test_a_group_is_never_taken_for_an_actor(book: Book) -> None:
    actor(book, Grant("admin", ALL), name="root")
    claims = ("token:root", "group:none")
    who = Actor(name="user:idp#u", kind=ActorKind.USER, groups=claims)
    with pytest.raises(Forbidden):
        book.desk.ask(q.ListProjects(), who)


def test_what_a_denied_project_holds_is_answered_as_if_nobody_did(book: Book) -> None:
    who = actor(book, Grant("operator", ALL), Grant("viewer", "other", deny=True))
    subnet, held = book.ids["subnet"], address(book, "held")
    free = Address("10.1.0.99")
    for make in (
        lambda at: c.ReleaseAddress(subnet=subnet, address=at),
        lambda at: c.ReleaseAddresses(subnet=subnet, addresses=(at,)),
        lambda at: c.UpdateAllocation(subnet=subnet, address=at, hostname="h"),
    ):
        hidden, absent = error_of(book.desk, make(held), who), error_of(book.desk, make(free), who)
        assert hidden.message.replace(str(held), "X") == absent.message.replace(str(free), "X")
    prefix = Prefix(book.ids["block prefix"])
    told = error_of(book.desk, c.ReleasePrefix(pool="pool", prefix=prefix), who)
    assert isinstance(told, NotFound)
    by_identifier = c.ReleaseMatching(subnet=subnet, identifier="held")
    assert isinstance(error_of(book.desk, by_identifier, who), NotFound)
    kinds = {node.kind for node in book.desk.ask(q.ListTree(), who).items}
    assert kinds == {"pool", "subnet"}, "the block is the other's"


def test_a_search_by_place_finds_as_much_by_any_page(book: Book) -> None:
    """What lies between and is no hit, or is not seen, takes no place on a page."""
    for number in range(2, 8):
        book.pool(f"p{number}", "pool", f"10.{number}.0.0/16")
    book.subnet("last", "p7", "10.7.0.0/24")
    book.address("far", "last")
    found, cursor = [], None
    while True:
        page = book.do_ask(q.Search(text="10.0.0.0/8", limit=1, cursor=cursor))
        found += [one.name for one in page.items if one.kind == "allocation"]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(found) == ["far", "held", "nobodys"]


def at_once(desk: LocalDesk, command: Any) -> list[str]:
    """What becomes of a command that four ask for at the same moment."""
    start, outcomes = threading.Barrier(4), []

    def ask() -> None:
        start.wait()
        try:
            outcomes.append(type(desk.do(command, ME)).__name__)
        except AllotmentError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_what_is_made_twice_at_once_is_made_once(postgres_url: str) -> None:
    with open_book(postgres_url, create=True) as desk:
        desk.do(CreateToken(name="t"), ME)
        refused = ["already-exists"] * 3
        for number in range(20):
            assert at_once(desk, CreateToken(name=f"t{number}")) == ["NewToken", *refused]
            grant = CreateGrant(actor="token:t", role=Role.ADMIN, target=TargetKind.INSTALLATION)
            assert at_once(desk, grant) == ["Grant", *refused]
            given = desk.ask(ListGrants(), ME).items
            desk.do(RevokeGrant(grant=str(given[0].id)), ME)
