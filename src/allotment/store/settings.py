"""Facts about the book itself.

Invariant: the secret is made once, with the book, and leaves this floor only to be hashed with.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from allotment.store import schema
from allotment.store.session import Read

T = schema.setting
SECRET = "stable-private-secret"  # noqa: S105 - the name of a setting


def secret(r: Read) -> bytes:
    """The secret that stable private addresses (RFC 7217) are made with."""
    value: bytes = r.run(select(T.c.value).where(T.c.name == SECRET)).scalar_one()
    return bytes(value)


def enter_secret(conn: Connection, value: bytes) -> None:
    """Store the secret of a new book."""
    conn.execute(insert(T), {"name": SECRET, "value": value})
