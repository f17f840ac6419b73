"""Many clients at work in processes of their own, told when to work, to resolve, and to end.

Invariant: every client's ledger outlives it; the crew is forked before its parent opens anything.
"""

from __future__ import annotations

import gc
import mmap
import os
import random
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.errors import AllotmentError
from allotment.model.access import Actor
from faults.client import AnyDesk, Client
from faults.ledger import Ledger
from faults.record import Record
from faults.stage import Pool
from faults.victims import Victim, until

WORK, RESOLVE, END = 0, 1, 2
ACKS, RESOLVED, ANSWERS = 0, 1, 2
CELLS = 3  # of each process, after the order
LEAVE_SECONDS = 180.0
BEGIN_SECONDS = 60.0
ANSWERS_TO_BEGIN = 20


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a crew works: so many processes of so many threads, and how each reaches the book."""

    folder: Path
    pools: Sequence[Pool]
    seed: int
    processes: int
    threads: int
    open_desk: Callable[[int], tuple[AnyDesk, Actor]]
    apart: bool = False
    """Whether each thread keeps to a pool or two, so that histories of counters stay narrow."""
    keyed_share: float = 0.5
    counts: bool = True
    hasty_share: float = 0.0
    pause_seconds: float = 0.0


# Any: other fields of a plan, by name.
def two_processes(
    record: Record,
    folder: Path,
    pools: Sequence[Pool],
    open_desk: Callable[[int], tuple[AnyDesk, Actor]],
    **others: Any,
) -> Plan:
    """The clients that a campaign was asked for, in two processes."""
    return Plan(
        folder=folder,
        pools=pools,
        seed=record.seed,
        processes=2,
        threads=max(1, record.options.clients // 2),
        open_desk=open_desk,
        **others,
    )


def desk_at(url: str, _number: int) -> tuple[LocalDesk, Actor]:
    """A desk of a process's own, and the owner of the book."""
    return open_book(url), local_owner()


@contextmanager
def at_work(record: Record, plan: Plan) -> Iterator[Crew]:
    """A crew that has begun to work; at the end all it asked is known, or found stuck."""
    crew = Crew(plan)
    try:
        if crew.works_again(BEGIN_SECONDS, ANSWERS_TO_BEGIN) is None:
            record.findings.append(f"L1 a crew did not begin to work within {BEGIN_SECONDS} s")
        yield crew
        record.findings += crew.finish()
    finally:
        crew.kill()


@contextmanager
def desks_at_work(
    record: Record, folder: Path, url: str, pools: Sequence[Pool], **others: Any
) -> Iterator[Crew]:
    """A crew that opens the book by itself, as embedded programs do."""
    plan = two_processes(record, folder, pools, partial(desk_at, url), **others)
    with at_work(record, plan) as crew:
        yield crew


class Crew:
    """The processes, which count in shared memory."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._shared = mmap.mmap(-1, 8 * (1 + CELLS * plan.processes))
        self.order = WORK
        self.victims = [Victim(self._work(number)) for number in range(plan.processes)]

    @property
    def order(self) -> int:
        """What everybody is told to do."""
        return int(struct.unpack_from("q", self._shared, 0)[0])

    @order.setter
    def order(self, order: int) -> None:
        struct.pack_into("q", self._shared, 0, order)

    @property
    def acks(self) -> int:
        """How many requests were acknowledged so far."""
        return self._sum(ACKS)

    @property
    def answers(self) -> int:
        """How many were answered so far, refusals among them."""
        return self._sum(ANSWERS)

    @property
    def ledgers(self) -> list[Path]:
        """Everybody's ledger."""
        return [self.plan.folder / f"ledger-{n}" for n in range(self.plan.processes)]

    def works_again(self, seconds: float, answers: int = 1) -> float | None:
        """Wait until so much is acknowledged; how long that took, None: it did not come."""
        began, before = time.monotonic(), self.acks
        if until(lambda: self.acks >= before + answers, seconds, pause=0.005):
            return time.monotonic() - began
        return None

    def finish(self) -> list[str]:
        """Have everything open resolved, and end; what went wrong."""
        self.order = RESOLVE
        until(lambda: self._sum(RESOLVED) == self.plan.processes, LEAVE_SECONDS)
        self.order = END
        wrong = []
        for victim in self.victims:
            if not until(victim.ended_quietly, LEAVE_SECONDS, pause=0.05):
                victim.kill()
                wrong.append("L1 a crew did not come to its end: its requests are stuck")
            elif victim.code != 0:
                wrong.append(f"E1 a crew ended with {victim.code}")
        return wrong

    def kill(self) -> None:
        """End everybody at once."""
        for victim in self.victims:
            if victim.code is None:
                victim.kill()

    def _sum(self, cell: int) -> int:
        every = struct.unpack_from(f"{CELLS * self.plan.processes}q", self._shared, 8)
        return sum(every[cell::CELLS])

    def _work(self, number: int) -> Callable[[], object]:
        def work() -> None:
            plan = self.plan
            files = _open_files()
            desk, actor = plan.open_desk(number)
            ledger = Ledger(self.ledgers[number], f"{number}")
            clients = [
                self._client(desk, actor, ledger, number * plan.threads + thread)
                for thread in range(plan.threads)
            ]
            threads = [threading.Thread(target=self._steps, args=(one,)) for one in clients]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                self._tell(number, clients)
                time.sleep(0.01)
            self._tell(number, clients)
            left = _resolved(clients)
            self._put(number, RESOLVED, 1)
            desk.close()  # type: ignore[attr-defined]  # every desk closes
            ledger.close()
            gc.collect()  # what was given up while it was lent out is closed by the collector
            if left or threading.active_count() > 1 or _open_files() > files:
                names = [thread.name for thread in threading.enumerate()]
                raise SystemExit(f"{left} open, {names}, {_open_files() - files} files more")

        return work

    def _tell(self, number: int, clients: Sequence[Client]) -> None:
        self._put(number, ACKS, sum(client.acks for client in clients))
        self._put(number, ANSWERS, sum(client.answers for client in clients))

    def _put(self, process: int, cell: int, value: int) -> None:
        struct.pack_into("q", self._shared, 8 * (1 + CELLS * process + cell), value)

    def _client(self, desk: AnyDesk, actor: Actor, ledger: Ledger, number: int) -> Client:
        plan = self.plan
        pools = plan.pools
        if plan.apart:
            pools = [plan.pools[number // 4 % len(plan.pools)], plan.pools[-1]]
        client = Client(
            desk, actor, ledger, pools=pools, chance=random.Random(plan.seed * 1009 + number)
        )
        client.counts = plan.counts
        client.hasty_share = plan.hasty_share
        client.keyed_share = plan.keyed_share
        return client

    def _steps(self, client: Client) -> None:
        while self.order == WORK:
            client.step()
            if self.plan.pause_seconds:
                time.sleep(client.chance.uniform(0, 2 * self.plan.pause_seconds))


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def _resolved(clients: Sequence[Client]) -> int:
    """Ask until every fate is known; how many are not."""
    deadline = time.monotonic() + LEAVE_SECONDS / 2
    while time.monotonic() < deadline:
        try:
            left = sum(client.resolve() for client in clients)
        except AllotmentError:
            left = -1
        if left == 0:
            break
        time.sleep(0.2)
    return sum(len(client.open) for client in clients)
