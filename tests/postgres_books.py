"""Books on the tests' PostgreSQL that are lent, emptied and lent again.

Invariant: whoever borrows a book finds it as a new copy of the template would be; one that cannot
be brought there - others are still in it, its tables were changed, it grew - is thrown away. To
copy a database and to drop it takes a second of syncing; to empty one, a few milliseconds.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from postgres_server import PostgresServer

GUESTS_LEAVE_SECONDS_MAX = 0.5
GROWTH_MAX = 4 << 20  # bytes

# What a test may do to a database besides filling its tables: all of it is in here.
_CATALOGS = {
    "pg_attribute": "attrelid >= 16384",
    "pg_attrdef": "true",
    "pg_constraint": "oid >= 16384",
    "pg_default_acl": "true",
    "pg_event_trigger": "true",
    "pg_extension": "true",
    "pg_index": "indexrelid >= 16384",
    "pg_namespace": "nspname !~ '^pg_(toast_)?temp_'",
    "pg_policy": "true",
    "pg_proc": "oid >= 16384",
    "pg_rewrite": "oid >= 16384",
    "pg_trigger": "true",
    "pg_type": "oid >= 16384",
    "pg_db_role_setting": "setdatabase = current_database_oid()",
}
_CLASSES = """
    SELECT (oid, relname, relnamespace, relowner, relkind, relpersistence, relnatts, relchecks,
      relhasrules, relhastriggers, relrowsecurity, relforcerowsecurity, relacl, reloptions)::text
    FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't'
"""
_TABLES = (
    "SELECT relname FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"
)
_SEQUENCES = "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"
_SIZE = "SELECT pg_database_size(current_database())"
_GUESTS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def _shape_query() -> str:
    parts = [_CLASSES]
    for catalog, where in _CATALOGS.items():
        this = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        condition = where.replace("current_database_oid()", this)
        parts.append(f"SELECT '{catalog}' || c::text FROM {catalog} c WHERE {condition}")
    parts.append("SELECT datacl::text FROM pg_database WHERE datname = current_database()")
    everything = " UNION ALL ".join(parts)
    return f"SELECT md5(string_agg(said, ' ' ORDER BY said)) FROM ({everything}) AS s (said)"


_SHAPE = _shape_query()


@dataclass
class Shelf:
    """The books of one worker: copies of one template."""

    server: PostgresServer
    template: str
    _free: list[str] = field(default_factory=list)
    _shape: str | None = None
    _size: int = 0
    _rows: dict[str, Any] = field(
        default_factory=dict
    )  # Any: rows as JSON, for the tables with any

    def lend(self) -> str:
        """Return the URL of an empty book."""
        if self._free:
            return self._free.pop()
        url = self.server.create_database(self.template)
        if self._shape is None:
            self._look(url)
        return url

    def take_back(self, url: str) -> None:
        """Empty a book for the next one who asks, or drop it."""
        if self._emptied(url):
            self._free.append(url)
        else:
            self.server.drop_database(url)

    def _look(self, url: str) -> None:
        """Remember what a new copy is like."""
        with psycopg.connect(url) as conn:
            self._shape, self._size = _one(conn, _SHAPE), _one(conn, _SIZE)
            for (table,) in conn.execute(_TABLES).fetchall():
                rows = sql.SQL("SELECT json_agg(t)::text FROM {} t").format(sql.Identifier(table))
                self._rows[table] = _one(conn, rows)

    def _emptied(self, url: str) -> bool:
        try:
            with psycopg.connect(url) as conn:
                return self._left_alone(conn) and self.unchanged(conn) and self._empty(conn)
        except psycopg.Error:  # the server was told to refuse us, or the test killed what it could
            return False

    def _left_alone(self, conn: psycopg.Connection) -> bool:
        """Whether whoever used it has gone; a server process may take a moment to end."""
        deadline = time.monotonic() + GUESTS_LEAVE_SECONDS_MAX
        while _one(conn, _GUESTS):
            conn.rollback()  # the next look is another snapshot
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def unchanged(self, conn: psycopg.Connection) -> bool:
        """Whether nothing but rows, and not many, differs from a new copy."""
        small = _one(conn, _SIZE) - self._size <= GROWTH_MAX
        return small and _one(conn, _SHAPE) == self._shape

    def _empty(self, conn: psycopg.Connection) -> bool:
        conn.execute("SET LOCAL session_replication_role = replica")  # in any order of tables
        for table, rows in self._rows.items():
            name = sql.Identifier(table)
            conn.execute(sql.SQL("DELETE FROM {}").format(name))
            if rows is not None:
                fill = "INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s)"
                conn.execute(sql.SQL(fill).format(name), [rows])
        conn.execute(_SEQUENCES)
        return True


def _one(conn: psycopg.Connection, query: Any) -> Any:  # Any: SQL, composed or not; a value
    row = conn.execute(query).fetchone()
    assert row is not None
    return row[0]
