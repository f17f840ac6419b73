"""Facts about the book itself.

Invariant: each secret is made once, with the book, and leaves this floor only to be hashed with.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, select

from allotment.store import schema
from allotment.store.session import Read

T = schema.setting
SECRET = "stable-private-secret"  # noqa: S105 - the name of a setting
PEPPER = "token-pepper-{}"
CURSOR_KEY = "cursor-key"


def secret(r: Read) -> bytes:
    """The secret that stable private addresses (RFC 7217) are made with."""
    value: bytes = r.run(select(T.c.value).where(T.c.name == SECRET)).scalar_one()
    return bytes(value)


def newest_pepper(r: Read) -> tuple[int, bytes]:
    """The number and bytes of what new tokens' secrets are hashed with."""
    return 1, pepper(r, 1)


def pepper(r: Read, number: int) -> bytes:
    """What the secrets of tokens made under that number are hashed with."""
    name = PEPPER.format(number)
    value: bytes = r.run(select(T.c.value).where(T.c.name == name)).scalar_one()
    return bytes(value)


def cursor_key(r: Read) -> bytes:
    """What the cursors that leave the house are signed with."""
    value: bytes = r.run(select(T.c.value).where(T.c.name == CURSOR_KEY)).scalar_one()
    return bytes(value)


def enter_missing(conn: Connection, make: Callable[[], bytes]) -> None:
    """Store the secrets that a book lacks, each made by `make`."""
    found = set(conn.execute(select(T.c.name)).scalars())
    for name in (SECRET, PEPPER.format(1), CURSOR_KEY):
        if name not in found:
            conn.execute(insert(T), {"name": name, "value": make()})
