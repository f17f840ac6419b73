"""The big tables of a PostgreSQL book in hash partitions, by the subnet or pool of their rows.

Invariant: a book in partitions has every named constraint, index and view it had before; an index
of one partition has the whole table's name with `_of_` and the partition's number after it, so that
a refused row is still told apart by the name of the constraint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from allotment.errors import InvalidValue
from allotment.store import schema
from allotment.store.dialect import Partitions

KEYS: Final = {
    schema.free_extent.name: "container_id",
    schema.allocation.name: "subnet_id",
    schema.allocation_tag.name: "subnet_id",
}
"""Which tables, by which column; what refers to another one comes after it."""
COUNT_MAX: Final = 256

_TABLES = {"tables": list(KEYS)}
_COUNTS = """
    SELECT c.relname, count(i.inhrelid) FROM pg_class c
    LEFT JOIN pg_inherits i ON i.inhparent = c.oid
    WHERE c.relname = ANY(:tables) AND c.relnamespace = current_schema()::regnamespace
      AND c.relkind = 'p' GROUP BY c.relname
"""
_STRANGE = """
    SELECT conrelid::regclass::text FROM pg_constraint
    WHERE confrelid = ANY(CAST(:tables AS regclass[])) AND NOT conrelid = ANY(
      CAST(:tables AS regclass[]))
    UNION ALL SELECT tgrelid::regclass::text FROM pg_trigger
    WHERE tgrelid = ANY(CAST(:tables AS regclass[])) AND NOT tgisinternal
"""
# What is said of a table is kept as the statements that say it again.
_VIEWS = """
    SELECT DISTINCT format('CREATE OR REPLACE VIEW %s AS %s', v.oid::regclass,
      pg_get_viewdef(v.oid))
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = ANY(CAST(:tables AS regclass[]))
      AND v.relkind = 'v'
"""
_CONSTRAINTS = """
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
      pg_get_constraintdef(oid))
    FROM pg_constraint
    WHERE conrelid = ANY(CAST(:tables AS regclass[])) AND contype IN ('p', 'u', 'f')
    ORDER BY contype = 'f'
"""
_INDEXES = """
    SELECT pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = ANY(CAST(:tables AS regclass[]))
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = indexrelid)
"""
_RIGHTS = """
    SELECT format('GRANT %s ON %s TO %s', a.privilege_type, c.oid::regclass,
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = ANY(CAST(:tables AS regclass[])) AND a.grantee <> c.relowner
"""
# The old table steps aside, the new one and its partitions (with the old one's settings) are made.
_NEW = """
    WITH t AS (
      SELECT relname AS name,
        coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '') AS settings
      FROM pg_class WHERE oid = CAST(:table AS regclass)
    )
    SELECT format('ALTER TABLE %1$I RENAME TO %2$I', name, name || '_uncut') FROM t
    UNION ALL SELECT format('CREATE TABLE %1$I (LIKE %2$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS'
      ' INCLUDING STORAGE INCLUDING COMMENTS) PARTITION BY HASH (%3$I)', name, name || '_uncut',
      CAST(:key AS text)) FROM t
    UNION ALL SELECT format('CREATE TABLE %1$I PARTITION OF %2$I FOR VALUES WITH'
      ' (MODULUS %3$s, REMAINDER %4$s) %5$s', name || '_of_' || lpad(n::text, 3, '0'), name,
      CAST(:count AS int), n, settings)
    FROM t, generate_series(0, CAST(:count AS int) - 1) AS n
    UNION ALL SELECT format('INSERT INTO %1$I SELECT * FROM %2$I', name, name || '_uncut') FROM t
"""
_UNNAMED = """
    SELECT format('ALTER INDEX %s RENAME TO %I', i.indexrelid::regclass, wanted.name)
    FROM pg_inherits h JOIN pg_index i ON i.indexrelid = h.inhrelid
      JOIN pg_class whole ON whole.oid = h.inhparent
      JOIN pg_class part ON part.oid = i.indrelid
      JOIN pg_class own ON own.oid = i.indexrelid,
      LATERAL (SELECT whole.relname || substring(part.relname from '_of_[0-9]+$') AS name) wanted
    WHERE part.relnamespace = current_schema()::regnamespace AND own.relname <> wanted.name
"""


class HashPartitions(Partitions):
    """By hash, in as many partitions of each table."""

    def cut(self, conn: Connection, count: int) -> bool:
        """Copy the rows over, then say again all that was said of the tables."""
        if not 2 <= count <= COUNT_MAX:
            raise InvalidValue("partitions", count, f"it is a number from 2 to {COUNT_MAX}")
        found: list[Any] = list(conn.execute(text(_COUNTS), _TABLES))  # Any: name, count
        if found:
            have = {number for _, number in found}
            if have != {count}:
                told = f"the book is in {max(have)} partitions; their number does not change"
                raise InvalidValue("partitions", count, told)
            return False
        self._cut(conn, count)
        return True

    def _cut(self, conn: Connection, count: int) -> None:
        _do(conn, [f"LOCK TABLE {', '.join(reversed(KEYS))} IN ACCESS EXCLUSIVE MODE"])
        strange = _said(conn, _STRANGE, _TABLES)
        assert not strange, f"{strange} would be lost or left behind"
        views, constraints, indexes, rights = (
            _said(conn, query, _TABLES) for query in (_VIEWS, _CONSTRAINTS, _INDEXES, _RIGHTS)
        )
        for table, key in KEYS.items():
            _do(conn, _said(conn, _NEW, {"table": table, "key": key, "count": count}))
        _do(conn, views)  # they let go of the old tables
        _do(conn, [f"DROP TABLE {table}_uncut" for table in reversed(KEYS)])
        _do(conn, [*constraints, *indexes, *rights])
        self.name(conn)
        _do(conn, [f"ANALYZE {table}" for table in KEYS])

    def name(self, conn: Connection) -> None:
        """What PostgreSQL has named by itself, as when an index of the whole table was added."""
        _do(conn, _said(conn, _UNNAMED, {}))


def _said(conn: Connection, query: str, params: dict[str, Any]) -> Sequence[str]:  # Any: values
    return conn.execute(text(query), params).scalars().all()


def _do(conn: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        conn.exec_driver_sql(statement)
