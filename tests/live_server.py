"""A server of our own in a thread of the test: a real socket, a real book, a real token.

Invariant: what listens is the product's application; it is gone when the test is.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn

from allotment import LocalDesk, open_book
from allotment.bootstrap import first_token
from allotment.doors.rest.app import create_app
from allotment.doors.rest.connection import Connection
from allotment.doors.rest.doorkeeper import Doorkeeper
from allotment.doors.rest.settings import Settings

PATIENCE_SECONDS = 20
QUIET = Settings(log_requests=False, threads=8)


class LiveServer:
    """The REST door of one book, on a port of its own; a desk that is given stays open."""

    def __init__(
        self,
        book: str | LocalDesk,
        settings: Settings = QUIET,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self._lent = not isinstance(book, str)
        self.desk: LocalDesk = open_book(book) if isinstance(book, str) else book
        self._door = create_app(self.desk, doorkeeper or self.desk, settings)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._door,
            http=Connection,
            log_config=None,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.002)

    def close(self) -> None:
        """Listen no more, and close the book."""
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)
        self._door.counter.room.close()
        self._socket.close()
        if not self._lent:
            self.desk.close()


def make_book(path: Path) -> str:
    """Make an empty book with one administrator; the text of the token."""
    with open_book(f"sqlite:///{path}", create=True) as desk:
        secret = first_token(desk)
    assert secret is not None
    return secret.reveal()


def copy_of(book: Path, path: Path) -> str:
    """The URL of a copy of a book that nobody has open."""
    return f"sqlite:///{shutil.copy(book, path)}"


def serve_for_ever(book: str, port: int) -> None:
    """Serve a book on a port until the process is killed."""
    desk = open_book(book)
    door = create_app(desk, desk, Settings(log_requests=False))
    uvicorn.run(door, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none")


if __name__ == "__main__":
    serve_for_ever(sys.argv[1], int(sys.argv[2]))
