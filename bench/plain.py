"""The baseline: one row per commit, as fast as the same Python and the same driver can.

Invariant: the row has the book's key (uuid, 16 bytes) and an id; keys rise within a client and
never meet another client's, so no baseline is slowed down by a contended page or a conflict.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from ground import Ground

from postgres_cluster import find_installation

TABLE = (
    "CREATE TABLE plain (subnet_id uuid NOT NULL, address bytea NOT NULL, id uuid NOT NULL,"
    " CONSTRAINT plain_pkey PRIMARY KEY (subnet_id, address))"
)
INSERT = "INSERT INTO plain (subnet_id, address, id) VALUES (%b, %b, %b)"
SUBNET = UUID("6f1d1c3e-8b0a-4c5e-9b39-0d8f0a1d2c3b")
# pgbench's clients count up too, from a number of the slot's own.
SCRIPT = f"""\\set n :n + 1
INSERT INTO plain (subnet_id, address, id) VALUES ('{SUBNET}',
 int8send(:client_id::bigint) || int8send(:n::bigint), gen_random_uuid());
"""


class PlainInsert:
    """A client with its own connection that inserts one row and commits, again and again."""

    def __init__(self, url: str, lane: int, *, autocommit: bool = True) -> None:
        self._conn = psycopg.connect(url, autocommit=autocommit)
        self._cursor = self._conn.cursor()
        self._autocommit = autocommit
        # Lanes of pgbench have 0 in the first byte.
        kind = 1 if autocommit else 2
        self._next = (kind << 120) + (lane << 64)
        self.count = 0

    def once(self) -> None:
        """Insert and commit: one statement by itself, or BEGIN, INSERT and COMMIT."""
        key = self._next.to_bytes(16, "big")
        self._next += 1
        self._cursor.execute(INSERT, (SUBNET, key, uuid4()), prepare=True)
        if not self._autocommit:
            self._conn.commit()
        self.count += 1

    def close(self) -> None:
        """Leave."""
        self._conn.close()


def make_table(url: str) -> None:
    """The table that the baseline fills."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(TABLE)


def check_table(url: str, rows: int) -> None:
    """That the baseline did what it was counted for (its keys: the table's primary key)."""
    with psycopg.connect(url, autocommit=True) as conn:
        query = "SELECT count(*) FROM plain WHERE get_byte(address, 0) > 0"
        found = conn.execute(query).fetchone()
    if found != (rows,):
        raise SystemExit(f"the baseline counted {rows} rows, but the table has {found}")


class Pgbench:
    """PostgreSQL's own load generator, in C, with the same row."""

    def __init__(self, ground: Ground, url: str) -> None:
        self._url = url
        self._script = ground.directory / "pgbench.sql"
        self._script.write_text(SCRIPT)
        self._slot = 0
        programs = find_installation().programs
        beside = programs / "pgbench"
        found = str(beside) if beside.exists() else shutil.which("pgbench")
        self.program = Path(found) if found else None

    def rate(self, clients: int, seconds: float) -> float:
        """Rows a second with so many clients."""
        assert self.program is not None
        self._slot += 1
        command: list[str | Path] = [self.program, "--no-vacuum", "--protocol=prepared"]
        command += [f"--client={clients}", f"--jobs={min(clients, 4)}"]
        command += [f"--time={max(1, round(seconds))}", f"--define=n={self._slot << 32}"]
        command += [f"--file={self._script}", self._url]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        found = re.search(r"tps = ([0-9.]+)", done.stdout)
        assert found is not None, done.stdout
        return float(found[1])
