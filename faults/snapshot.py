"""All rows of a book, as they are and as they may be compared; and the way back to them.

Invariant: two books are alike when they differ only in ids, times and secrets that were made
since the snapshot they are compared by.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql


class Table(NamedTuple):
    """The rows of a table."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]  # Any: values as the driver gives them


Dump = dict[str, Table]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r'("\w+_at":)(\d+)')
_KEY_ID = re.compile(r'("key_id":)"[^"]*"')
_MADE = ("digest", "key_id", "pepper")
_TIMES = ("at", "since", "until")


class SqlitePlace:
    """A book in a file that is copied from a template each time."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        self._path = folder / "book.db"
        self.url = f"sqlite:///{self._path}"

    def keep(self) -> None:
        """What the book is now, is what it goes back to."""
        shutil.copy(self._path, self._template)

    def reset(self) -> None:
        """Go back."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._template, self._path)

    def dump(self) -> Dump:
        """Every row."""
        with closing(sqlite3.connect(self._path)) as conn:
            names = conn.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            ).fetchall()
            found: Dump = {}
            for (name,) in names:
                rows = conn.execute(f'SELECT * FROM "{name}"')
                columns = tuple(column[0] for column in rows.description)
                found[name] = Table(columns, rows.fetchall())
            return found

    def open_still(self) -> int:
        """How often this process has the file open."""
        return sum(
            1
            for link in Path("/proc/self/fd").iterdir()
            if os.path.islink(link) and os.readlink(link) == str(self._path)
        )

    def left(self) -> list[str]:
        """What was left behind: whether anybody still holds the file."""
        with closing(sqlite3.connect(self._path, timeout=0)) as conn:
            try:
                conn.execute("BEGIN IMMEDIATE")
                conn.rollback()
            except sqlite3.OperationalError:
                return ["L2 the file is locked"]
        return []


class PostgresPlace:
    """A book on a server, whose rows are put back each time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._conn = psycopg.connect(url, autocommit=True)
        self._conn.execute("SET synchronous_commit = off")
        self._kept: dict[str, bytes] = {}
        self._sequences: list[tuple[str, int, bool]] = []

    def close(self) -> None:
        """Look no more."""
        self._conn.close()

    def keep(self) -> None:
        """What the book is now, is what it goes back to."""
        for name in self._tables():
            copy = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(name))
            with self._conn.cursor().copy(copy) as rows:
                self._kept[name] = b"".join(bytes(part) for part in rows)

    def reset(self) -> None:
        """Go back."""
        with self._conn.transaction():
            self._conn.execute("SET LOCAL session_replication_role = replica")
            for name, rows in self._kept.items():
                table = sql.Identifier(name)
                self._conn.execute(sql.SQL("DELETE FROM {}").format(table))
                fill = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(table)
                with self._conn.cursor().copy(fill) as copy:
                    copy.write(rows)

    def dump(self) -> Dump:
        """Every row."""
        found: Dump = {}
        with self._conn.transaction(), self._conn.cursor() as rows:
            for name in self._tables():
                query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
                told = rows.execute(query).fetchall()
                columns = tuple(column.name for column in rows.description or ())
                found[name] = Table(columns, told)
        return found

    def open_still(self) -> int:
        """How many sessions other than this one there are."""
        row = self._conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def left(self) -> list[str]:
        """What was left behind: open transactions, locks."""
        found = self._conn.execute(
            "SELECT state, left(query, 80) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
        ).fetchall()
        locks = self._conn.execute(
            "SELECT mode FROM pg_locks WHERE locktype = 'advisory'"
        ).fetchall()
        return [f"L2 a transaction was left: {one}" for one in found] + [
            f"L2 an advisory lock was left: {one}" for one in locks
        ]

    def _tables(self) -> list[str]:
        if not self._kept:
            rows = self._conn.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            )
            self._kept = {name: b"" for (name,) in rows.fetchall() if name != "alembic_version"}
        return list(self._kept)


class Alike:
    """Compares dumps with the one of before, by the rows that are new and those that are gone."""

    def __init__(self, before: Dump, since: int, *, blocks: bool) -> None:
        self._since = since
        self._skipped = {"alembic_version"} if blocks else {"alembic_version", "audit_block"}
        self._rows = {name: Counter(table.rows) for name, table in before.items()}
        self._ids = {
            str(found)
            for table in before.values()
            for row in table.rows
            for value in row
            if (found := _id(value)) is not None
        }

    def change(self, dump: Dump) -> Counter[Any]:
        """What is new and what is gone, without what is made anew each time; empty: nothing."""
        found: Counter[Any] = Counter()
        for name, table in dump.items():
            if name in self._skipped:
                continue
            rows = Counter(table.rows)
            for row, number in (rows - self._rows[name]).items():
                told = dict(zip(table.columns, row, strict=True))
                if name != "event" or told["outcome"] == "done":
                    plain = tuple(self._plain(name, column, told) for column in table.columns)
                    found[name, "new", plain] += number
            for row, number in (self._rows[name] - rows).items():
                found[name, "gone", row] += number
        return found

    def _plain(self, table: str, column: str, row: dict[str, Any]) -> Any:
        value = row[column]
        if table == "event" and column == "id":
            return "number"
        if table == "audit_block" and column in ("ids", "gaps", "high", "digest"):
            return "proof"
        if table == "token" and column in _MADE and str(_id(row["id"])) not in self._ids:
            return "made"
        if column.endswith("id") and _id(value) is not None:
            return str(_id(value)) if str(_id(value)) in self._ids else "made"
        if isinstance(value, int) and (column in _TIMES or column.endswith("_at")):
            return "since" if value >= self._since else value
        if isinstance(value, bytes) and column == "answer":
            value = value.decode()
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _UUID.sub(lambda found: found[0] if found[0] in self._ids else "made", text)
        text = _KEY_ID.sub(r'\1"made"', text)
        return _TIME.sub(
            lambda found: found[1] + ("since" if int(found[2]) >= self._since else found[2]), text
        )


def _id(value: Any) -> UUID | None:
    if isinstance(value, UUID):
        return value
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    return None
