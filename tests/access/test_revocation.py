"""Revocation: what was acknowledged holds for every call that begins afterwards.

Invariant: no call that began after the answer to the revocation has an effect, in any process.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from access import worker
from access.book import ME
from allotment import LocalDesk, Prefix, open_book
from allotment.errors import Forbidden, NotFound, Unauthenticated
from allotment.model import commands as c
from allotment.model import queries as q
from allotment.model.access import Actor, Role
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    RevokeGrant,
    RevokeToken,
    TargetKind,
)

pytestmark = pytest.mark.races
ROUNDS, HANDS = 50, 4  # of each way; on SQLite, whose writers wait for one another, a tenth
REFUSED = (Unauthenticated, Forbidden, NotFound)
Call = tuple[float, float, bool]  # when it began and ended, and whether it had an effect


@pytest.fixture(params=["sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/book.db"


@pytest.fixture
def desks(url: str) -> Iterator[list[LocalDesk]]:
    """Two desks on one book: what one of them keeps in mind, the other cannot forget for it."""
    with open_book(url, create=True) as one, open_book(url) as other:
        for name in ("mine", "other"):
            one.do(c.CreateProject(name=name), ME)
        one.do(c.CreateAddressScope(name="s"), ME)
        one.do(c.CreateSubnet(prefix=Prefix("10.0.0.0/12"), name="n", project="mine"), ME)
        yield [one, other]


class Somebody:
    """A token with a grant on the project that the subnet belongs to."""

    def __init__(self, desk: LocalDesk, name: str) -> None:
        made = desk.do(CreateToken(name=name), ME)
        self.actor = Actor(name=made.token.actor)
        self.bearer = made.secret.reveal()
        grant = CreateGrant(
            actor=self.actor.name,
            role=Role.ALLOCATOR,
            target=TargetKind.PROJECT,
            reference="mine",
        )
        self.grant = str(desk.do(grant, ME).id)
        self.name = name


def revoke_token(desk: LocalDesk, who: Somebody) -> None:
    desk.do(RevokeToken(token=who.name), ME)


def revoke_grant(desk: LocalDesk, who: Somebody) -> None:
    desk.do(RevokeGrant(grant=who.grant), ME)


def move_subnet(desk: LocalDesk, _who: Somebody) -> None:
    desk.do(c.UpdateSubnet(subnet="n", project="other"), ME)


def deny(desk: LocalDesk, who: Somebody) -> None:
    everything = TargetKind.INSTALLATION
    denial = CreateGrant(actor=who.actor.name, role=Role.VIEWER, deny=True, target=everything)
    desk.do(denial, ME)


WAYS: list[Callable[[LocalDesk, Somebody], None]] = [revoke_token, revoke_grant, move_subnet, deny]


def hammer(desk: LocalDesk, actor: Actor, subnet: str, calls: list[Call], *, plain: bool) -> None:
    """Ask until refused three times."""
    refused = 0
    more = {} if plain else {"tags": ("t",)}
    while refused < 3:
        began = time.monotonic()
        try:
            desk.do(c.AllocateAddress(subnet=subnet, **more), actor)
            calls.append((began, time.monotonic(), True))
        except REFUSED:
            refused += 1
            calls.append((began, time.monotonic(), False))


def rounds_of(desk: LocalDesk) -> int:
    return ROUNDS if desk.store.dialect.concurrent else ROUNDS // 10


@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_began_after_a_revocation_has_an_effect(
    desks: list[LocalDesk], way: Callable[[LocalDesk, Somebody], None]
) -> None:
    subnet = str(desks[0].ask(q.GetSubnet(subnet="n"), ME).id)
    served = 0
    rounds = rounds_of(desks[0])
    for number in range(rounds):
        who = Somebody(desks[0], f"t{number}")
        calls: list[Call] = []
        threads = [
            threading.Thread(
                target=hammer,
                args=(desks[hand % 2], who.actor, subnet, calls),
                kwargs={"plain": hand < HANDS - 1},
            )
            for hand in range(HANDS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        way(desks[number % 2], who)
        acknowledged = time.monotonic()
        for thread in threads:
            thread.join()
        assert not [one for one in calls if one[0] > acknowledged and one[2]]
        served += sum(one[2] for one in calls)
        desks[0].do(c.UpdateSubnet(subnet=subnet, project="mine"), ME)
    assert served > rounds, "the hands were at work when it was revoked"
    held = sum(1 for _ in pages(desks[0]))
    assert held == served, "what was refused has taken nothing"


def pages(desk: LocalDesk) -> Iterator[Any]:
    cursor = None
    while True:
        page = desk.ask(q.ListAllocations(limit=1000, cursor=cursor), ME)
        yield from page.items
        if page.next is None:
            return
        cursor = page.next


def test_a_revoked_token_is_not_known_again(desks: list[LocalDesk]) -> None:
    """Who it is may be taken for what it was for half a second; what it may do never is."""
    who = Somebody(desks[0], "t")
    for desk in desks:
        assert desk.authenticate(who.bearer) == who.actor
        desk.do(c.AllocateAddress(subnet="n"), who.actor)
    desks[0].do(RevokeToken(token="t"), ME)
    for desk in desks:
        with pytest.raises(Unauthenticated):
            desk.do(c.AllocateAddress(subnet="n"), desk.authenticate(who.bearer))
    time.sleep(0.6)
    for desk in desks:
        with pytest.raises(Unauthenticated):
            desk.authenticate(who.bearer)


def test_a_revocation_holds_in_another_process(url: str, desks: list[LocalDesk]) -> None:
    subnet = str(desks[0].ask(q.GetSubnet(subnet="n"), ME).id)
    spawn = multiprocessing.get_context("spawn")
    for way in (revoke_token, revoke_grant, move_subnet):
        who = Somebody(desks[0], way.__name__)
        near, far = spawn.Pipe()
        process = spawn.Process(target=worker.elsewhere, args=(url, who.actor.name, subnet, far))
        process.start()
        far.close()  # so that a process that died is heard of
        calls = [near.recv() for _ in range(5)]
        way(desks[0], who)
        acknowledged = time.monotonic()  # one clock for all processes of a machine
        while isinstance(told := near.recv(), tuple):
            calls.append(told)
        process.join()
        assert told in {error.code for error in REFUSED}
        assert not [one for one in calls if one[0] > acknowledged and one[2]]
        assert sum(one[2] for one in calls) >= 4
        desks[0].do(c.UpdateSubnet(subnet=subnet, project="mine"), ME)


def test_what_is_checked_is_what_is_acted_on(desks: list[LocalDesk]) -> None:
    """Between the check and the act nobody moves a subnet from under it unseen."""
    subnet = str(desks[0].ask(q.GetSubnet(subnet="n"), ME).id)
    who = Somebody(desks[0], "t")
    stop = threading.Event()
    wrong: list[Any] = []

    def act() -> None:
        while not stop.is_set():
            began = desks[1].ask(q.GetSubnet(subnet=subnet), ME)
            try:
                desks[0].do(c.AllocateAddress(subnet=subnet), who.actor)
            except REFUSED:
                continue
            ended = desks[1].ask(q.GetSubnet(subnet=subnet), ME)
            if began.version == ended.version and ended.project != "mine":
                wrong.append(ended)

    threads = [threading.Thread(target=act) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(rounds_of(desks[0])):
        desks[1].do(c.UpdateSubnet(subnet=subnet, project=("other", "mine")[number % 2]), ME)
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
