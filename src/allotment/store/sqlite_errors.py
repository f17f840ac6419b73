"""SQLite's extended result codes, told apart.

Invariant: the code decides; the message is read only for the name of a violated constraint, which
SQLite says nowhere else.
"""

from __future__ import annotations

import sqlite3

from allotment.errors import (
    Bug,
    Busy,
    ConstraintFailed,
    DeadlineExceeded,
    Misconfigured,
    NotPrimary,
    Phase,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

BUSY_SNAPSHOT = 517
_CONSTRAINTS = {275, 787, 1299, 1555, 1811, 2067, 2579}
_EXTENDED: dict[int, tuple[type[StoreError], str]] = {
    BUSY_SNAPSHOT: (Serialization, "another writer came first; try again"),
}
_PRIMARY: dict[int, tuple[type[StoreError], str]] = {
    1: (SchemaMismatch, "the database does not have the tables this version works with"),
    3: (Misconfigured, "the database file may not be opened; see its permissions"),
    5: (Busy, "another process is writing to the database; try again"),
    6: (Busy, "the database is locked; try again"),
    7: (StoreUnavailable, "the database ran out of memory"),
    8: (NotPrimary, "the database is read-only"),
    9: (DeadlineExceeded, "the request was interrupted"),
    10: (StoreUnavailable, "the disk failed under the database"),
    11: (StoreCorrupt, "the database file is damaged; restore it from a backup"),
    13: (StoreFull, "the disk is full; nothing was changed"),
    14: (Misconfigured, "the database file cannot be opened; see its folder and permissions"),
    17: (SchemaMismatch, "the database's tables changed"),
    18: (Bug, "a value was too big for the database"),
    20: (Bug, "a value had the wrong type for the database"),
    21: (Bug, "the database library was misused"),
    23: (Misconfigured, "the database refused access"),
    26: (StoreCorrupt, "the file is not an SQLite database"),
}

# How SQLite names a constraint -> how the book names it.
_UNIQUE = {
    "project.name": "project_name_once",
    "address_scope.name": "address_scope_name_once",
    "subnet_pool.scope_id, subnet_pool.name": "subnet_pool_name_once",
    "subnet.scope_id, subnet.name": "subnet_name_once",
    "allocation.subnet_id, allocation.address": "allocation_pkey",
    "allocation.identifier, allocation.subnet_id": "allocation_identifier_once",
    "prefix_allocation.pool_id, prefix_allocation.first": "prefix_allocation_pkey",
    "prefix_allocation.identifier, prefix_allocation.pool_id": "prefix_allocation_identifier_once",
    "idempotency.actor, idempotency.key": "idempotency_pkey",
    "free_extent.container_id, free_extent.last": "free_extent_pkey",
}


def translate(error: Exception, phase: Phase) -> StoreError:
    """The typed error of an SQLite error."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
            return Bug(f"the database library was misused: {type(error).__name__}", phase=phase)
        return StoreError(f"the database failed: {type(error).__name__}", phase=phase)
    state = str(code)
    if code in _CONSTRAINTS:
        return ConstraintFailed(_constraint(code, str(error)), phase=phase, state=state)
    kind, message = _EXTENDED.get(code) or _PRIMARY.get(
        code & 0xFF, (StoreError, "the database answered with an unknown error")
    )
    return kind(f"{message} (SQLite code {code})", phase=phase, state=state)


def _constraint(code: int, message: str) -> str:
    """The name of the constraint that an integrity error is about."""
    said = message.partition(": ")[2] if "constraint failed" in message else message
    if code == 787:
        return "foreign_key"
    return _UNIQUE.get(said, said) if code in (1555, 2067) else said
