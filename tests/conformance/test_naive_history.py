"""The history of a book against a plain list of who held what, from when until when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from allotment import Address, LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateSubnet,
    DeleteSubnet,
    ReleaseAddress,
    ReleaseAddresses,
    UpdateAllocation,
)
from allotment.model.history import ListHistory, Period
from allotment.model.queries import CheckBook
from allotment.model.results import Status

BEGAN = 1_000
LASTS = (2, 3, 9)
FEW = hypothesis.settings(
    max_examples=max(5, hypothesis.settings().max_examples // 10),
    suppress_health_check=list(hypothesis.HealthCheck),
)


@dataclass(frozen=True)
class Holder:
    """One line of the list; `until` is None while it goes on."""

    id: UUID
    hostname: str | None
    status: Status
    since: int
    until: int | None = None
    changed: bool = False


class Naive:
    """The holders of each address, the present one last."""

    def __init__(self) -> None:
        self.lines: dict[int, list[Holder]] = {last: [] for last in LASTS}

    def held(self, last: int) -> Holder | None:
        lines = self.lines[last]
        return lines[-1] if lines and lines[-1].until is None else None

    def begin(self, last: int, holder: Holder) -> None:
        self.lines[last].append(holder)

    def end(self, last: int, now: int) -> int:
        """When the present holder of an address ends; what was nobody's at any time is left out."""
        holder = self.lines[last].pop()
        until = max(holder.since, now)
        if not (holder.changed and until == holder.since):
            self.lines[last].append(replace(holder, until=until))
        return until

    def listed(self, last: int) -> list[Holder]:
        lines = self.lines[last]
        present = [one for one in lines if one.until is None]
        former = [one for one in lines if one.until is not None]
        return present + sorted(former, key=lambda one: (one.until, one.id), reverse=True)

    def at(self, last: int, moment: int) -> list[Holder]:
        return [
            one
            for one in self.lines[last]
            if one.since <= moment and (one.until is None or moment < one.until)
        ]


class Game:
    """A subnet of its own, the list beside it, and a clock that only goes on."""

    def __init__(self, desk: LocalDesk, me: Actor, data: st.DataObject) -> None:
        self.desk, self.me, self.draw = desk, me, data.draw
        self.now, self.naive = BEGAN, Naive()
        desk.store.clock = lambda: self.now
        made = desk.do(CreateAddressScope(name=f"s{Game.number()}"), me)
        self.scope = str(made.id)
        self.open()

    _count = 0

    @classmethod
    def number(cls) -> int:
        cls._count += 1
        return cls._count

    def do(self, command: Any) -> Any:
        return self.desk.do(command, self.me)

    def open(self) -> None:
        command = CreateSubnet(scope=self.scope, prefix=Prefix("10.0.0.0/28"))
        self.subnet = str(self.do(command).id)

    def step(self) -> None:
        self.now += self.draw(st.integers(0, 2))
        last = self.draw(st.sampled_from(LASTS))
        here = {"subnet": self.subnet, "address": Address(f"10.0.0.{last}")}
        name = self.draw(st.sampled_from(["a", "b", None]))
        holder = self.naive.held(last)
        if holder is None:
            made = self.do(AllocateAddress(**here, hostname=name))
            self.naive.begin(last, Holder(made.id, name, made.status, self.now))
            return
        what = self.draw(st.integers(0, 9))
        if what < 4:
            status = self.draw(st.sampled_from(list(Status)))
            self.do(UpdateAllocation(**here, hostname=name, status=status, tags=("t",)))
            if (name, status) != (holder.hostname, holder.status):
                since = self.naive.end(last, self.now)
                self.naive.begin(last, Holder(holder.id, name, status, since, changed=True))
        elif what < 7:
            self.do(ReleaseAddress(**here))
            self.naive.end(last, self.now)
        else:
            self.end_all(whole=what == 9)

    def end_all(self, *, whole: bool) -> None:
        """Give all back at once, or delete the subnet and make it anew."""
        held = [last for last in LASTS if self.naive.held(last)]
        if whole:
            self.do(DeleteSubnet(subnet=self.subnet, cascade=True))
            self.open()
        else:
            addresses = tuple(Address(f"10.0.0.{last}") for last in held)
            self.do(ReleaseAddresses(subnet=self.subnet, addresses=addresses))
        for last in held:
            self.naive.end(last, self.now)

    def told(self, last: int, **more: Any) -> list[Period]:
        """Page by page."""
        found: list[Period] = []
        limit, cursor = self.draw(st.sampled_from([1, 2, 100])), None
        while True:
            query = ListHistory(
                address=Address(f"10.0.0.{last}"), scope=self.scope, limit=limit, cursor=cursor,
                **more,
            )  # fmt: skip
            page = self.desk.ask(query, self.me)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    def check(self) -> None:
        for last in LASTS:
            assert list(map(plain, self.told(last))) == list(map(line, self.naive.listed(last)))
            for moment in range(BEGAN - 1, self.now + 2):
                wanted = list(map(line, self.naive.at(last, moment)))
                assert list(map(plain, self.told(last, at=moment))) == wanted, moment


def plain(one: Period) -> tuple[object, ...]:
    return one.allocation_id, one.hostname, one.status, one.since, one.until


def line(one: Holder) -> tuple[object, ...]:
    return one.id, one.hostname, one.status, one.since, one.until


@FEW
@given(data=st.data())
def test_whatever_happens_every_holder_is_told_as_a_plain_list_has_it(
    desk: LocalDesk, me: Actor, data: st.DataObject
) -> None:
    game = Game(desk, me, data)
    for _ in range(data.draw(st.integers(1, 20))):
        game.step()
    game.check()
    assert desk.ask(CheckBook(), me).clean
