"""One client: takes, gives back, looks and counts, and keeps its ledger.

Invariant: it decides by its own chance alone; whatever a desk answers goes to the ledger as it is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol
from uuid import UUID

from allotment.errors import AllotmentError, CommitUnknown
from allotment.model.access import Actor
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, AllocateAddresses, ReleaseAddress
from allotment.model.events import ResolveOperation
from allotment.model.queries import GetAllocation, GetUtilisation
from faults.ledger import Ledger
from faults.stage import Pool

HELD_MAX = 40
REFUSED_PAUSE_SECONDS = 0.02


class AnyDesk(Protocol):
    """A desk, whichever."""

    def do(self, command: Any, actor: Actor, /) -> Any:
        """As `Desk.do`."""

    def ask(self, query: Any, actor: Actor, /) -> Any:
        """As `Desk.ask`."""


class Client:
    """Works on some pools through a desk; `counts` says whether it asks for utilisation."""

    def __init__(
        self,
        desk: AnyDesk,
        actor: Actor,
        ledger: Ledger,
        *,
        pools: Sequence[Pool],
        chance: random.Random,
    ) -> None:
        self.desk = desk
        self.actor = actor
        self.ledger = ledger
        self.pools = pools
        self.chance = chance
        self.counts = True
        self.keyed_share = 0.5
        self.hasty_share = 0.0
        self.mine: list[tuple[Pool, int, str]] = []
        self.gone: list[tuple[Pool, int, str]] = []
        self.open: list[tuple[str, str]] = []
        self.acks = 0
        self.answers = 0
        """What was heard of any request: what was acknowledged, and what was refused."""

    def step(self) -> None:
        """One request of any kind."""
        full = len(self.mine) >= HELD_MAX
        weights = (0 if full else 34, 8, 0 if full else 6, 36 if self.mine else 0, 3, 8, 2)
        kinds = (
            self.take,
            self.take_named,
            self.take_many,
            self.give,
            self.give_again,
            self.look,
            self.count,
        )
        self.chance.choices(kinds, weights)[0]()

    def take(self) -> None:
        """Any address."""
        pool = self.chance.choice(self.pools)
        self._take(pool, wanted=1, make=lambda mark, key: AllocateAddress(
            subnet=pool.id, description=mark, idempotency_key=key
        ))  # fmt: skip

    def take_named(self) -> None:
        """One certain address of a small pool."""
        pool = self.chance.choice(self.pools)
        address = pool.first + self.chance.randrange(min(pool.size, 256))
        self._take(pool, wanted=1, address=address, make=lambda mark, key: AllocateAddress(
            subnet=pool.id, address=Address.of(4, address), description=mark, idempotency_key=key
        ))  # fmt: skip

    def take_many(self) -> None:
        """Several at once, all or none."""
        pool = self.chance.choice(self.pools)
        wanted = self.chance.randint(2, 4)
        self._take(pool, wanted=wanted, make=lambda mark, key: AllocateAddresses(
            subnet=pool.id, count=wanted, description=mark, idempotency_key=key
        ))  # fmt: skip

    # Any: a command that takes something.
    def _take(self, pool: Pool, *, make: Callable[[str, str | None], Any], **asked: Any) -> None:
        keyed = self.chance.random() < self.keyed_share
        name = self.ledger.call("take", pool=pool.id, keyed=keyed, **asked)
        key = name if keyed else None
        told = self._send(name, key, lambda: self.desk.do(make(name, key), self.actor), _taken)
        self.mine += [(pool, address, held) for address, held in told or ()]

    def give(self) -> None:
        """What is held, by the one who holds it."""
        held = self.mine.pop(self.chance.randrange(len(self.mine)))
        self.gone = [*self.gone[-20:], held]
        self._give(*held)

    def give_again(self) -> None:
        """A release that comes late: it must never free the next owner's address."""
        if self.gone:
            self._give(*self.chance.choice(self.gone))

    def _give(self, pool: Pool, address: int, held: str) -> None:
        keyed = self.chance.random() < self.keyed_share
        name = self.ledger.call("give", pool=pool.id, address=address, id=held, keyed=keyed)
        key = name if keyed else None
        command = ReleaseAddress(
            subnet=pool.id,
            address=Address.of(4, address),
            allocation_id=held,
            idempotency_key=key,
        )
        self._send(name, key, lambda: self.desk.do(command, self.actor), lambda _: [])

    def look(self) -> None:
        """Who holds an address."""
        pool = self.chance.choice(self.pools)
        address = pool.first + self.chance.randrange(min(pool.size, 64))
        name = self.ledger.call("look", pool=pool.id, address=address)
        query = GetAllocation(subnet=pool.id, address=Address.of(4, address))
        self._send(name, None, lambda: self.desk.ask(query, self.actor), lambda one: str(one.id))

    def count(self) -> None:
        """How many are held in a pool."""
        if not self.counts:
            return
        pool = self.chance.choice(self.pools)
        name = self.ledger.call("count", pool=pool.id)
        query = GetUtilisation(containers=(pool.id,))
        self._send(name, None, lambda: self.desk.ask(query, self.actor), lambda p: p.items[0].held)

    # Any: an answer, and what the ledger keeps of it.
    def _send(
        self, name: str, key: str | None, send: Callable[[], Any], keep: Callable[[Any], Any]
    ) -> Any:
        try:
            kept = keep(send())
        except CommitUnknown:
            self.ledger.heard(name, "unknown")
            if key is not None:
                self.open.append((name, key))
                if self.chance.random() < self.hasty_share:
                    self.resolve()
            return None
        except AllotmentError as error:
            self.ledger.heard(name, error.code)
            self.answers += 1
            if error.kind not in ("exhausted", "conflict", "not-found"):
                time.sleep(REFUSED_PAUSE_SECONDS)
            return None
        except Exception as error:  # noqa: BLE001 - the judge is told: no other error may come out
            self.ledger.heard(name, f"untyped {type(error).__name__}: {error}"[:200])
            return None
        self.ledger.heard(name, "ok", kept)
        self.acks += 1
        self.answers += 1
        return kept

    def resolve(self, times: int = 2) -> int:
        """Ask what became of every keyed request that is open; how many are open still."""
        left = []
        for name, key in self.open:
            fates = []
            with suppress(AllotmentError):
                for _ in range(times):
                    told = self.desk.do(ResolveOperation(key=key), self.actor)
                    fates.append(str(told.state.value))
                    self.ledger.enter(n=name, fate=fates[-1])
            if len(fates) < times:
                left.append((name, key))
        self.open = left
        return len(left)


def _taken(answer: Any) -> list[tuple[int, str]]:  # Any: the answer of either command
    if hasattr(answer, "address"):
        return [(answer.address.value, str(answer.id))]
    numbers = [n for run in answer.ranges for n in range(run.first, run.last + 1)]
    first = answer.first_id.int
    return [(number, str(UUID(int=first + n))) for n, number in enumerate(numbers)]
