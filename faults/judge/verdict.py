"""All laws over one campaign: what was found, and what was counted on the way.

Invariant: a campaign in which too little happened is no proof: its record says what was there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from faults.judge import book_laws, effects, linearizable, timing
from faults.judge.history import Event
from faults.judge.linearizable import Orders
from faults.judge.rows import Rows

SECONDS_MAX = 31.5
"""L3: the deadline of 30 s and one second more; and half a one for the way there and back, which on
a machine whose every core is taken is none of the product's."""
EXPECTED = frozenset(
    {"ok", "unknown", "not-found", "stale-allocation", "address-taken", "pool-exhausted"}
    | {"busy", "deadlock", "serialization", "deadline-exceeded", "not-primary", "overloaded"}
    | {"store-full", "store-unavailable", "unreached"}
)
"""What a client may hear: answers, and that the database or the service is not there just now."""


@dataclass
class Verdict:
    """What the judge has to say."""

    findings: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    unknown_done: int = 0
    unknown_not_done: int = 0
    slowest_seconds: float = 0.0
    orders: Orders = field(default_factory=Orders)

    @property
    def laws(self) -> set[str]:
        """The names of the laws that were broken."""
        return {finding.split(" ", 1)[0] for finding in self.findings}


def judge(
    history: Sequence[Event],
    rows: Rows,
    *,
    counters: bool = False,
    orders: bool = True,
    seconds_max: float = SECONDS_MAX,
) -> Verdict:
    """Hold the ledgers and the book against every law."""
    verdict = Verdict()
    done = effects.Effects.of(rows, history)
    for event in history:
        verdict.outcomes[f"{event.op}: {event.code}"] += 1
        if event.unknown and event.op in ("take", "give"):
            if done.happened(event):
                verdict.unknown_done += 1
            else:
                verdict.unknown_not_done += 1
        if event.code not in EXPECTED:
            verdict.findings.append(f"E1 {event.name} ({event.op}) ended with {event.code}")
        if event.back - event.call < 1e9:
            verdict.slowest_seconds = max(verdict.slowest_seconds, event.back - event.call)
    verdict.findings += book_laws.findings(rows)
    verdict.findings += effects.findings(history, rows, done)
    known = timing.holds(history, done)
    verdict.findings += timing.findings(history, rows, known, seconds_max)
    if orders:
        _seek_orders(history, rows, done, verdict, counters=counters)
    return verdict


def _seek_orders(
    history: Sequence[Event],
    rows: Rows,
    done: effects.Effects,
    verdict: Verdict,
    *,
    counters: bool,
) -> None:
    resting = frozenset(name for name, one in rows.subnets.items() if one.quarantine_seconds)
    for place, calls in linearizable.address_calls(history, done, resting).items():
        verdict.findings += verdict.orders.seek(
            f"address {place[1]} of {place[0]}", calls, None, linearizable.of_address
        )
    if not counters:
        return
    for pool, calls in linearizable.counter_calls(history, done).items():
        if pool in resting or pool not in rows.pools:
            continue
        size = sum(last - first + 1 for first, last in rows.pools[pool])
        step = linearizable.of_counter(size)
        verdict.findings += verdict.orders.seek(f"pool {pool}", calls, 0, step)
