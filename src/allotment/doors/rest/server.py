"""The REST door as a process: a desk, a socket, TLS, workers, and an orderly end.

Invariant: plain HTTP leaves this machine only where somebody said so; a signal to stop lets every
accepted request have its answer.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace
from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from allotment.bootstrap import first_token, open_book
from allotment.config import parse_url
from allotment.desk import PromptDesk
from allotment.doors.rest import logs
from allotment.doors.rest.app import Door, create_app
from allotment.doors.rest.chores import FORGET_SECONDS, Chore
from allotment.doors.rest.connection import Connection
from allotment.doors.rest.doorkeeper import ChainedDoorkeeper, Doorkeeper
from allotment.doors.rest.metrics import SHARED
from allotment.doors.rest.settings import Listening
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.loopback import is_loopback
from allotment.model.secret import Secret
from allotment.sealing import Sealer

STARTUP_FAILED: Final = 3  # what uvicorn's supervisor takes for a worker that never will start
_BACKLOG: Final = 2048
SUPERVISED_SECONDS: Final = 1.0

_log = structlog.get_logger("allotment.serve")


class Staff(NamedTuple):
    """Who serves: a desk, who knows the tokens, and what is done beside the serving."""

    desk: PromptDesk
    doorkeeper: Doorkeeper
    chores: tuple[Chore | Sealer, ...] = ()
    cursor_key: bytes | None = None
    first_token: Callable[[], Secret | None] = lambda: None


Hire = Callable[[Listening], Staff]


def hire(listening: Listening) -> Staff:
    """The staff of a book: its own desk knows its tokens, a provider's keys those of its users.

    Raises:
        AllotmentError: the book cannot be opened, or the provider's settings cannot be meant.
    """
    users = None
    if listening.oidc is not None:
        from allotment.doors.rest.oidc import from_settings  # only then: it loads a cryptography

        users = from_settings(listening.oidc)
    desk = open_book(listening.database, create=listening.create)
    forgetting = Chore("forget answers", desk.forget_answers, FORGET_SECONDS)
    return Staff(
        desk,
        ChainedDoorkeeper(desk, users),
        (forgetting, Sealer(desk)),
        desk.cursor_key(),
        lambda: first_token(desk),
    )


@dataclass(frozen=True)
class Worker:
    """Makes the application in the process that serves it; it is sent there as it is."""

    listening: Listening
    hire: Hire
    supervisor: int

    def __call__(self) -> Door:
        """Open the book, or end the process in the way that stops its supervisor."""
        threading.Thread(target=self._end_with_supervisor, name="supervised", daemon=True).start()
        logs.set_up(self.listening.log_format)
        try:
            staff = self.hire(self.listening)
        except AllotmentError as error:
            _log.error("failed to start", code=error.code, detail=error.message)
            sys.exit(STARTUP_FAILED)
        return _door(self.listening, staff)

    def _end_with_supervisor(self) -> None:
        """Nobody else would stop a worker whose supervisor was killed, or start others instead."""
        while os.getppid() == self.supervisor:
            time.sleep(SUPERVISED_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)


def _door(listening: Listening, staff: Staff) -> Door:
    for chore in staff.chores:
        chore.start()
    settings = listening.door
    if settings.cursor_key is None:
        settings = replace(settings, cursor_key=staff.cursor_key)
    door = create_app(staff.desk, staff.doorkeeper, settings)
    staff.desk.watch_groups(door.records.metrics.observe_batch)
    return door


def run(listening: Listening, say: Callable[[str], object], hire: Hire = hire) -> None:
    """Serve until a signal says to stop.

    `say` is told where we listen, as soon as a client may come.

    Raises:
        InvalidValue: the listening is not safe, or not possible.
        AllotmentError: the book cannot be opened.
    """
    check(listening)
    logs.set_up(listening.log_format)
    staff = hire(listening)  # the book opens, or whoever started us hears why not
    with _bound(listening) as listener:
        secret = staff.first_token() if listening.first_token else None
        if secret is not None:
            say(f"the first administrator's token, shown once: {secret.reveal()}")
        scheme = "https" if listening.tls_cert else "http"
        where = f"listening on {scheme}://{_shown(listener)}"
        if listening.workers == 1:
            _serve(listening, staff, listener, lambda: say(where))
        else:
            staff.desk.close()  # each worker opens it for itself
            worker = Worker(replace(listening, create=False), hire, os.getpid())
            _supervise(worker, listener, lambda: say(where))


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
    if plain and not is_loopback(listening.host):
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
    door = _door(listening, staff)
    config = _config(listening, lambda: door)
    config.load()
    server = Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        # From now on, and again after the stop: uvicorn then raises the signal anew.
        signal.signal(number, server.handle_exit)
    ready()
    server.run([listener])
    if not door.counter.room.close():
        _log.warning("stopped before all was done")
        return  # what is still at work ends with the process
    for chore in staff.chores:
        chore.stop()
    staff.desk.close()


def _supervise(worker: Worker, listener: socket.socket, ready: Callable[[], object]) -> None:
    with tempfile.TemporaryDirectory(prefix="allotment-figures-") as figures:
        os.environ[SHARED] = figures
        try:
            supervisor = Multiprocess(_config(worker.listening, worker), [listener])
            ready()
            supervisor.run()
        finally:
            del os.environ[SHARED]
