"""The rights of the three roles of a PostgreSQL book: owner, app and reader.

Invariant: nobody but the owner can change or remove an event or a block of the audit; the owner
is for upgrades, and no service logs in as it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allotment.store import access_schema, schema

APPEND_ONLY: Final = frozenset({schema.event.name, access_schema.audit_block.name})
FIXED: Final = frozenset({schema.setting.name, "alembic_version"})
UNREADABLE: Final = frozenset(
    {schema.setting.name, schema.idempotency.name, access_schema.token.name}
)
"""What a reader does not see: the book's secret, stored answers, digests of tokens."""
VIEWS: Final = ("allocation_readable", "free_extent_readable")


def grants(app: str, reader: str) -> Iterator[str]:
    """Statements that give two roles their rights; to be run by the owner, after each upgrade.

    What the roles had before on the book's tables is taken away first.
    """
    app, reader = _quoted(app), _quoted(reader)
    tables = sorted({"alembic_version", *(table.name for table in schema.metadata.sorted_tables)})
    for name in (*tables, *VIEWS):
        yield f"REVOKE ALL ON {_quoted(name)} FROM PUBLIC, {app}, {reader}"
    for name in tables:
        yield f"GRANT {_app_rights(name)} ON {_quoted(name)} TO {app}"
        if name not in UNREADABLE:
            yield f"GRANT SELECT ON {_quoted(name)} TO {reader}"
    for name in VIEWS:
        yield f"GRANT SELECT ON {_quoted(name)} TO {app}, {reader}"
    yield f"GRANT USAGE ON SCHEMA public TO {app}, {reader}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app}"


def _app_rights(table: str) -> str:
    if table in FIXED:
        return "SELECT"
    if table in APPEND_ONLY:
        return "SELECT, INSERT"
    return "SELECT, INSERT, UPDATE, DELETE"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
