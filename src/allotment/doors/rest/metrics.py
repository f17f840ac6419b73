"""The figures of `/metrics`, in the words of Prometheus.

Invariant: a label's values are bounded (routes, statuses, kinds), except for the names of nearly
full subnets, of which so many are told and no more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from allotment.doors.rest.answers import Answer
from allotment.doors.rest.forms import Request
from allotment.errors import AllotmentError, Forbidden, PoolExhausted
from allotment.model import commands as c
from allotment.model.access import Actor
from allotment.model.queries import GetStatus, GetUtilisation
from allotment.model.results import Utilisation

if TYPE_CHECKING:
    from allotment.doors.rest.counter import Counter as Desk

SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where several workers keep their figures, so that each can tell all."""
PAGES_MAX: Final = 10
FULL_MAX: Final = 1_000
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """What this process counts."""

    def __init__(self, full_from: float) -> None:
        self._full_from = full_from
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self._requests = Counter(
            "allotment_requests",
            "Requests, by route and status.",
            ("route", "status"),
            registry=own,
        )
        self._seconds = Histogram(
            "allotment_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=_SECONDS,
            registry=own,
        )
        self._kept: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._allocations = Counter(
            "allotment_allocations", "What was handed out.", ("kind",), registry=own
        )
        self._exhausted = Counter(
            "allotment_exhausted", "Requests that found too little free.", ("kind",), registry=own
        )
        self._batches = Histogram(
            "allotment_group_commit_size", "Commands a transaction.", buckets=_BATCHES, registry=own
        )

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        found = self._kept.get((route, status))
        if found is None:
            found = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._kept[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_work(self, request: Request, error: AllotmentError | None) -> None:
        """A command or query was served."""
        for kind, count in _handed_out(request):
            if error is None:
                self._allocations.labels(kind).inc(count)
            elif isinstance(error, PoolExhausted):
                self._exhausted.labels(kind).inc()

    def observe_batch(self, size: int) -> None:
        """A group of commands was committed together: for the desk to call."""
        self._batches.observe(size)

    async def answer(self, desk: Desk, actor: Actor) -> Answer:
        """All figures.

        Raises:
            Forbidden: the actor may not see the whole installation.
        """
        status = await desk.answered(actor, GetStatus())
        if not status.complete:  # the figures are of everybody's requests
            raise Forbidden(actor.name, "read the figures: this needs viewer on the installation")
        now = CollectorRegistry()
        held = Gauge("allotment_book_things", "What the book holds.", ("kind",), registry=now)
        for kind in ("projects", "scopes", "pools", "subnets", "allocations"):
            held.labels(kind).set(getattr(status, kind))
        waiting = Gauge(
            "allotment_room_requests", "Requests being served or waiting.", registry=now
        )
        waiting.set(desk.room.inside)
        full = Gauge(
            "allotment_subnet_used_ratio",
            f"Share of its pools that is held, of subnets from {self._full_from:g} on.",
            ("scope", "subnet", "name"),
            registry=now,
        )
        for use in await self._full_ones(desk, actor):
            full.labels(use.scope, str(use.id), use.name).set(use.held / use.pool_size)
        text = generate_latest(self._counted()) + generate_latest(now)
        return Answer(200, text, CONTENT_TYPE_LATEST.encode())

    def _counted(self) -> CollectorRegistry:
        if SHARED not in os.environ:
            return self._registry
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # it has no types
        return together

    async def _full_ones(self, desk: Desk, actor: Actor) -> list[Utilisation]:
        found: list[Utilisation] = []
        cursor = None
        for _ in range(PAGES_MAX):
            query = GetUtilisation(kind="subnet", limit=1000, cursor=cursor)
            page = await desk.answered(actor, query)
            found += [
                use
                for use in page.items
                if use.pool_size and use.held / use.pool_size >= self._full_from
            ]
            cursor = page.next
            if cursor is None or len(found) >= FULL_MAX:
                break
        return found[:FULL_MAX]


def _handed_out(request: Request) -> Iterator[tuple[str, int]]:
    match request:
        case c.AllocateAddress():
            yield "address", 1
        case c.AllocateAddresses():
            yield "address", request.count
        case c.AllocatePrefix():
            yield "prefix", 1
        case c.Batch():
            for command in request.commands:
                yield from _handed_out(command)
