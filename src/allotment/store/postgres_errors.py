"""PostgreSQL's SQLSTATEs, told apart.

Invariant: the state and the phase decide, never the text; what was lost while committing is
`CommitUnknown`, and nothing else is.
"""

from __future__ import annotations

import re

import psycopg

from allotment.errors import (
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    DeadlineExceeded,
    Deadlock,
    Misconfigured,
    NotPrimary,
    Overloaded,
    Phase,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

_PART = re.compile(r"_of_[0-9]+\Z")
"""What a partition adds to the name of a constraint of the whole table."""
_GONE = "the database went away; try again"
_STATES: dict[str, tuple[type[StoreError], str]] = {
    "40001": (Serialization, "two changes could not be ordered; try again"),
    "40P01": (Deadlock, "the database broke a deadlock; try again"),
    "40003": (CommitUnknown, "the outcome of the change is not known"),
    "55P03": (Busy, "a lock was not to be had in time; try again"),
    "57014": (DeadlineExceeded, "the time allowed for the request ran out"),
    "25P02": (Bug, "a statement was sent into a failed transaction"),
    "25P03": (Bug, "a transaction was left idle too long"),
    "25P04": (Bug, "a transaction took too long"),
    "25006": (NotPrimary, "the database is read-only: a standby, or no longer the primary"),
    "57P01": (StoreUnavailable, _GONE),
    "57P02": (StoreUnavailable, _GONE),
    "57P03": (StoreUnavailable, "the database is starting or stopping; try again"),
    "57P04": (Misconfigured, "the database was dropped"),
    "3D000": (Misconfigured, "there is no such database; create it, then run 'allotment init'"),
    "08007": (CommitUnknown, "the connection was lost while committing"),
    "53100": (StoreFull, "the database's disk is full; nothing was changed"),
    "53200": (StoreUnavailable, "the database ran out of memory"),
    "53000": (StoreUnavailable, "the database ran out of resources"),
    "53300": (Overloaded, "the database takes no more connections; try again"),
    "42501": (Misconfigured, "the database user lacks a privilege"),
    "42P01": (SchemaMismatch, "a table is missing; run 'allotment init'"),
    "42703": (SchemaMismatch, "a column is missing; run 'allotment init'"),
    "42883": (SchemaMismatch, "a function is missing; run 'allotment init'"),
    "28P01": (Misconfigured, "the database refused the password"),
    "28000": (Misconfigured, "the database refused the user"),
    "58030": (StoreCorrupt, "the disk failed under the database; stop writing"),
    "XX001": (StoreCorrupt, "the database reports damaged data; stop writing"),
    "XX002": (StoreCorrupt, "the database reports a damaged index; stop writing"),
}
_CLASSES: dict[str, tuple[type[StoreError], str]] = {
    "08": (StoreUnavailable, _GONE),
    "22": (Bug, "a value did not fit the database"),
}
_CONSTRAINT_STATES = {"23505", "23P01", "23503", "23514", "23502", "23001"}
_LOST = (CommitUnknown, "the connection was lost while committing: the change may have happened")


def translate(error: Exception, phase: Phase) -> StoreError:
    """The typed error of a psycopg error."""
    state = getattr(error, "sqlstate", None)
    if state in _CONSTRAINT_STATES and isinstance(error, psycopg.Error):
        name = error.diag.constraint_name or error.diag.column_name or "unnamed"
        return ConstraintFailed(_PART.sub("", name), phase=phase, state=state)
    kind, message = _kind_of(error, state)
    if phase == "commit" and kind is StoreUnavailable:
        kind, message = _LOST
    shown = f" (SQLSTATE {state})" if state else ""
    return kind(message + shown, phase=phase, state=state)


def _kind_of(error: Exception, state: str | None) -> tuple[type[StoreError], str]:
    if state is not None:
        known = _STATES.get(state) or _CLASSES.get(state[:2])
        return known or (StoreError, "the database answered with an unknown error")
    # Without a state: psycopg's own errors at connect, or a connection that broke.
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailable, "the database cannot be reached; see that it runs and the URL"
    if isinstance(error, psycopg.InterfaceError | psycopg.ProgrammingError):
        return Bug, f"the database library was misused: {type(error).__name__}"
    return StoreError, f"the database failed: {type(error).__name__}"
