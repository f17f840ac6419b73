"""Making and upgrading the book's tables.

Invariant: a book is used only at the schema this version was written for.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from allotment.errors import Busy, InvalidValue, SchemaMismatch
from allotment.store import settings
from allotment.store.schema import HEAD

if TYPE_CHECKING:
    from alembic.config import Config

    from allotment.store.dialect import Dialect

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('allotment upgrade'))")


BUSY_SECONDS = 15.0
PAUSE_SECONDS = 0.05
PARTITION_SECONDS_MAX = 7 * 24 * 3600.0


def make_ready(dialect: Dialect, *, create: bool) -> None:
    """Find the book at this version's schema, or bring it there.

    A blank SQLite database becomes a book by itself, any other only with `create`. Several
    processes may come to a new file at once: one makes the book, the others wait for it.

    Raises:
        SchemaMismatch: there is no book, or it is of another version; says what to run.
        StoreError: the database failed.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if create or (not dialect.concurrent and _is_blank(dialect)):
                upgrade(dialect)
            else:
                check(dialect)
            return
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)


def _is_blank(dialect: Dialect) -> bool:
    try:
        with dialect.exclusive("read"), dialect.engine.connect() as conn:
            dialect.begin(conn, "read")
            return not inspect(conn).get_table_names()
    except dialect.errors as error:
        raise dialect.typed(error, "connect") from error


def found_version(dialect: Dialect) -> str | None:
    """The schema version of a database; None when it holds no book."""
    try:
        with dialect.exclusive("read"), dialect.engine.connect() as conn:
            dialect.begin(conn, "read")
            found: str | None = conn.execute(
                text("SELECT version_num FROM alembic_version")
            ).scalar_one_or_none()
            return found
    except dialect.errors as error:
        translated = dialect.typed(error, "connect")
        if isinstance(translated, SchemaMismatch):
            return None
        raise translated from error


def check(dialect: Dialect) -> None:
    """Refuse a database that is not at this version's schema.

    Raises:
        SchemaMismatch: it holds no book, an older or a newer one; says what to run.
    """
    found = found_version(dialect)
    if found == HEAD:
        return
    if found is None:
        raise SchemaMismatch(
            f"{dialect.shown} holds no book yet; run: allotment init --database '{dialect.shown}'",
            phase="connect",
        )
    raise _other(found)


def _other(found: str) -> SchemaMismatch:
    if found in _known_revisions():
        return SchemaMismatch(
            f"the book is at schema {found}, this version needs {HEAD}; run: allotment init",
            phase="connect",
        )
    return SchemaMismatch(
        f"the book is at schema {found}, which this version does not know: it was made by a newer"
        " one; upgrade Allotment",
        phase="connect",
    )


def upgrade(dialect: Dialect) -> bool:
    """Bring a database to this version's schema, making the book where there is none.

    Returns:
        Whether anything was done.

    Raises:
        SchemaMismatch: the book was made by a newer version.
        StoreError: the database failed.
    """
    found = found_version(dialect)
    if found == HEAD:
        return False
    if found is not None and found not in _known_revisions():
        raise _other(found)
    try:
        with dialect.exclusive("write"), dialect.engine.connect() as conn:
            dialect.begin(conn, "write")
            if dialect.concurrent:
                conn.execute(_LOCK)
            # Another process may have come first: look again, with the lock held.
            before = _version_inside(conn)
            if before != HEAD:
                _upgrade_inside(dialect, conn)
            conn.commit()
    except dialect.errors as error:
        raise dialect.typed(error, "statement") from error
    return before != HEAD


def partition(dialect: Dialect, count: int) -> bool:
    """Put a book's big tables into so many partitions; nobody uses the book meanwhile.

    Returns:
        Whether anything was done: False, when it is in as many already.

    Raises:
        InvalidValue: the database has none, that many cannot be, or it is in another number.
        Busy: the book is in use.
    """
    if dialect.partitions is None:
        raise InvalidValue("partitions", count, "only a book on PostgreSQL is put into partitions")
    deadline = time.monotonic() + PARTITION_SECONDS_MAX
    try:
        with dialect.exclusive("write"), dialect.engine.connect() as conn:
            dialect.begin(conn, "write", deadline)
            conn.execute(_LOCK)
            done = dialect.partitions.cut(conn, count)
            conn.commit()
    except dialect.errors as error:
        raise dialect.typed(error, "statement") from error
    return done


def _upgrade_inside(dialect: Dialect, conn: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = conn
    config.attributes["native_schema"] = dialect.native_schema()
    command.upgrade(config, HEAD)
    if dialect.partitions is not None:
        dialect.partitions.name(conn)
    settings.enter_missing(conn, lambda: secrets.token_bytes(32))


def _version_inside(conn: Connection) -> str | None:
    if not inspect(conn).has_table("alembic_version"):
        return None
    found: str | None = conn.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _known_revisions() -> frozenset[str]:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)
