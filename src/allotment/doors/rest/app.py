"""The ASGI application: from a request's bytes to an answer's, whatever happens between.

Invariant: a stranger hears 401 whatever they ask, except whether the service lives; every request
ends with one answer, and no failure of ours shows its insides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any, Final, NamedTuple

from allotment.desk import PromptDesk
from allotment.doors.rest.answers import Answer
from allotment.doors.rest.counter import Counter, Operation
from allotment.doors.rest.doorkeeper import Doorkeeper
from allotment.doors.rest.faults import TooSlow
from allotment.doors.rest.feed import Feed
from allotment.doors.rest.health import Health
from allotment.doors.rest.pages import PAGES, Page
from allotment.doors.rest.paths import Paths
from allotment.doors.rest.problems import refusal, unexpected
from allotment.doors.rest.records import Outcome, Records
from allotment.doors.rest.settings import Settings
from allotment.doors.rest.visit import Visit
from allotment.errors import AllotmentError, TooLarge
from allotment.model.access import Actor
from allotment.model.commands import Batch
from allotment.model.routes import ROUTES

Scope = MutableMapping[str, Any]  # Any: as ASGI has it
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]  # Any: as ASGI has it
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]  # Any: as ASGI has it

SMALL_BYTES: Final = 64 << 10
_FEED: Final = "GET /v1/events"


class Choice(NamedTuple):
    """The operations of one method of one path: one, and one for bodies with a certain field."""

    usual: Operation
    special: Operation | None
    sign: bytes = b""

    def of(self, raw: bytes) -> Operation:
        """The operation that a body asks for."""
        special = self.special
        if special is None or self.sign not in raw:
            return self.usual
        return special if special.form.is_meant(raw) else self.usual


Target = Choice | Page


@cache
def _paths() -> Paths[Target]:
    """All that is served; nobody changes it."""
    paths: Paths[Target] = Paths()
    special = {(r.method, r.path): Operation(r) for r in ROUTES if r.when is not None}
    for route in ROUTES:
        if route.when is None:
            twin = special.get((route.method, route.path))
            sign = f'"{twin.route.when}"'.encode() if twin is not None else b""
            paths.add(route.method, route.path, Choice(Operation(route), twin, sign))
    for page in PAGES:
        paths.add("GET", page.path, page)
    return paths


class Door:
    """The application of one process."""

    def __init__(self, desk: PromptDesk, doorkeeper: Doorkeeper, settings: Settings) -> None:
        self._settings = settings
        self._paths = _paths()
        self.counter = Counter(desk, doorkeeper, settings)
        self.records = Records(settings, self.counter)
        self._feed = Feed(self.counter, settings)
        self._health = Health(self.counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        visit = Visit(scope, self._settings.trusted_proxies)
        outcome = Outcome(visit, began)
        try:
            answer = await self._answer(visit, receive, outcome)
        except AllotmentError as error:
            answer = refusal(error, visit.path, visit.request_id)
        except Exception as error:  # noqa: BLE001 - the last resort: told without its insides
            self.records.failed(visit, error)
            answer = unexpected(visit.path, visit.request_id)
        outcome.answer = answer
        try:
            await _send(answer, visit, send)
        finally:
            self.records.note(outcome)

    async def _answer(self, visit: Visit, receive: Receive, outcome: Outcome) -> Answer:
        lively = await self._health.answer(visit)
        if lively is not None:
            outcome.place = f"GET {visit.path}"
            return lively
        _ = visit.bearer
        try:
            if visit.tripped is not None:
                raise visit.tripped
            target, values = self._paths.find(visit.method, visit.path)
            if isinstance(target, Page):
                outcome.place = f"GET {target.path}"
                return await self._page(target, values, visit, outcome)
            raw = await self._body(visit, receive, target)
        except AllotmentError:
            if not outcome.who:
                await self.counter.counted(visit)  # a stranger hears that first
            raise
        operation = target.of(raw)
        outcome.place = operation.place
        if operation.place == _FEED and visit.accepts_events:
            return await self._feed.open(visit, operation)
        served = await self.counter.serve(visit, operation, values, raw)
        outcome.served = served
        if served.error is not None:
            return refusal(served.error, visit.path, visit.request_id)
        assert served.answer is not None, "an answer or an error"
        return served.answer

    async def _page(
        self, page: Page, values: tuple[str, ...], visit: Visit, outcome: Outcome
    ) -> Answer:
        actor: Actor = await self.counter.counted(visit)
        outcome.who = actor.name
        if page.render is None:
            return await self.records.figures(actor)
        return page.render(*values)

    async def _body(self, visit: Visit, receive: Receive, target: Choice) -> bytes:
        """The whole body; a large one is taken from those only who are known."""
        batch = target.usual.route.request is Batch
        limit = self._settings.batch_bytes_max if batch else self._settings.body_bytes_max
        announced = visit.header("content-length")
        if announced is not None and announced.isdecimal() and int(announced[:20]) > limit:
            raise TooLarge("the body", limit)
        message = await _heard(receive)
        if not message.get("more_body"):  # as nearly all: nothing to wait for
            first: bytes = message.get("body", b"")
            if len(first) > limit:
                raise TooLarge("the body", limit)
            return first
        seconds = self._settings.body_seconds_max
        try:
            async with asyncio.timeout(seconds):
                return await self._rest(visit, receive, message, limit)
        except TimeoutError as error:
            raise TooSlow(seconds) from error

    async def _rest(
        self, visit: Visit, receive: Receive, message: MutableMapping[str, Any], limit: int
    ) -> bytes:
        """A body that comes in parts."""
        parts: list[bytes] = []
        size, known = 0, False
        while True:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge("the body", limit)
            if size > SMALL_BYTES and not known:
                await self.counter.known(visit)
                known = True
            if not message.get("more_body"):
                return b"".join(parts)
            message = await _heard(receive)


async def _heard(receive: Receive) -> MutableMapping[str, Any]:  # Any: as ASGI has it
    message = await receive()
    if message["type"] == "http.disconnect":
        raise TooSlow(0)  # nobody is there to hear it
    return message


async def _send(answer: Answer, visit: Visit, send: Send) -> None:
    headers = answer.all_headers(visit.request_id)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is None:
        await send({"type": "http.response.body", "body": answer.body})
        return
    async for part in answer.stream:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def create_app(desk: PromptDesk, doorkeeper: Doorkeeper, settings: Settings | None = None) -> Door:
    """The REST door of a desk, as an ASGI application."""
    return Door(desk, doorkeeper, settings or Settings())
