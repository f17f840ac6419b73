"""The REST door as a process: a desk, a socket, TLS, workers, and an orderly end.

Invariant: plain HTTP leaves this machine only where somebody said so; a signal to stop lets every
accepted request have its answer.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import structlog
from msgspec.structs import replace
from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from allotment.bootstrap import open_book
from allotment.config import parse_url
from allotment.desk import PromptDesk
from allotment.doors.rest import logs
from allotment.doors.rest.app import Door, create_app
from allotment.doors.rest.connection import Connection
from allotment.doors.rest.doorkeeper import Doorkeeper
from allotment.doors.rest.metrics import SHARED
from allotment.doors.rest.settings import Listening
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.address import parse_address

STARTUP_FAILED: Final = 3  # what uvicorn's supervisor takes for a worker that never will start
_BACKLOG: Final = 2048
_LOOPBACK_V4: Final = range(127 << 24, 128 << 24)

_log = structlog.get_logger("allotment.serve")


class Staff(NamedTuple):
    """Who serves: a desk, and who knows the tokens."""

    desk: PromptDesk
    doorkeeper: Doorkeeper


Hire = Callable[[Listening], Staff]


def hire(listening: Listening) -> Staff:
    """The staff of a book; its own desk knows its tokens.

    Raises:
        AllotmentError: the book cannot be opened.
    """
    desk: Any = open_book(listening.database, create=listening.create)  # Any: a desk and more
    return Staff(desk, desk)


@dataclass(frozen=True)
class Worker:
    """Makes the application in the process that serves it; it is sent there as it is."""

    listening: Listening
    hire: Hire

    def __call__(self) -> Door:
        """Open the book, or end the process in the way that stops its supervisor."""
        logs.set_up(self.listening.log_format)
        _ignore_signals_after_the_stop()
        try:
            staff = self.hire(self.listening)
        except AllotmentError as error:
            _log.error("failed to start", code=error.code, detail=error.message)
            sys.exit(STARTUP_FAILED)
        return create_app(staff.desk, staff.doorkeeper, self.listening.door)


def run(listening: Listening, say: Callable[[str], object], hire: Hire = hire) -> None:
    """Serve until a signal says to stop.

    `say` is told where we listen, as soon as a client may come.

    Raises:
        InvalidValue: the listening is not safe, or not possible.
        AllotmentError: the book cannot be opened.
    """
    check(listening)
    logs.set_up(listening.log_format)
    if listening.door.cursor_key is None:  # one for all workers
        door = replace(listening.door, cursor_key=secrets.token_bytes(32))
        listening = replace(listening, door=door)
    staff = hire(listening)  # the book opens, or whoever started us hears why not
    with _bound(listening) as listener:
        scheme = "https" if listening.tls_cert else "http"
        where = f"listening on {scheme}://{_shown(listener)}"
        if listening.workers == 1:
            _serve(listening, staff, listener, lambda: say(where))
        else:
            staff.desk.close()  # each worker opens it for itself
            say(where)
            _supervise(listening, hire, listener)


def check(listening: Listening) -> None:
    """Refuse what is not safe, or cannot be.

    Raises:
        InvalidValue: naming the option, the value and the rule.
    """
    if (listening.tls_cert is None) != (listening.tls_key is None):
        raise InvalidValue("tls", "one of two", "give --tls-cert and --tls-key together")
    if listening.tls_cert is not None:
        _try_certificate(listening.tls_cert, listening.tls_key)
    plain = listening.tls_cert is None and not listening.allow_plain_http
    if plain and not _is_loopback(listening.host):
        rule = "plain HTTP is for 127.0.0.1 and ::1: give --tls-cert and --tls-key, or"
        rule += " --allow-plain-http behind a proxy that does TLS"
        raise InvalidValue("host", listening.host, rule)
    if listening.workers > 1 and parse_url(listening.database).startswith("sqlite:"):
        rule = "several processes need PostgreSQL: a SQLite book is served by one"
        raise InvalidValue("workers", listening.workers, rule)


def _try_certificate(certificate: str, key: str | None) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        why = error.strerror or type(error).__name__
        rule = f"it must be a certificate in PEM, with its key: {why}"
        raise InvalidValue("tls-cert", certificate, rule) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = parse_address(host)
    except InvalidValue:
        return False
    return address.value in _LOOPBACK_V4 if address.family == 4 else address.value == 1


@contextmanager
def _bound(listening: Listening) -> Iterator[socket.socket]:
    """A socket that listens; whoever connects from now on is served."""
    try:
        found = socket.getaddrinfo(
            listening.host, listening.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.create_server(
            found[0][4][:2], family=found[0][0], backlog=_BACKLOG, reuse_port=False
        )
    except OSError as error:
        where = f"{listening.host}:{listening.port}"
        raise InvalidValue("host", where, f"cannot listen there: {error.strerror}") from error
    with listener:
        listener.set_inheritable(True)
        yield listener


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _config(listening: Listening, app: Callable[[], Door]) -> Config:
    return Config(
        app,
        factory=True,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        workers=listening.workers,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=listening.grace_seconds,
        ssl_certfile=listening.tls_cert,
        ssl_keyfile=listening.tls_key,
        ssl_context_factory=_modern if listening.tls_cert else None,
    )


def _modern(_: Config, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """TLS 1.2 at least."""
    context = make()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _serve(
    listening: Listening, staff: Staff, listener: socket.socket, ready: Callable[[], object]
) -> None:
    door = create_app(staff.desk, staff.doorkeeper, listening.door)
    config = _config(listening, lambda: door)
    config.load()
    _ignore_signals_after_the_stop()
    ready()
    Server(config).run([listener])
    room = door.counter.room
    room.close()
    if room.inside:
        _log.warning("stopped before all was done", requests=room.inside)
    else:
        staff.desk.close()


def _supervise(listening: Listening, hire: Hire, listener: socket.socket) -> None:
    with tempfile.TemporaryDirectory(prefix="allotment-figures-") as figures:
        os.environ[SHARED] = figures
        try:
            Multiprocess(_config(listening, Worker(listening, hire)), [listener]).run()
        finally:
            del os.environ[SHARED]


def _ignore_signals_after_the_stop() -> None:
    """Let a stop that was asked for end with 0: uvicorn raises the signal again when it is done."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
