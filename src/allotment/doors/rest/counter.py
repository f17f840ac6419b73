"""Where requests are served: hot commands without a thread each, others in the room of threads.

Invariant: `desk.do` and `desk.ask` are called here and nowhere else in this door, after the
doorkeeper named the actor and the pace allowed it.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, TypeVar, cast

from msgspec.structs import replace

from allotment.desk import PromptDesk
from allotment.doors.rest.answers import Answer, Header, Sender
from allotment.doors.rest.cursors import Cursors
from allotment.doors.rest.doorkeeper import Doorkeeper
from allotment.doors.rest.forms import Form, Request
from allotment.doors.rest.pace import Pace, cost_of
from allotment.doors.rest.promises import Promises
from allotment.doors.rest.room import Room
from allotment.doors.rest.settings import Settings
from allotment.doors.rest.visit import Visit
from allotment.errors import AllotmentError, InvalidValue, RateLimited, Unauthenticated
from allotment.model.access import Actor
from allotment.model.commands import Command
from allotment.model.queries import Query
from allotment.model.results import Page
from allotment.model.routes import Route

R = TypeVar("R")


class Served(NamedTuple):
    """What came of a request, for the answer and for the record."""

    actor: str
    request: Request | None
    answer: Answer | None
    error: AllotmentError | None = None


class Operation:
    """A route with what reads its requests and sends its answers."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.form = Form(route)
        self.sender = Sender(route)
        self.long = route.request.takes_long
        self.hot = issubclass(route.request, Command) and route.request.together

    @property
    def place(self) -> str:
        """The route's name, for logs, figures and signatures."""
        return f"{self.route.method} {self.route.path}"

    def failed(self, actor: str, request: Request | None, error: AllotmentError) -> Served:
        """What came of a request that failed; a wrong value is told by its place in the request."""
        if isinstance(error, InvalidValue) and request is not None:
            self.form.locate(error, request)
        return Served(actor, request, None, error)


class Counter:
    """Serves the requests of those who are known."""

    def __init__(self, desk: PromptDesk, doorkeeper: Doorkeeper, settings: Settings) -> None:
        self._desk = desk
        self._promises: Promises | None = None
        self._doorkeeper = doorkeeper
        self._pace = Pace(settings.rates)
        self._cursors = Cursors(settings.cursor_key)
        self.room = Room(
            settings.threads, settings.waiting_max, settings.long_max, settings.waiting_seconds_max
        )

    async def known(self, visit: Visit) -> Actor:
        """Who is asking.

        Raises:
            Unauthenticated, RateLimited: nobody that may ask now.
        """
        return await self.room.run(lambda: self._known(visit))

    async def counted(self, visit: Visit) -> Actor:
        """Who is asking for what no route serves; it counts as any other request.

        Raises:
            Unauthenticated, RateLimited: nobody that may ask now.
        """
        return await self.room.run(lambda: self._counted(visit))

    async def serve(
        self, visit: Visit, operation: Operation, values: tuple[str, ...], raw: bytes
    ) -> Served:
        """Serve a request; its failures are part of what came of it."""
        if operation.hot:
            recognised = self._doorkeeper.recognise(visit.bearer, visit.source)
            if recognised is not None:
                return await self._serve_soon(visit, operation, (values, raw), recognised)
        work = lambda: self._serve(visit, operation, values, raw)  # noqa: E731 - a closure
        return await self.room.run(work, long=operation.long)

    async def _serve_soon(
        self,
        visit: Visit,
        operation: Operation,
        said: tuple[tuple[str, ...], bytes],
        recognised: Actor,
    ) -> Served:
        """A hot command of somebody known: read here, served with the others of its kind."""
        request = None
        actor = _from_here(recognised, visit)
        try:
            request = operation.form.read(visit, *said)
            self._pace.pay(visit.bearer, actor, visit.source, cost_of(request))
            assert isinstance(request, Command), "hot requests are commands"
            found = await self._promised(request, actor)
            return Served(actor.name, request, operation.sender.answer(found, visit.path))
        except AllotmentError as error:
            told = error if request is not None else self._unread(visit, actor, error)
            return operation.failed(actor.name, request, told)

    async def _promised(self, command: Command[R], actor: Actor) -> R:
        """The answer of a hot command, whoever commits it."""
        if self._promises is None:
            self._promises = Promises(asyncio.get_running_loop())
        with self.room.place():
            promise, keep = self._promises.make()
            self._desk.do_soon(command, actor, keep)
            answer = await promise
        if isinstance(answer, BaseException):
            raise answer
        found: R = answer
        return found

    async def answered(self, actor: Actor, query: Query[R]) -> R:
        """The desk's own answer to a query of the door's own pages."""
        return await self.room.run(lambda: self._desk.ask(query, actor), long=query.takes_long)

    async def understood(self, visit: Visit, operation: Operation) -> Request:
        """The request that somebody known makes, without carrying it out."""

        def work() -> Request:
            self._counted(visit)
            return operation.form.read(visit, (), b"")

        return await self.room.run(work)

    async def asked(self, visit: Visit, query: Query[R]) -> R:
        """The answer to a query of whoever the visitor is now."""
        return await self.room.run(lambda: self._desk.ask(query, self._known(visit)))

    def _known(self, visit: Visit) -> Actor:
        bearer = visit.bearer
        self._pace.may_try(bearer, visit.source)
        try:
            actor = self._doorkeeper.authenticate(bearer, visit.source)
        except Unauthenticated:
            self._pace.failed(bearer)
            raise
        self._pace.worked(bearer, visit.source)
        return _from_here(actor, visit)

    def _counted(self, visit: Visit) -> Actor:
        actor = self._known(visit)
        self._pace.pay(visit.bearer, actor, visit.source, 1.0)
        return actor

    def _unread(self, visit: Visit, actor: Actor, error: AllotmentError) -> AllotmentError:
        """What is said of a request that could not be read: it counts, too."""
        try:
            self._pace.pay(visit.bearer, actor, visit.source, 1.0)
        except RateLimited as limited:
            return limited
        return error

    def _serve(
        self, visit: Visit, operation: Operation, values: tuple[str, ...], raw: bytes
    ) -> Served:
        actor, request = None, None
        try:
            actor = self._known(visit)
            request = operation.form.read(visit, values, raw)
            self._pace.pay(visit.bearer, actor, visit.source, cost_of(request))
            asked = self._opened(operation, request, actor)
            found = self._carried_out(asked, actor)
            found, more = self._sealed(operation, visit, (asked, found), actor)
            return Served(actor.name, request, operation.sender.answer(found, visit.path, more))
        except AllotmentError as error:
            if actor is None:
                return operation.failed("", None, error)
            told = error if request is not None else self._unread(visit, actor, error)
            return operation.failed(actor.name, request, told)

    def _carried_out(self, request: Request, actor: Actor) -> object:
        if isinstance(request, Command):
            return self._desk.do(request, actor)
        return self._desk.ask(request, actor)

    def _opened(self, operation: Operation, request: Request, actor: Actor) -> Request:
        """The request with the desk's own cursor in place of ours."""
        cursor = getattr(request, "cursor", None)
        if cursor is None:
            return request
        query = cast("Query[Any]", request)  # Any: a page's; commands have no cursor
        opened = self._cursors.open(cursor, operation.place, query, actor.name)
        return replace(query, cursor=opened)

    def _sealed(
        self, operation: Operation, visit: Visit, done: tuple[Request, object], actor: Actor
    ) -> tuple[object, tuple[Header, ...]]:
        """The answer with our cursor in place of the desk's, and a link to the next page."""
        asked, found = done
        if not isinstance(found, Page) or found.next is None:
            return found, ()
        query = cast("Query[Any]", asked)  # Any: a page's
        cursor = self._cursors.seal(found.next, operation.place, query, actor.name)
        kept = [part for part in visit.query.split("&") if not part.startswith("cursor=")]
        link = f'<{visit.path}?{"&".join([*filter(None, kept), f"cursor={cursor}"])}>; rel="next"'
        return replace(found, next=cursor), ((b"link", link.encode("latin-1")),)


def _from_here(actor: Actor, visit: Visit) -> Actor:
    """An actor with where, and in which request, it asks."""
    source = None if visit.source is None else str(visit.source)
    return replace(actor, source=source, request_id=visit.request_id)
