"""The service under attack: our own, on loopback, with a book of its own, gone afterwards.

Invariant: what is asked goes over a real socket, byte for byte as it is given.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from allotment import open_book
from allotment.bootstrap import first_token
from allotment.desk import LocalDesk
from allotment.doors.rest.doorkeeper import Doorkeeper
from described_book import PATIENT, describe
from live_server import LiveServer

SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 8 << 20


class Told(NamedTuple):
    """An answer, byte for byte."""

    status: int
    head: str
    body: str

    def header(self, name: str) -> str:
        """The value of a header, or nothing."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return ""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Ground:
    """A service, and the token of its administrator."""

    def __init__(self, desk: LocalDesk, doorkeeper: Doorkeeper | None = None) -> None:
        self.desk = desk
        secret = first_token(desk)
        assert secret is not None, "the book is new"
        self.token = secret.reveal()
        describe(desk, office="10.1.0.0/16")
        self.server = LiveServer(desk, PATIENT, doorkeeper)
        self.place = urlsplit(self.server.url)

    @property
    def auth(self) -> str:
        """The header that lets the administrator in."""
        return f"Authorization: Bearer {self.token}\r\n"

    def raw(self, request: bytes, seconds: float = SECONDS_MAX) -> bytes:
        """All that comes back for these bytes, until the other side ends or is silent."""
        address = (self.place.hostname, self.place.port)
        with socket.create_connection(address, timeout=seconds) as wire:
            found = b""
            try:
                wire.sendall(request)
                while len(found) < ANSWER_BYTES_MAX and (part := wire.recv(65_536)):
                    found += part
            except (ConnectionResetError, BrokenPipeError, TimeoutError):
                pass  # it would not hear the rest, or waits for more
            return found

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: str | None = None,
        token: str | None = None,
    ) -> Told:
        """One request of the administrator, or of whoever shows this token."""
        raw = b"" if body is None else json.dumps(body).encode()
        auth = self.auth if token is None else f"Authorization: Bearer {token}\r\n"
        kind = "Content-Type: application/json\r\n" if body is not None else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: door\r\n{auth}{headers or ''}{kind}"
            f"Content-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
        )
        return told(self.raw(head.encode("utf-8", "surrogatepass") + raw))


def told(raw: bytes) -> Told:
    """An answer taken apart; status 0: there was none."""
    head, _, body = raw.decode("utf-8", "replace").partition("\r\n\r\n")
    words = head.split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/") else 0
    return Told(status, head, body)


@contextmanager
def ground() -> Iterator[Ground]:
    """A new one, with a book in memory."""
    with open_book("sqlite://", create=True) as desk:
        found = Ground(desk)
        try:
            yield found
        finally:
            found.server.close()
