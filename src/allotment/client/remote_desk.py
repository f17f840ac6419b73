"""The desk of a book that a server keeps.

Invariant: a command is sent again only where that cannot do it twice: it has a key, changes
nothing, or was surely not carried out. Whoever is told that a command failed is told the truth: a
lost attempt is found out about before that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import uuid4

import msgspec

from allotment.client.http_request import HttpRequest, http_request
from allotment.client.patience import Course, Patience
from allotment.client.problems import Refusal, refusal
from allotment.client.transport import HttpAnswer, Lost, Transport, Unreached
from allotment.errors import (
    AllotmentError,
    CommitUnknown,
    DeadlineExceeded,
    InvalidValue,
    StoreError,
    StoreUnavailable,
)
from allotment.errors.restored import restored
from allotment.model import wire
from allotment.model.access import Actor
from allotment.model.answers import Request, decode_answer
from allotment.model.commands import Command
from allotment.model.events import Operation, OperationState, ResolveOperation
from allotment.model.keys import wants_key
from allotment.model.queries import Query

R = TypeVar("R")

BEARER: Final = Actor(name="the bearer of the token")


class RemoteDesk:
    """Commands and queries answered by a server, as a local desk answers them; thread-safe.

    The server knows by the token who asks: `actor` stands for that one, and for nobody else.
    """

    def __init__(self, transport: Transport, patience: Patience, actor: Actor = BEARER) -> None:
        self.actor = actor
        self._transport = transport
        self._patience = patience
        self._reached = False

    def __repr__(self) -> str:
        return f"RemoteDesk({self._transport.server.url!r})"

    def __enter__(self) -> RemoteDesk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def do(self, command: Command[R], actor: Actor, /) -> R:
        """Have a command carried out.

        One that takes an idempotency key and has none gets one, so that a lost answer can be
        asked for again.

        Raises:
            InvalidValue: a field breaks its rule, or the actor is not this desk's.
            CommitUnknown: nobody can say whether it was done; the facts hold its key, if any.
            AllotmentError: as of a local desk; nothing was changed.
        """
        if not isinstance(command, Command):
            raise InvalidValue("command", type(command).__name__, "commands are done")
        self._check(command, actor)
        if wants_key(command):
            command = msgspec.structs.replace(command, idempotency_key=f"client-{uuid4()}")
        answer: R = self._served(command, again=_may_be_repeated(command))
        return answer

    def ask(self, query: Query[R], actor: Actor, /) -> R:
        """Have a query answered.

        Raises:
            InvalidValue, AllotmentError: as `do`.
        """
        if not isinstance(query, Query):
            raise InvalidValue("query", type(query).__name__, "queries are asked")
        self._check(query, actor)
        answer: R = self._served(query, again=True)
        return answer

    def _check(self, request: Request, actor: Actor) -> None:
        if actor != self.actor:
            rule = "the server knows who asks by the token; give the desk's own 'actor'"
            raise InvalidValue("actor", getattr(actor, "name", actor), rule)
        wire.check(request)

    def _served(self, request: Request, *, again: bool) -> Any:  # Any: whatever it answers
        changes = isinstance(request, Command) and request.journaled
        course = Course(self._patience.for_request(request))
        sending = Sending(http_request(request), again, changes, course)
        try:
            answer = self._until_answered(sending)
        except AllotmentError as error:
            if not sending.lost or not isinstance(request, Command):
                raise
            return self._found_out(request, error, sending.course)
        return _decoded(request, answer.body, self._transport.server.url)

    def _until_answered(self, sending: Sending) -> HttpAnswer:
        """A good answer, after as many attempts as are safe and fit into the time.

        Raises:
            AllotmentError: the last attempt's; `sending.lost` tells of an earlier one.
        """
        while True:
            answer = self._attempted(sending)
            if isinstance(answer, HttpAnswer):
                return answer
            if not answer.retryable or not sending.course.pause(answer.wait_seconds):
                raise answer.error

    def _attempted(self, sending: Sending) -> HttpAnswer | Refusal:
        """One attempt: the good answer, or what went wrong."""
        try:
            answer = self._transport.send(sending.request, sending.course.seconds_left)
            self._reached = True
            if answer.is_good:
                return answer
            refused = refusal(answer, self._transport.server.url)
        except Unreached as signal:
            if not self._reached:
                sending.course.shorten(self._patience.first_seconds)
            error = StoreUnavailable(f"{signal}; nothing was changed", phase="connect")
            return Refusal(error, True, 0.0)
        except Lost as signal:
            return sending.is_lost(str(signal))
        if isinstance(refused.error, CommitUnknown):
            return sending.is_lost(refused.error.message, refused.wait_seconds)
        return refused

    def _found_out(
        self, command: Command[Any], error: AllotmentError, course: Course
    ) -> Any:  # Any: whatever the command answers
        """The answer to a command of which an attempt was lost, if that one was carried out.

        Raises:
            AllotmentError: `error`, if the command was not done and never will be; CommitUnknown
                if that cannot be found out.
        """
        key = command.idempotency_key
        if key is None:
            raise error
        operation = self._resolved(key, error, course)
        if operation.state is OperationState.DONE:
            return _decoded(command, bytes(operation.answer), self._transport.server.url)
        if isinstance(error, CommitUnknown):
            told = f"{error.message}; it was not done, and never will be under the key {key}"
            raise DeadlineExceeded(told) from error
        raise error

    def _resolved(self, key: str, error: AllotmentError, course: Course) -> Operation:
        """What became of the command with a key, asked for as long as its time is not over.

        Raises:
            CommitUnknown: nobody says; its facts hold the key.
        """
        question = ResolveOperation(key=key)
        sending = Sending(http_request(question), True, False, course.finding_out())
        try:
            if sending.course.is_over:
                raise error
            answer = self._until_answered(sending)
            operation: Operation = _decoded(question, answer.body, self._transport.server.url)
        except AllotmentError as failed:
            told = f"{error.message}; 'allotment operation {key}' finds out whether it was done"
            facts = {"phase": "commit", "state": None, "key": key}
            raise restored(CommitUnknown.code, told, facts) from failed
        return operation


@dataclass
class Sending:
    """A request on its way: whether it may be sent `again` after an attempt was `lost`."""

    request: HttpRequest
    again: bool
    changes: bool
    course: Course
    lost: bool = False

    def is_lost(self, said: str, wait_seconds: float = 0.0) -> Refusal:
        """Note that an attempt ended without a word on whether it was carried out."""
        error: AllotmentError
        if self.changes:
            self.lost = True
            self.course.keep_time_to_find_out()
            error = CommitUnknown(said, phase="commit")
        else:
            error = StoreUnavailable(said, phase="connect")
        return Refusal(error, self.again, wait_seconds)


def _may_be_repeated(command: Command[Any]) -> bool:  # Any: whatever it answers
    return command.idempotency_key is not None or not command.journaled


def _decoded(request: Request, raw: bytes, server: str) -> Any:  # Any: whatever it answers
    try:
        return decode_answer(request, raw)
    except InvalidValue as error:
        told = f"the answer of {server} is not understood; is it of another version?"
        raise StoreError(told, phase="connect") from error
