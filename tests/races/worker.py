"""One process of a race: it works on a book, and keeps a ledger of its own.

Invariant: a line is on the disk before a command is sent, and another after its answer came; times
are of the one monotonic clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from itertools import count
from multiprocessing.synchronize import Barrier
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO
from uuid import UUID

from allotment import Address, AddressRange, LocalDesk, Prefix, local_owner, open_book
from allotment.errors import AllotmentError
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Command,
    CreateSubnet,
    DeleteSubnet,
    Method,
    ReleaseAddress,
    UpdateAllocationPools,
)
from allotment.model.results import AddressPlacement

BASE = Address("10.0.0.0").value
# The pools that the hot subnet (10.0.0.0/26) has in turn, as offsets; the second is the first.
POOLS = (((2, 33),), ((20, 33), (2, 19)), ((2, 25),), ((2, 9), (14, 37)))
OUTSIDE = range(50, 54)


class Ledger:
    """What a process asked and heard, line by line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._numbers = count()

    def write(self, **facts: Any) -> None:
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def call(self, what: str, **asked: Any) -> int:
        number = next(self._numbers)
        self.write(number=number, what=what, asked=asked, call=monotonic())
        return number


class Racer:
    """A process that races."""

    def __init__(self, desk: LocalDesk, ledger: Ledger, seed: int) -> None:
        self.desk = desk
        self.ledger = ledger
        self.me = local_owner()
        self.chance = random.Random(seed)
        self.mine: list[tuple[int, str]] = []
        self.gone: list[tuple[int, str]] = []

    def send(
        self,
        what: str,
        command: Command[Any],
        told: Callable[[Any], Any] = lambda answer: None,
        **asked: Any,
    ) -> Any:
        """Do a command; its answer, or nothing, and either in the ledger."""
        number = self.ledger.call(what, **asked)
        try:
            answer = self.desk.do(command, self.me)
        except AllotmentError as error:
            self.ledger.write(number=number, back=monotonic(), code=error.code)
            return None
        heard = told(answer)
        self.ledger.write(number=number, back=monotonic(), code="ok", heard=heard)
        return heard

    def mixed(self) -> None:
        """One command of any kind."""
        kind = self.chance.choices(
            (self.any, self.named, self.bulk, self.release, self.release_again, self.other),
            (30, 12, 12, 40 if len(self.mine) > 1 else 5, 4, 4),
        )[0]
        kind()

    def any(self) -> None:
        method = self.chance.choice((Method.ANY, Method.ANY, Method.NEXT))
        placement = self.chance.choice((None, *AddressPlacement))
        command = AllocateAddress(
            subnet="hot", method=method, placement=None if method is Method.NEXT else placement
        )
        self.keep(self.send("any", command, _held, wanted=1))

    def named(self) -> None:
        offset = self.chance.choice((*range(2, 38), *OUTSIDE, *OUTSIDE))
        command = AllocateAddress(subnet="hot", address=Address.of(4, BASE + offset))
        self.keep(self.send("named", command, _held, address=offset))

    def bulk(self) -> None:
        wanted, contiguous = self.chance.randint(2, 5), self.chance.random() < 0.5
        command = AllocateAddresses(subnet="hot", count=wanted, contiguous=contiguous)
        what = "run" if contiguous else "bulk"
        self.keep(self.send(what, command, _held_many, wanted=wanted))

    def keep(self, given: list[tuple[int, str]] | None) -> None:
        self.mine += given or ()

    def release(self) -> None:
        if self.mine:
            held = self.mine.pop(self.chance.randrange(len(self.mine)))
            self.gone.append(held)
            self.send("release", _release(*held), address=held[0], id=held[1])

    def release_again(self) -> None:
        """A release that comes late must never free the next owner's address."""
        if self.gone:
            held = self.chance.choice(self.gone)
            self.send("release again", _release(*held), address=held[0], id=held[1])

    def other(self) -> None:
        self.send("other", AllocateAddress(subnet="other"))

    def update_pools(self) -> None:
        which = self.chance.randrange(len(POOLS))
        ranges = tuple(AddressRange.of(4, BASE + a, BASE + b) for a, b in POOLS[which])
        self.send("pools", UpdateAllocationPools(subnet="hot", ranges=ranges), which=which)
        sleep(self.chance.random() * 0.05)

    def make_and_remove(self) -> None:
        prefix = Prefix("10.0.0.64/28")
        self.send("make", CreateSubnet(scope="s", prefix=prefix, name="other"))
        sleep(self.chance.random() * 0.05)
        self.send("remove", DeleteSubnet(subnet="other", scope="s", cascade=True))

    def carve(self) -> Iterator[None]:
        """Carve until the pool is empty, having asked for what one identifier has."""
        wish = AllocateAddress(subnet="hot", identifier="one", placement=AddressPlacement.RANDOM)
        self.send("identified", wish, _held)
        yield
        wanted = AllocatePrefix(pool="pool", length=28)
        while self.send("carve", wanted, lambda answer: str(answer.prefix)) is not None:
            yield


def _held(answer: Any) -> list[tuple[int, str]]:
    return [(answer.address.value - BASE, str(answer.id))]


def _held_many(answer: Any) -> list[tuple[int, str]]:
    values = [v for run in answer.ranges for v in range(run.first, run.last + 1)]
    first = answer.first_id.int
    return [(value - BASE, str(UUID(int=first + n))) for n, value in enumerate(values)]


def _release(offset: int, allocation_id: str) -> ReleaseAddress:
    return ReleaseAddress(
        subnet="hot", address=Address.of(4, BASE + offset), allocation_id=allocation_id
    )


def work(url: str, path: str, role: str, seed: int, seconds: float, start: Barrier) -> None:
    """Open the book, wait for the others, and race."""
    with open_book(url) as desk, Path(path).open("w") as file:
        racer = Racer(desk, Ledger(file), seed)
        start.wait(60)
        end = monotonic() + seconds
        if role == "carve":
            for _ in racer.carve():
                pass
            return
        step = {
            "mixed": racer.mixed,
            "pools": racer.update_pools,
            "subnets": racer.make_and_remove,
        }[role]
        while monotonic() < end:
            step()
