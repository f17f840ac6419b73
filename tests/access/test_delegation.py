"""Delegation: whatever delegates give and take, nobody gains what the giver did not have.

Invariant: a delegate's gift changes nothing that the delegate could not do, nor for longer; what a
superior may do stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.book import ME, ROLES, Book
from access.oracle import Policy
from access.terms import ALL, Grant
from allotment import LocalDesk, open_book
from allotment.errors import AllotmentError, Forbidden
from allotment.model.access import Actor, Role
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    ListGrants,
    RevokeGrant,
    RevokeToken,
    TargetKind,
)

HOUR = 3_600_000
ROUND = hypothesis.settings(
    max_examples=hypothesis.settings().max_examples,
    suppress_health_check=list(hypothesis.HealthCheck),
)
SHORT_ROUND = hypothesis.settings(ROUND, max_examples=max(1, ROUND.max_examples // 5))
PLACES = (ALL, "mine", "scope", "outer", "pool", "subnet", "sibling", "elsewhere")
NAMES = ("superior", "ann", "ben", "cid")
ENDS = (None, 1, 2, 3)  # hours from now


class Given(NamedTuple):
    """A grant as it stands: whose, what, and by whom it was given."""

    id: str
    who: str
    grant: Grant


def planted(desk: LocalDesk) -> Book:
    """A book with one tree, for delegates to share."""
    made = Book(desk)
    made.project("mine")
    made.scope("scope", "mine")
    made.scope("elsewhere")
    made.pool("outer", "scope", "10.0.0.0/8")
    made.pool("pool", "outer", "10.1.0.0/16")
    made.subnet("subnet", "pool", "10.1.0.0/24")
    made.subnet("sibling", "outer", "10.2.0.0/24", "mine")
    return made


@pytest.fixture(scope="module")
def on_sqlite() -> Iterator[Book]:
    with open_book("sqlite://", create=True) as desk:
        yield planted(desk)


@pytest.fixture(scope="module")
def on_postgresql(postgres_server: Any) -> Iterator[Book]:
    url = postgres_server.create_database()
    with open_book(url, create=True) as desk:
        yield planted(desk)
    postgres_server.drop_database(url)


@pytest.fixture(params=["on_sqlite", pytest.param("on_postgresql", marks=pytest.mark.postgres)])
def book(request: pytest.FixtureRequest) -> Book:
    """The book on each kind of database."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Book)
    return found


class World:
    """Some tokens, what they were given, and what each may do."""

    def __init__(self, book: Book, data: st.DataObject) -> None:
        self.book, self.draw = book, data.draw
        stem = book.number()
        self.names = {name: f"{name}-{stem}" for name in NAMES}
        for name in self.names.values():
            book.do(CreateToken(name=name))
        self.given: list[Given] = []
        self.start = time.time_ns() // 1_000_000

    def give(self, by: str | None, to: str, grant: Grant) -> bool:
        """Whether somebody (None: the owner) could give a grant."""
        kind = "installation" if grant.on == ALL else self.book.tree[grant.on].kind
        asked = CreateGrant(
            actor=f"token:{self.names[to]}",
            role=Role(grant.role),
            deny=grant.deny,
            target=TargetKind(kind),
            reference=None if grant.on == ALL else self.book.ids[grant.on],
            expires_at=None if grant.until == inf else int(grant.until),
        )
        made = self.ask(by, asked)
        if made is not None:
            self.given.append(Given(str(made.id), to, grant))
        return made is not None

    def ask(self, by: str | None, command: Any) -> Any:
        try:
            actor = ME if by is None else Actor(name=f"token:{self.names[by]}")
            return self.book.desk.do(command, actor)
        except AllotmentError:
            return None

    def policy(self, name: str, hours: float = 0) -> Policy:
        grants = tuple(one.grant for one in self.given if one.who == name)
        return Policy(self.book.tree, grants, now=self.start + hours * HOUR + 1)

    def powers(self, name: str) -> dict[tuple[str, float], int]:
        """The level at every place, now and after every end."""
        return {
            (place, hours): self.policy(name, hours).level(place)
            for place in PLACES
            for hours in (0, 1, 2, 3)
        }

    def drawn(self) -> Grant:
        end = self.draw(st.sampled_from(ENDS))
        return Grant(
            self.draw(st.sampled_from(ROLES)),
            self.draw(st.sampled_from(PLACES)),
            self.draw(st.integers(0, 4)) == 0,
            inf if end is None else self.start + end * HOUR,
        )

    def end(self) -> None:
        for grant in self.book.do_ask(ListGrants(limit=1000)).items:
            self.book.do(RevokeGrant(grant=str(grant.id)))
        for name in self.names.values():
            self.book.do(RevokeToken(token=name))


def step(world: World) -> None:
    """A delegate gives or takes something; nobody is the better for it than they were."""
    by = world.draw(st.sampled_from(NAMES[1:]))
    to = world.draw(st.sampled_from(NAMES))
    mine, before = world.powers(by), {name: world.powers(name) for name in NAMES}
    everywhere = world.policy(by).level(ALL) == 4
    lifted = False
    if world.draw(st.booleans()) or not world.given:
        grant = world.drawn()
        if not world.give(by, to, grant):
            return
        assert everywhere or not grant.deny, "denials are of administrators of everything"
    else:
        one = world.draw(st.sampled_from(world.given))
        if world.ask(by, RevokeGrant(grant=one.id)) is None:
            return
        world.given.remove(one)
        lifted = one.grant.deny
        assert everywhere or not lifted
        assert mine[(one.grant.on, 0)] == 4 or everywhere
    for name in NAMES:
        for where, level in world.powers(name).items():
            gained = level > before[name][where]
            assert not gained or mine[where] == 4 or lifted, (by, name, where, world.given)
    superior = before["superior"], world.powers("superior")
    lost = {where for where in superior[0] if superior[1][where] < superior[0][where]}
    assert everywhere or all(mine[(place, 0)] == 4 for place, _ in lost)


@ROUND
@given(st.data())
def test_nobody_gains_what_the_giver_did_not_have(on_sqlite: Book, data: st.DataObject) -> None:
    play(on_sqlite, data)


@SHORT_ROUND
@given(st.data())
def test_nor_does_anybody_on_postgresql(on_postgresql: Book, data: st.DataObject) -> None:
    play(on_postgresql, data)


def play(book: Book, data: st.DataObject) -> None:
    """Delegates give and take for some steps."""
    world = World(book, data)
    try:
        world.give(None, "superior", Grant("admin", "scope"))
        for name in NAMES[1:]:
            end = world.start + data.draw(st.integers(1, 3)) * HOUR
            world.give(None, name, Grant("admin", data.draw(st.sampled_from(PLACES)), until=end))
        for _ in range(data.draw(st.integers(0, 3))):
            world.give(None, data.draw(st.sampled_from(NAMES[1:])), world.drawn())
        for _ in range(data.draw(st.integers(1, 12))):
            step(world)
    finally:
        world.end()


def test_no_delegate_locks_a_superior_out(book: Book) -> None:
    """Who administers a part takes nothing from who administers the whole."""
    for name in ("chief", "local"):
        book.token(name)
    chief = CreateGrant(
        actor="token:chief", role=Role.ADMIN, target=TargetKind.SCOPE, reference="scope"
    )
    above = book.do(chief)
    local = CreateGrant(
        actor="token:local", role=Role.ADMIN, target=TargetKind.POOL, reference="pool"
    )
    book.do(local)
    who = Actor(name="token:local")
    for attempt in (
        RevokeGrant(grant=str(above.id)),
        RevokeToken(token="chief"),
        CreateGrant(
            actor="token:chief",
            role=Role.VIEWER,
            deny=True,
            target=TargetKind.POOL,
            reference="pool",
        ),
        CreateGrant(
            actor="token:local", role=Role.ADMIN, target=TargetKind.SCOPE, reference="scope"
        ),
        CreateGrant(actor="token:local", role=Role.VIEWER, target=TargetKind.INSTALLATION),
        CreateToken(name="mine-too", project="mine"),
    ):
        with pytest.raises(AllotmentError) as caught:
            book.desk.do(attempt, who)
        assert caught.value.code in ("forbidden", "not-found")


def test_who_is_denied_a_part_takes_no_grant_on_the_whole(book: Book) -> None:
    """Before: a delegate took from a superior what the delegate was denied."""
    for name in ("mighty", "capped"):
        book.token(name)
    above = book.do(
        CreateGrant(
            actor="token:mighty", role=Role.ADMIN, target=TargetKind.SCOPE, reference="scope"
        )
    )
    book.grant("token:capped", Grant("admin", "scope"))
    denial = book.grant("token:capped", Grant("viewer", "outer", deny=True))
    capped = Actor(name="token:capped")
    with pytest.raises(Forbidden):
        book.desk.do(RevokeGrant(grant=str(above.id)), capped)
    book.do(RevokeGrant(grant=denial))
    book.desk.do(RevokeGrant(grant=str(above.id)), capped)
