"""How often one may ask: token buckets, by token, actor and source.

Invariant: a request is counted once for each limit there is; the buckets are bounded in number,
and the ones that were not used for longest go first.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

from allotment.doors.rest.settings import Rate, Rates
from allotment.errors import RateLimited
from allotment.model.access import Actor
from allotment.model.address import Address
from allotment.model.commands import AllocateAddresses, Batch, Command, ReleaseAddresses
from allotment.model.queries import Query

BUCKETS_MAX: Final = 65_536
_AT_ONCE: Final = 100
_LONG: Final = 10.0


class Buckets:
    """Buckets of one size, by key."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable, cost: float) -> int | None:
        """Take what a request costs; None, or how many milliseconds it has to wait first."""
        now = self._clock()
        cost = min(cost, self._rate.burst)
        with self._lock:
            level, at = self._levels.pop(key, (self._rate.burst, now))
            level = min(self._rate.burst, level + (now - at) * self._rate.per_second)
            enough = level >= cost
            self._levels[key] = (level - cost if enough else level, now)
            if len(self._levels) > BUCKETS_MAX:
                self._levels.popitem(last=False)
        if enough:
            return None
        return max(1, math.ceil((cost - level) / self._rate.per_second * 1000))


class Pace:
    """The limits of one process."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = _buckets(rates.token, clock)
        self._actor = _buckets(rates.actor, clock)
        self._source = _buckets(rates.source, clock)
        self._failures = _buckets(rates.failures, clock)
        self._proven: OrderedDict[int, None] = OrderedDict()

    def may_try(self, bearer: str, source: Address | None) -> None:
        """Whether somebody may present a token now.

        A source that failed too often waits; a token that worked before does not wait with it.

        Raises:
            RateLimited: too many failed from there.
        """
        if self._failures is None or hash(bearer) in self._proven:
            return
        _refuse(self._failures.take(_network(source), 1.0), "this source")

    def worked(self, bearer: str, source: Address | None) -> None:
        """A token was good: what `may_try` counted was no failure."""
        if self._failures is None:
            return
        key = hash(bearer)
        if key not in self._proven:
            self._failures.take(_network(source), -1.0)
            self._proven[key] = None
            if len(self._proven) > BUCKETS_MAX:
                self._proven.popitem(last=False)

    def failed(self, bearer: str) -> None:
        """A token was refused: it is none of the proven ones any more."""
        self._proven.pop(hash(bearer), None)

    def pay(self, bearer: str, actor: Actor, source: Address | None, cost: float) -> None:
        """Count a request of somebody known.

        Raises:
            RateLimited: the token, its actor or the source asks too often.
        """
        if self._token is not None:
            _refuse(self._token.take(hash(bearer), cost), "this token")
        if self._actor is not None:
            _refuse(self._actor.take(actor.name, cost), actor.name)
        if self._source is not None:
            _refuse(self._source.take(_network(source), cost), "this source")


def cost_of(request: Command[Any] | Query[Any]) -> float:  # Any: whatever it answers
    """What a request costs: 1, and more for one that does the work of many."""
    match request:
        case AllocateAddresses():
            return 1.0 + request.count // _AT_ONCE
        case ReleaseAddresses():
            return 1.0 + len(request.addresses) // _AT_ONCE
        case Batch():
            return float(max(1, len(request.commands)))
        case _:
            return _LONG if request.takes_long else 1.0


def _buckets(rate: Rate | None, clock: Callable[[], float]) -> Buckets | None:
    return None if rate is None else Buckets(rate, clock)


def _network(source: Address | None) -> Hashable:
    """Who shares a bucket: an IPv4 address, or an IPv6 /64, which one machine has as a whole."""
    if source is None:
        return None
    return (source.family, source.value if source.family == 4 else source.value >> 64)


def _refuse(wait_ms: int | None, who: str) -> None:
    if wait_ms is not None:
        raise RateLimited(who, wait_ms)
