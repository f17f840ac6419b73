"""What somebody with narrower rights does, what they are refused, and what they are not told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import update

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError, Forbidden, IdentifierTaken, InvalidValue, NotFound
from allotment.model import commands as c
from allotment.model.access import Actor
from allotment.model.events import OperationState, ResolveOperation
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    GetGrant,
    GetToken,
    ListGrants,
    ListTokens,
    RevokeGrant,
    RevokeToken,
    SetQuota,
    WhoAmI,
)
from allotment.model.history import ForgetHistory
from allotment.model.queries import CheckBook, GetSubnetPool, ListPrefixAllocations, Query
from allotment.store.access_schema import access_grant
from conformance.delegates import ME, delegate, filled, granted
from conformance.dumps import Dump, dump

THEIRS, NOBODYS = Address("10.0.1.9"), Address("10.0.1.10")
BLOCK = Prefix("10.0.32.0/24")
HOUR = 3_600_000

PART = "act on all of it: part of it is denied"
ADOPTED = "take it into a pool: part of it is denied"
ANOTHERS = "change or release what another project holds, or what it may only look at"


class Refusal(NamedTuple):
    """Who asks, what for, and the error that they are answered with."""

    who: str
    request: Any  # Any: whatever it answers
    error: type[AllotmentError]
    facts: dict[str, str]


def without_role(who: str, request: Any) -> Refusal:
    action = f"do {type(request).__name__}: this needs the role {request.needs}"
    return Refusal(who, request, Forbidden, {"action": action})


def forbidden(who: str, request: Any, action: str) -> Refusal:
    return Refusal(who, request, Forbidden, {"action": action})


def hidden(who: str, request: Any, what: str, reference: str) -> Refusal:
    return Refusal(who, request, NotFound, {"what": what, "reference": reference})


def pool(prefix: str, **more: Any) -> c.CreateSubnetPool:
    return c.CreateSubnetPool(name="new", prefixes=(Prefix(prefix),), **more)


WHO_LOOKS = [
    without_role("viewer *", request)
    for request in (
        c.CreateProject(name="x"),
        c.UpdateProject(project="mine", description="x"),
        c.DeleteProject(project="mine"),
        c.CreateAddressScope(name="x"),
        c.CreateAddressScope(name="x", project="mine"),
        c.UpdateAddressScope(scope="s", project="mine"),
        c.DeleteAddressScope(scope="s"),
        ForgetHistory(before=1, scope="s"),
        ForgetHistory(before=1),
        pool("10.0.128.0/24", parent="p"),
        pool("10.9.0.0/24", scope="s"),
        c.UpdateSubnetPool(pool="p", project="mine"),
        c.DeleteSubnetPool(pool="p"),
        c.CreateSubnet(pool="p", length=28),
        c.CreateSubnet(scope="s", prefix=Prefix("10.9.0.0/24")),
        c.UpdateSubnet(subnet="n", project="mine"),
        c.DeleteSubnet(subnet="n", cascade=True),
        c.UpdateAllocationPools(subnet="n", ranges=()),
        c.AllocateAddress(subnet="n"),
        c.AllocateAddresses(subnet="n", count=2),
        c.AllocatePrefix(pool="p", length=28),
        c.ReleasePrefix(pool="p", prefix=BLOCK),
        c.ReleaseAddress(subnet="n", address=NOBODYS),
        c.UpdateAllocation(subnet="n", address=NOBODYS, hostname="x"),
        c.ReleaseMatching(owner="other"),
        CreateToken(name="x"),
        CreateToken(name="x", project="mine"),
        SetQuota(project="mine", addresses=1),
        granted("token:nobody", "viewer mine"),
        ListGrants(),
        CheckBook(),
    )
]
REACH = [
    without_role("admin mine", SetQuota(project="mine", addresses=1)),
    without_role("admin s", granted("token:nobody", "!viewer n")),
    without_role("allocator n, viewer other", c.ReleaseMatching(owner="other")),
    without_role("allocator n, viewer other", c.AllocateAddress(subnet="n", owner="other")),
    hidden("operator c", pool("10.0.128.0/24", parent="p"), "subnet pool", "p"),
    hidden("admin mine", CreateToken(name="x", project="other"), "project", "other"),
    hidden("admin mine", GetToken(token="nobody"), "token", "nobody"),
    hidden("admin mine", RevokeToken(token="nobody"), "token", "nobody"),
    hidden("operator c", c.UpdateSubnetPool(pool="p", name="x"), "subnet pool", "p"),
    *(
        Refusal("admin s", request, InvalidValue, {"field": field})
        for request, field in (
            (c.CreateSubnetPool(name="x", prefixes=()), "prefixes"),
            (c.CreateSubnet(length=24), "prefix"),
        )
    ),
    Refusal(
        "admin s", c.CreateSubnetPool(name="x", prefixes=()), InvalidValue, {"field": "prefixes"}
    ),
    Refusal("admin s", c.CreateSubnet(length=24), InvalidValue, {"field": "prefix"}),
]
HELD = [
    *(
        forbidden("allocator p", request, ANOTHERS)
        for request in (
            c.ReleaseAddress(subnet="n", address=THEIRS),
            c.ReleaseAddresses(subnet="n", addresses=(NOBODYS, THEIRS)),
            c.ReleaseMatching(subnet="n", identifier="vm"),
            c.ReleasePrefix(pool="p", prefix=BLOCK),
            c.UpdateAllocation(subnet="n", address=THEIRS, hostname="x"),
        )
    ),
    *(
        Refusal("allocator p", request, IdentifierTaken, {"holder": holder})
        for request, holder in (
            (c.AllocatePrefix(pool="p", length=24, identifier="net"), "somebody else's prefix"),
            (c.AllocateAddress(subnet="n", identifier="vm"), "somebody else's allocation"),
        )
    ),
    *(
        hidden("operator p, !viewer other", request, what, str(reference))
        for request, what, reference in (
            (c.ReleaseAddress(subnet="n", address=THEIRS), "allocation", THEIRS),
            (c.ReleaseAddresses(subnet="n", addresses=(THEIRS,)), "allocation", THEIRS),
            (c.UpdateAllocation(subnet="n", address=THEIRS, hostname="x"), "allocation", THEIRS),
            (c.ReleasePrefix(pool="p", prefix=BLOCK), "prefix allocation", BLOCK),
        )
    ),
]
DENIED = [
    *(
        forbidden("admin s, admin mine, !viewer n", request, PART)
        for request in (
            ForgetHistory(before=1, scope="s"),
            c.UpdateAddressScope(scope="s", project="mine"),
            c.UpdateSubnetPool(pool="p", project="mine"),
            c.DeleteAddressScope(scope="s", cascade=True),
            c.DeleteSubnetPool(pool="c", cascade=True),
            pool("10.0.0.0/18", parent="p", project="mine"),
            granted("token:nobody", "viewer s"),
        )
    ),
    *(
        forbidden("admin s, admin mine, !viewer other", request, action)
        for request, action in (
            (c.DeleteSubnet(subnet="n", cascade=True), PART),
            (c.UpdateSubnet(subnet="n", project="mine"), PART),
            (pool("10.0.32.0/20", parent="p", project="mine"), ADOPTED),
        )
    ),
    forbidden(
        "admin *, !viewer other",
        granted("token:nobody", "viewer *"),
        "manage grants on everything: part of it is denied",
    ),
]
REFUSALS = [*WHO_LOOKS, *REACH, *HELD, *DENIED]


@pytest.fixture(scope="module")
def book(module_url: str) -> Iterator[LocalDesk]:
    """One book, with everybody who is refused something: nothing of that changes it."""
    with open_book(module_url, create=True) as desk:
        filled(desk)
        for who in sorted({one.who for one in REFUSALS}):
            delegate(desk, who)
        yield desk


@pytest.fixture(scope="module")
def untouched(book: LocalDesk) -> Dump:
    """The book's rows, before anybody is refused."""
    return dump(book)


@pytest.mark.parametrize(
    "refusal",
    [pytest.param(one, id=f"{one.who}: {type(one.request).__name__}") for one in REFUSALS],
)
def test_who_lacks_a_role_is_refused_and_changes_nothing(
    book: LocalDesk, untouched: Dump, refusal: Refusal
) -> None:
    who = Actor(name=f"token:{refusal.who}")
    answer = book.ask if isinstance(refusal.request, Query) else book.do
    with pytest.raises(AllotmentError) as caught:
        answer(refusal.request, who)
    assert type(caught.value) is refusal.error, caught.value
    assert {name: caught.value.facts[name] for name in refusal.facts} == refusal.facts
    assert dump(book) == untouched


def test_what_a_token_of_a_project_takes_is_the_projects(desk: LocalDesk) -> None:
    filled(desk)
    who = delegate(desk, "admin mine, allocator p", project="mine")
    one = desk.do(c.AllocateAddress(subnet="n"), who)
    desk.do(c.AllocateAddresses(subnet="n", count=2), who)
    block = desk.do(c.AllocatePrefix(pool="p", length=24), who)
    named = desk.do(c.AllocateAddress(subnet="n", owner="mine"), who)
    assert {one.project, block.project, named.project} == {"mine"}
    assert desk.do(c.ReleaseMatching(owner="mine"), who).count == 4
    assert desk.do(c.ReleasePrefix(pool="p", prefix=block.prefix), who).count == 1
    assert desk.ask(CheckBook(), ME).clean


def test_a_project_has_scopes_tokens_and_keys_of_its_own(desk: LocalDesk) -> None:
    filled(desk)
    who = delegate(desk, "admin mine")
    made = desk.do(c.CreateAddressScope(name="own", project="mine", idempotency_key="k"), who)
    assert made.project == "mine"
    assert desk.do(ResolveOperation(key="k"), who).state is OperationState.DONE
    assert desk.do(ResolveOperation(key="k"), ME).state is OperationState.NOT_DONE
    assert desk.do(c.DeleteAddressScope(scope="own"), who).contents["address scopes"] == 1
    robot = desk.do(CreateToken(name="robot", project="mine"), who).token
    assert (robot.project, robot.created_by) == ("mine", who.name)
    seen = desk.ask(ListTokens(), who).items
    assert {one.name for one in seen} == {"robot", "admin mine"}, "and not nobody's"
    first = desk.ask(ListTokens(limit=1), who)
    assert first.items + desk.ask(ListTokens(limit=1, cursor=first.next), who).items == seen
    assert desk.do(RevokeToken(token="robot"), who).revoked_at is not None
    told = desk.ask(WhoAmI(), who)
    assert (told.actor, told.token) == (who.name, desk.ask(GetToken(token="admin mine"), who))
    assert [one.target_name for one in told.grants] == ["mine"]


def test_who_administers_a_scope_does_what_there_is_to_do_in_it(desk: LocalDesk) -> None:
    filled(desk)
    who = delegate(desk, "admin s")
    site = desk.do(pool("10.0.64.0/20"), who)
    assert site.parent_id == desk.ask(GetSubnetPool(pool="p"), ME).id, "the one around it"
    within = desk.do(c.CreateSubnet(prefix=Prefix("10.0.64.0/28")), who)
    carved = desk.do(c.CreateSubnet(pool="new", length=28), who)
    alone = desk.do(c.CreateSubnet(prefix=Prefix("10.9.0.0/28"), name="alone"), who)
    assert (within.pool_id, carved.pool_id, alone.pool_id) == (site.id, site.id, None)
    assert desk.do(c.UpdateSubnet(subnet="alone", description="x"), who).description == "x"
    desk.do(c.DeleteSubnet(subnet="alone"), who)
    grown = desk.do(
        c.UpdateSubnetPool(pool="new", prefixes=(Prefix("10.0.64.0/20"), Prefix("10.0.96.0/20"))),
        who,
    )
    assert len(grown.prefixes) == 2
    for one in (within, carved):
        desk.do(c.DeleteSubnet(subnet=str(one.id)), who)
    assert desk.do(c.DeleteSubnetPool(pool="new"), who).contents["subnet pools"] == 1
    assert desk.do(c.UpdateAddressScope(scope="s", description="x"), who).description == "x"
    assert desk.do(ForgetHistory(before=1, scope="s"), who).count == 0
    gift = desk.do(granted("token:nobody", "viewer n"), who)
    assert desk.ask(GetGrant(grant=str(gift.id)), who) == gift
    assert {one.id for one in desk.ask(ListGrants(), who).items} > {gift.id}
    assert desk.do(RevokeGrant(grant=str(gift.id)), who).contents == {"grants": 1}
    assert desk.ask(CheckBook(), ME).clean


def test_a_denial_elsewhere_hinders_no_pool_that_takes_in_what_is_held(desk: LocalDesk) -> None:
    """Prefixes that a project and nobody hold; and the pool itself, as it grows."""
    filled(desk)
    who = delegate(desk, "operator s, operator mine, !viewer theirs")
    made = desk.do(pool("10.0.32.0/23", parent="p", project="mine"), who)
    held = desk.ask(ListPrefixAllocations(pool="new"), who).items
    assert [(one.pool_id, one.project) for one in held] == [(made.id, "other"), (made.id, None)]
    wider = (*made.prefixes, Prefix("10.0.64.0/20"))
    assert desk.do(c.UpdateSubnetPool(pool="new", prefixes=wider), who).prefixes == wider
    assert desk.ask(CheckBook(), ME).clean


def test_a_denial_is_made_and_lifted_by_who_administers_everything(desk: LocalDesk) -> None:
    """Also for a time, but for no longer than that."""
    filled(desk)
    who = delegate(desk, "viewer mine")
    end = time.time_ns() // 1_000_000 + HOUR
    desk.do(granted(who.name, "admin *", expires_at=end), ME)
    with pytest.raises(Forbidden) as refused:
        desk.do(granted("token:nobody", "!viewer s"), who)
    assert refused.value.facts["action"] == "grant a role for longer than their own"
    made = desk.do(granted("token:nobody", "!viewer s", expires_at=end), who)
    assert (made.deny, made.target_name, made.expires_at) == (True, "s", end)
    everywhere = desk.do(granted("token:nobody", "!viewer *", expires_at=end), who)
    assert (everywhere.target_name, everywhere.target_id) == ("installation", None)
    for one in (made, everywhere):
        assert desk.do(RevokeGrant(grant=str(one.id)), who).contents == {"grants": 1}


def test_a_grant_that_is_over_makes_room_for_the_same_again(desk: LocalDesk) -> None:
    filled(desk)
    gift: CreateGrant = granted("token:nobody", "viewer mine")
    old = desk.do(gift, ME)
    with desk.store.writing() as tx:
        tx.run(update(access_grant).values(expires_at=tx.now - 1))
    new = desk.do(gift, ME)
    assert new.id != old.id
    assert [one.id for one in desk.ask(ListGrants(actor="token:nobody"), ME).items] == [new.id]
