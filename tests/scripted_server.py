"""A server on a real socket that answers each request with the next line of a script.

Invariant: it keeps what it was sent, and never answers more often than the script says.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[["Heard"], bytes | None]
"""What to answer a request with; None: close the connection without a word."""


@dataclass
class Heard:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


def reply(
    status: int, document: Any = None, *, kind: str = "application/json", **more: str
) -> Reply:
    """An answer with a JSON document."""
    body = b"" if document is None else json.dumps(document).encode()
    head = [f"HTTP/1.1 {status} told", f"Content-Length: {len(body)}", f"Content-Type: {kind}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    raw = "\r\n".join(head).encode() + b"\r\n\r\n" + body
    return lambda _: raw


def problem(status: int, code: str, **members: Any) -> Reply:
    """A problem document."""
    document = {"code": code, "title": code, "status": status, "detail": f"it is {code}", **members}
    return reply(status, document, kind="application/problem+json")


class Last(bytes):
    """Said before the connection is closed."""


def closing(answer: Reply) -> Reply:
    """An answer, and then the connection is closed."""
    return lambda heard: Last(answer(heard) or b"")


def silence(_: Heard) -> None:
    """The connection is closed, and nothing was said."""


@dataclass
class ScriptedServer:
    """A listening socket, what it will answer, and what it heard."""

    script: list[Reply] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Listen no more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    def _talk(self, peer: socket.socket) -> None:
        with peer, peer.makefile("rb") as stream:
            while heard := _request(stream):
                self.heard.append(heard)
                said = self.script.pop(0)(heard) if self.script else None
                if said is None:
                    return
                peer.sendall(said)
                if isinstance(said, Last):
                    return


def _request(stream: Any) -> Heard | None:
    line = stream.readline().decode().strip()
    if not line:
        return None
    headers = {}
    while header := stream.readline().decode().strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return Heard(line, headers, stream.read(int(headers.get("content-length", 0))))
