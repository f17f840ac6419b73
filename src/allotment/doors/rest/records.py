"""What is kept of each request: one line in the log, and the figures.

Invariant: neither holds a token, a body, or anything that was not checked before.
"""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass

import structlog

from allotment.doors.rest.answers import Answer
from allotment.doors.rest.counter import Counter, Served
from allotment.doors.rest.metrics import Metrics
from allotment.doors.rest.settings import Settings
from allotment.doors.rest.visit import Visit
from allotment.model.access import Actor

_log = structlog.get_logger("allotment.rest")


@dataclass(slots=True)
class Outcome:
    """A request as far as it has come; `place` is the route's name, once it is known."""

    visit: Visit
    began: float
    place: str = "unmatched"
    actor: str = ""
    served: Served | None = None
    answer: Answer | None = None


class Records:
    """Writes down what came of requests."""

    def __init__(self, settings: Settings, counter: Counter) -> None:
        self._settings = settings
        self._counter = counter
        self.metrics = Metrics(settings.full_from)

    def note(self, outcome: Outcome) -> None:
        """A request was answered."""
        answer, visit, served = outcome.answer, outcome.visit, outcome.served
        assert answer is not None, "every request has an answer"
        seconds = time.perf_counter() - outcome.began
        self.metrics.count(outcome.place, answer.status, seconds)
        if served is not None and served.request is not None:
            self.metrics.count_work(served.request, served.error)
        if self._settings.log_requests:
            _log.info(
                "request",
                request_id=visit.request_id,
                actor=served.actor if served is not None else outcome.actor,
                source=str(visit.source or ""),
                route=outcome.place,
                status=answer.status,
                code=answer.code,
                duration_ms=round(seconds * 1000, 2),
            )

    def failed(self, visit: Visit, error: Exception) -> None:
        """Something went wrong that nobody foresaw: the log has it whole, the answer does not."""
        # Written out here: a renderer that shows local variables would show tokens.
        stack = "".join(traceback.format_exception(error))
        _log.error("failed", request_id=visit.request_id, stack=stack)

    async def figures(self, actor: Actor) -> Answer:
        """The figures, for who may see the whole installation."""
        return await self.metrics.answer(self._counter, actor)
