"""Putting the house together: a URL becomes a desk.

Invariant: a book is created only where there was nothing, or when asked to; a book of another
version is refused with the command to run.
"""

from __future__ import annotations

import getpass
import os
import time

from allotment.config import audit_key_file, parse_url
from allotment.desk import LocalDesk
from allotment.errors import AlreadyExists, Misconfigured
from allotment.model.access import Actor, Role
from allotment.model.access import local_owner as _owner
from allotment.model.commands import Batch
from allotment.model.grants import CreateGrant, CreateToken, ListTokens, NewToken
from allotment.model.secret import Secret
from allotment.signing import signing_key
from allotment.store import upgrade
from allotment.store.dialect import Dialect
from allotment.store.session import Store

FIRST_TOKEN = "bootstrap"  # noqa: S105 - a name
FIRST_TOKEN_SECONDS = 24 * 3600


def clock() -> int:
    """Now, in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def local_owner() -> Actor:
    """The person at this machine, as the owner of their own book."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        name = f"uid-{os.getuid()}"
    return _owner(f"local:{name}")


def open_book(database: str | None = None, *, create: bool = False) -> LocalDesk:
    """Open the book of addresses at a database URL.

    `database`: `sqlite:///path`, `sqlite://` (in memory) or `postgresql://...`; None: what
    `ALLOTMENT_DATABASE` says, else a file in the user's data folder. A new SQLite file becomes
    a book by itself; any other database only with `create`, which also upgrades an older book.

    Raises:
        SchemaMismatch: the database holds no book, or one of another version.
        StoreUnavailable, Misconfigured: the database cannot be reached, or refuses us.
        InvalidValue: the URL is none, or the file of the audit's key holds none.
    """
    key_file = audit_key_file()
    sign = None if key_file is None else signing_key(key_file)
    dialect = _dialect(parse_url(database))
    try:
        upgrade.make_ready(dialect, create=create)
    except BaseException:
        dialect.engine.dispose()
        raise
    return LocalDesk(Store(dialect, clock, sign))


def first_token(desk: LocalDesk) -> Secret | None:
    """The token of a first administrator, for a book that has no token yet.

    Returns:
        Its text, to be shown once; None: there are tokens, or another process made the first.
    """
    owner = _owner("local:bootstrap")
    if desk.ask(ListTokens(limit=1), owner).items:
        return None
    make = CreateToken(
        name=FIRST_TOKEN,
        lifetime_seconds=FIRST_TOKEN_SECONDS,
        description="made at the first start: make others with it, then revoke it",
    )
    grant = CreateGrant(actor=f"token:{FIRST_TOKEN}", role=Role.ADMIN)
    try:
        made, _ = desk.do(Batch(commands=(make, grant)), owner)
    except AlreadyExists:
        return None
    assert isinstance(made, NewToken)
    return made.secret


def _dialect(url: str) -> Dialect:
    if url.startswith("sqlite"):
        from allotment.store.sqlite import SqliteDialect

        return SqliteDialect(url)
    try:
        from allotment.store.postgres import PostgresDialect
    except ImportError as error:
        raise Misconfigured(
            "PostgreSQL needs the extra: pip install 'allotment[postgres]'", phase="connect"
        ) from error
    return PostgresDialect(url)
