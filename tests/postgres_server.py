"""The PostgreSQL of a test run: one server, shared by its processes, started by the first to ask.

Invariant: no server outlives the run that asked for it, however that run ends. The run holds a
lock (its lifeline) for as long as its process lives; a guardian process, which alone starts and
stops the server, waits for that lock. Locks are POSIX record locks: they end with the process,
and no forked child inherits them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from postgres_cluster import CHOICE_VARIABLE, Cluster, end_leftovers


@dataclass
class PostgresServer:
    """A running server, seen by a test: a place to make databases."""

    admin_url: str
    run_directory: Path
    prefix: str
    # Kept from one database to the next: making one should not cost two connections more.
    _admin: psycopg.Connection | None = field(default=None, repr=False)

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        address = make_url(self.admin_url).set(database=database)
        return address.render_as_string(hide_password=False)

    def create_database(self, template: str = "template0") -> str:
        """Make a database, empty or the copy of a `template`, and return its URL."""
        name = f"{self.prefix}_{secrets.token_hex(6)}"
        self._execute("create database {} template {}", name, template)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database made here, whoever is still connected."""
        name = make_url(url).database
        assert name is not None
        assert name.startswith(self.prefix), "not a database of this run"
        self._execute("drop database if exists {} with (force)", name)

    def template(self, name: str, prepare: Callable[[str], None]) -> str:
        """Return the template `name`, which `prepare(url)` fills once for the whole run.

        `prepare` must leave no connection open: a template with a guest can't be copied.
        """
        database = f"{self.prefix}_{name}"
        with locked(self.run_directory / f"template-{name}.lock"):
            if not self._exists(database):
                draft = f"{database}_draft"
                self._execute("drop database if exists {} with (force)", draft)
                self._execute("create database {} template template0", draft)
                prepare(self.url(draft))
                self._execute("alter database {} rename to {}", draft, database)
        return database

    def drop_all(self) -> None:
        """Drop every database of this run: on a server that isn't ours to throw away."""
        names = self._connection().execute(
            "select datname from pg_database where starts_with(datname, %s)", [self.prefix]
        )
        for (name,) in names.fetchall():
            self._execute("drop database if exists {} with (force)", name)

    def close(self) -> None:
        """Let go of the server, which goes on."""
        if self._admin is not None:
            self._admin.close()

    def _exists(self, name: str) -> bool:
        query = "select from pg_database where datname = %s"
        return self._connection().execute(query, [name]).rowcount == 1

    def _execute(self, statement: str, *names: str) -> None:
        self._connection().execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connection(self) -> psycopg.Connection:
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.admin_url, autocommit=True)
        return self._admin


@dataclass
class Run:
    """One run of the tests: a folder its processes share, and the lifeline of its servers."""

    directory: Path
    _lifeline: TextIO | None = field(default=None, repr=False)
    _guardian: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def open(cls) -> Run:
        """Begin a run. For the process that outlives all others of it, which also closes it."""
        short = "/tmp" if os.access("/tmp", os.W_OK) else None  # a socket's path has 107 bytes
        directory = Path(tempfile.mkdtemp(prefix="allotment-", dir=short))
        directory.chmod(0o711)  # the server's user passes through
        lifeline = (directory / "lifeline").open("w")
        fcntl.lockf(lifeline, fcntl.LOCK_EX)
        return cls(directory, lifeline)

    def postgres(self) -> PostgresServer:
        """Return the run's server; whoever asks first starts it."""
        note = self.directory / "postgres.json"
        with locked(self.directory / "postgres.lock"):
            if not note.exists():
                choice = os.environ.get(CHOICE_VARIABLE, "")
                if "://" in choice:
                    _write(note, choice, ours=False)
                else:
                    self._start_guardian(note)
        prefix = self.directory.name.replace("-", "_").lower()
        return PostgresServer(json.loads(note.read_text())["url"], self.directory, prefix)

    def own_cluster(self) -> Cluster:
        """Return a server for one test alone, not yet started: to be killed and started again."""
        self.postgres()  # its guardian ends ours too, should this process die
        return Cluster(self.directory / f"own-{secrets.token_hex(3)}")

    def close(self) -> None:
        """End the run: its servers are gone when this returns."""
        assert self._lifeline is not None
        note = self.directory / "postgres.json"
        if note.exists() and not json.loads(note.read_text())["ours"]:
            with contextlib.closing(self.postgres()) as server:
                server.drop_all()
        self._lifeline.close()
        # The folder is gone already if the guardian was quick.
        with contextlib.suppress(FileNotFoundError), locked(self.directory / "guardian.lock"):
            end_leftovers(self.directory)
            shutil.rmtree(self.directory, ignore_errors=True)
        if self._guardian is not None:
            self._guardian.wait()

    def _start_guardian(self, note: Path) -> None:
        log = self.directory / "guardian.log"
        with log.open("wb") as output:
            self._guardian = subprocess.Popen(
                [sys.executable, __file__, self.directory],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # an interrupt at the terminal is not for it
            )
        while not note.exists():
            if self._guardian.poll() is not None:
                raise RuntimeError(f"the PostgreSQL of the tests failed:\n{log.read_text()}")
            time.sleep(0.02)


def guard(directory: Path) -> None:
    """Run the server until the run's lifeline is let go, then leave nothing behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with locked(directory / "guardian.lock"):
        cluster = Cluster(directory / "shared")
        try:
            cluster.start()
            _write(directory / "postgres.json", cluster.url(), ours=True)
            with locked(directory / "lifeline"):
                pass
        finally:
            cluster.stop()
        end_leftovers(directory)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of that name, against every other process."""
    with path.open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _write(note: Path, url: str, *, ours: bool) -> None:
    draft = note.with_suffix(".draft")
    draft.write_text(json.dumps({"url": url, "ours": ours}))
    draft.rename(note)


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
