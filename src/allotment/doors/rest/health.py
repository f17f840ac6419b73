"""`/healthz` and `/readyz`: is the process alive, and can it serve?

Invariant: whoever asks, and however often, the database is asked once a second at most, and the
answer tells nothing about what is in it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from allotment.doors.rest.answers import Answer
from allotment.doors.rest.counter import Counter
from allotment.doors.rest.faults import MethodNotAllowed
from allotment.doors.rest.problems import refusal
from allotment.doors.rest.visit import Visit
from allotment.errors import AllotmentError
from allotment.model.access import local_owner
from allotment.model.queries import ListProjects

ALIVE: Final = "/healthz"
READY: Final = "/readyz"
_FRESH_SECONDS: Final = 1.0
_OURSELVES: Final = local_owner("service:readiness")


class Health:
    """Answers the two questions that need no token."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._lock = asyncio.Lock()
        self._looked_at = -_FRESH_SECONDS
        self._fault: AllotmentError | None = None

    async def answer(self, visit: Visit) -> Answer | None:
        """The answer, if that is what is asked."""
        if visit.path not in (ALIVE, READY):
            return None
        if visit.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(visit.method, ("GET", "HEAD"))
        if visit.path == ALIVE:
            return Answer(200, b'{"alive":true}')
        fault = await self._look()
        if fault is not None:
            found = refusal(fault, visit.path, visit.request_id)
            return found._replace(status=503)
        return Answer(200, b'{"ready":true}')

    async def _look(self) -> AllotmentError | None:
        async with self._lock:
            if time.monotonic() - self._looked_at < _FRESH_SECONDS:
                return self._fault
            try:
                await self._counter.answered(_OURSELVES, ListProjects(limit=1))
                self._fault = None
            except AllotmentError as error:
                self._fault = error
            self._looked_at = time.monotonic()
            return self._fault
