"""What the clients' ledgers say: every request from its call to its answer.

Invariant: a request without an answer is unknown, for ever; a line cut off by a kill is no line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"


@dataclass(slots=True)
class Event:
    """One request; `fates` is what was said of it later, each time it was asked about."""

    name: str
    op: str
    asked: dict[str, Any]
    call: float
    back: float = inf
    code: str = UNKNOWN
    got: Any = None
    fates: list[Any] = field(default_factory=list)

    @property
    def key(self) -> str | None:
        """Its idempotency key: its name, where it has one."""
        return self.name if self.asked.get("keyed") else None

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.code == "ok"

    @property
    def unknown(self) -> bool:
        """Whether nobody heard what became of it."""
        return self.code in (UNKNOWN, "commit-unknown")


def read(paths: Iterable[Path]) -> list[Event]:
    """The requests of some ledgers, in the order of their calls."""
    events: dict[str, Event] = {}
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            try:
                facts = json.loads(line)
            except ValueError:
                continue  # the end of a killed client's file
            _enter(events, facts)
    return sorted(events.values(), key=lambda event: event.call)


def _enter(events: dict[str, Event], facts: dict[str, Any]) -> None:
    name = facts.pop("n")
    if "op" in facts:
        assert name not in events, f"two requests are called {name}"
        op, at = facts.pop("op"), facts.pop("t")
        events[name] = Event(name, op, facts, at)
    elif "fate" in facts:
        events[name].fates.append(facts["fate"])
    else:
        event = events[name]
        event.back, event.code, event.got = facts["t"], facts["code"], facts.get("got")


def as_of(events: Iterable[Event], after: float, before: float) -> list[Event]:
    """What is known of a book that stands still at a moment between two times.

    What was asked later is left out: a book that holds it holds what nobody asked for. What was
    asked before and answered later may be in it or not; what became of it was told later still.
    """
    then = []
    for event in events:
        if event.call > before:
            continue
        event.fates = []
        if event.back >= after:
            event.back, event.code, event.got = inf, UNKNOWN, None
        then.append(event)
    return then
