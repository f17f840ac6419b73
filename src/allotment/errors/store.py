"""Errors of the database, told apart by SQLSTATE or extended code, with the phase they struck in.

Invariant: `retryable` is true only where running the whole use case again is safe.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from allotment.errors.root import AllotmentError, Kind

Phase = Literal["connect", "begin", "statement", "commit"]


class StoreError(AllotmentError):
    """The database answered with an error nobody foresaw; `phase` says when."""

    code = "store-error"
    kind: ClassVar[Kind] = "unexpected"

    def __init__(self, message: str, *, phase: Phase = "statement", state: str | None = None):
        super().__init__(message, phase=phase, state=state)
        self.phase: Phase = phase
        self.state = state


class Serialization(StoreError):
    """Two transactions could not be ordered; the whole use case may run again."""

    code = "serialization"
    kind = "unavailable"
    retryable = True


class Deadlock(StoreError):
    """The database broke a deadlock; retried, and a bug in the lock order."""

    code = "deadlock"
    kind = "unavailable"
    retryable = True


class Busy(StoreError):
    """A lock was not to be had in time; try again."""

    code = "busy"
    kind = "unavailable"
    retryable = True


class DeadlineExceeded(StoreError):
    """The time allowed for the request ran out; nothing changed."""

    code = "deadline-exceeded"
    kind = "unavailable"


class NotPrimary(StoreError):
    """The database is read-only: a standby, or a primary that stepped down."""

    code = "not-primary"
    kind = "unavailable"
    retryable = True


class StoreUnavailable(StoreError):
    """The database cannot be reached, or went away before the commit."""

    code = "store-unavailable"
    kind = "unavailable"
    retryable = True


class Overloaded(StoreError):
    """Every connection is in use."""

    code = "overloaded"
    kind = "unavailable"
    retryable = True


class StoreFull(StoreError):
    """The database has no space left; nothing changed."""

    code = "store-full"
    kind = "unavailable"


class StoreCorrupt(StoreError):
    """The database reports damage: stop writing, restore from a backup."""

    code = "store-corrupt"
    kind = "unavailable"


class Misconfigured(StoreError):
    """The database refuses us: name, password, rights or path are wrong."""

    code = "misconfigured"
    kind = "unavailable"


class SchemaMismatch(StoreError):
    """The database's schema is not the one this version works with."""

    code = "schema-mismatch"
    kind = "unavailable"


class CommitUnknown(StoreError):
    """The connection was lost while committing: the change may or may not have happened."""

    code = "commit-unknown"
    kind = "unavailable"
    retryable = True


class Bug(StoreError):
    """The program did what it must never do; please report it."""

    code = "bug"
    kind = "unexpected"


class ConstraintFailed(StoreError):
    """A named constraint refused a row; operations turn it into what the caller can act on."""

    code = "constraint-failed"
    kind = "conflict"

    def __init__(self, constraint: str, *, phase: Phase = "statement", state: str | None = None):
        super().__init__(f"constraint {constraint} refused the change", phase=phase, state=state)
        self.constraint = constraint
