"""A desk on every kind of database, and a wire to PostgreSQL that can be cut at COMMIT."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from sqlalchemy import make_url

from allotment import LocalDesk, local_owner, open_book
from allotment.model.access import Actor
from conformance.dumps import Dumper, dump
from postgres_books import Shelf

Cut = Literal["before", "after", "late"]


@pytest.fixture
def me() -> Actor:
    """The owner of the book."""
    return local_owner()


@pytest.fixture
def desk(database_url: str) -> Iterator[LocalDesk]:
    """An empty book, on each kind of database; a test that leaks a connection fails."""
    with open_book(database_url, create=True) as made:
        yield made
        assert getattr(made.store.dialect.engine.pool, "checkedout", lambda: 0)() == 0


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
)
def module_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty book for all tests of a module, none of which may change it."""
    if request.param == "sqlite":
        yield "sqlite://"
        return
    shelf: Shelf = request.getfixturevalue("postgres_books")
    url = shelf.lend()
    yield url
    shelf.take_back(url)


@pytest.fixture
def postgres_desk(postgres_url: str) -> Iterator[LocalDesk]:
    """An empty book on PostgreSQL; a test that leaves a transaction open fails."""
    with open_book(postgres_url, create=True) as made:
        yield made
        assert made.store.dialect.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        with psycopg.connect(postgres_url) as watcher:
            query = (
                "SELECT state, query FROM pg_stat_activity"
                " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
            )
            assert watcher.execute(query).fetchall() == []


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Desks opened from now on have one connection to PostgreSQL, and wait a moment for it."""
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS", 1)
    monkeypatch.setattr("allotment.store.postgres.CONNECTIONS_MORE", 0)
    monkeypatch.setattr("allotment.store.postgres_connection.CONNECTION_WAIT_SECONDS", 0.1)


class Wire:
    """A wire to a PostgreSQL server that is cut at the next COMMITs, as often as it is told.

    `before`: COMMIT never reaches the server. `after`: the server has committed, and nobody hears
    of it. `late`: the client loses its connection at once; COMMIT reaches the server when the
    test says `let_go()`.
    """

    def __init__(self, url: str) -> None:
        with psycopg.connect(url) as conn:
            self._server = conn.info.host, conn.info.port
        self._door = socket.create_server(("127.0.0.1", 0))
        self._arrived: list[tuple[socket.socket, bytes]] = []
        self._plans: list[Cut] = []
        self.cuts = 0
        self.url = (
            make_url(url)
            .difference_update_query(["host", "port"])
            .set(host="127.0.0.1", port=self._door.getsockname()[1])
            .update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
            .render_as_string(hide_password=False)
        )
        self._strands: list[_Strand] = []
        self._host = threading.Thread(target=self._welcome, daemon=True)
        self._host.start()

    def cut(self, *plans: Cut) -> None:
        """Cut the next COMMITs so."""
        self._plans += plans

    def heal(self) -> None:
        """Cut no more."""
        self._plans.clear()

    def let_go(self) -> None:
        """Let the COMMITs that were kept back reach the server."""
        for far, rest in self._arrived:
            far.sendall(rest)

    def close(self) -> None:
        """Take no more connections, and let go of those there are."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._host.join()
        for strand in self._strands:
            strand.close()
        self._door.close()

    def _welcome(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            self._strands.append(_Strand(self, near, self._reach()))

    def _reach(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return far

    def _planned(self) -> Cut | None:
        if not self._plans:
            return None
        self.cuts += 1
        return self._plans.pop(0)


class _Strand:
    """One connection through the wire."""

    def __init__(self, wire: Wire, near: socket.socket, far: socket.socket) -> None:
        self.wire, self.near, self.far = wire, near, far
        self.deaf = False
        self.threads = [
            threading.Thread(target=self._until_cut, args=(step,), daemon=True)
            for step in (self._to_server, self._to_client)
        ]
        for thread in self.threads:
            thread.start()

    def close(self) -> None:
        for end in (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.near.close()
        self.far.close()

    def _until_cut(self, step: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):
            while step():
                pass
        kept = any(far is self.far for far, _ in self.wire._arrived)
        for end in (self.near,) if kept else (self.near, self.far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _to_server(self) -> bool:
        seen = self.near.recv(1 << 16)
        plan = self.wire._planned() if b"COMMIT\0" in seen else None
        if plan == "before" or not seen:
            return False
        if plan == "late":
            self.wire._arrived.append((self.far, seen))
            return False
        self.deaf = self.deaf or plan == "after"
        self.far.sendall(seen)
        return True

    def _to_client(self) -> bool:
        seen = self.far.recv(1 << 16)
        if not seen or (self.deaf and b"COMMIT\0" in seen):
            return False
        if not self.deaf:
            self.near.sendall(seen)
        return True


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Wire]:
    """A wire to a book on PostgreSQL that is there already."""
    open_book(postgres_url, create=True).close()
    made = Wire(postgres_url)
    yield made
    made.close()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Show classes by their name."""
    return val.__name__ if isinstance(val, type) else None


@pytest.fixture(name="dump")
def dump_of() -> Dumper:
    """What reads every row of every table of the book, but the events of what was not done."""
    return dump
