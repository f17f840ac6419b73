"""A connection of uvicorn's with bounds of our own.

Invariant: what one connection may make us keep in mind before its request is whole is bounded, in
bytes and in seconds; a request that is no HTTP gets a problem document too.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from allotment.doors.rest.answers import LOCKED, NOTHING_LOADS
from allotment.doors.rest.problems import MEDIA_TYPE

HEAD_BYTES_MAX: Final = 64 << 10
HEAD_SECONDS_MAX: Final = 15.0


class Connection(HttpToolsProtocol):
    """One connection; `uvicorn` makes it."""

    _head_bytes = 0
    _in_head = True
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own
        """Somebody came: they have so long to say what they want."""
        super().connection_made(transport)
        self._be_patient()

    def connection_lost(self, exc: Exception | None) -> None:
        """They went; whoever streams to them stops."""
        self._stop_waiting()
        self._tell_over()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """More of a request, or the next one."""
        super().data_received(data)
        if self._in_head and self._patience is None and self.parser is not None:
            self._be_patient()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its path."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is whole; the application takes over."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server stops: what was accepted is answered, streams end."""
        self._tell_over()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """It was no HTTP."""
        problem = {
            "type": "/problems/invalid-value",
            "title": "Invalid value",
            "status": 400,
            "detail": "this is not HTTP/1.1 as we take it",
            "code": "invalid-value",
            "retryable": False,
        }
        body = msgspec.json.encode(problem)
        headers = [
            (b"content-type", MEDIA_TYPE),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *LOCKED,
            NOTHING_LOADS,
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + body)
        self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head is too long")  # the parser stops, and 400 is answered

    def _be_patient(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS_MAX, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def _tell_over(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn says it is never None; it may be
        if cycle is not None and not cycle.response_complete:
            state: dict[str, Any] = cycle.scope["state"]  # Any: as ASGI has it
            state["over"] = True
