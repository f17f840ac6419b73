"""Events as they happen: a page of `/v1/events` that does not end (server-sent events).

Invariant: each poll is a question of the actor's own, asked after the token was looked at again:
a stream shows nothing that a page would not, and ends when the token does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Final

from msgspec.structs import replace

from allotment.doors.rest.answers import Answer
from allotment.doors.rest.counter import Counter, Operation
from allotment.doors.rest.problems import refusal
from allotment.doors.rest.settings import Settings
from allotment.doors.rest.visit import Visit
from allotment.errors import AllotmentError, InvalidValue, Overloaded
from allotment.model import wire
from allotment.model.events import Event, ListEvents

MEDIA_TYPE: Final = b"text/event-stream"
RETRY: Final = b"retry: 1000\n\n"
HEARTBEAT: Final = b": still here\n\n"
_SEQUENCE = re.compile(r"[0-9]{1,18}")


class Feed:
    """The streams that are open."""

    def __init__(self, counter: Counter, settings: Settings) -> None:
        self._counter = counter
        self._settings = settings
        self.open_streams = 0

    async def open(self, visit: Visit, operation: Operation) -> Answer:
        """A stream of events for somebody who may ask for them.

        Raises:
            Overloaded: there are as many streams as there may be.
            AllotmentError: as the query itself.
        """
        request = await self._counter.understood(visit, operation)
        assert isinstance(request, ListEvents), "the feed is of events"
        query = replace(request, after=_last_seen(visit) or request.after, cursor=None)
        if self.open_streams >= self._settings.streams_max:
            raise Overloaded("too many streams are open", phase="begin")
        first = (await self._counter.asked(visit, query)).items
        self.open_streams += 1
        return Answer(200, b"", MEDIA_TYPE, stream=self._told(visit, query, first))

    async def _told(
        self, visit: Visit, query: ListEvents, events: tuple[Event, ...]
    ) -> AsyncIterator[bytes]:
        quiet_since = time.monotonic()
        try:
            yield RETRY
            while True:
                if events:
                    yield b"".join(map(_told, events))
                    query = replace(query, after=events[-1].sequence)
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since >= self._settings.heartbeat_seconds:
                    yield HEARTBEAT
                    quiet_since = time.monotonic()
                if len(events) < query.limit:
                    await asyncio.sleep(self._settings.poll_seconds)
                if visit.is_over:
                    return
                events = (await self._counter.asked(visit, query)).items
        except AllotmentError as error:
            problem = refusal(error, visit.path, visit.request_id).body
            yield b"event: problem\ndata: " + problem + b"\n\n"
        finally:
            self.open_streams -= 1


def _told(event: Event) -> bytes:
    """One event as the stream has it; JSON has no line breaks of its own."""
    return b"id: %d\ndata: %b\n\n" % (event.sequence, wire.encode(event))


def _last_seen(visit: Visit) -> int | None:
    text = visit.header("last-event-id")
    if text is None:
        return None
    if _SEQUENCE.fullmatch(text) is None:
        error = InvalidValue("last-event-id", text, "must be the id of an event")
        error.facts["header"] = "last-event-id"
        raise error
    return int(text)
