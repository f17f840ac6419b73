"""The tables that tell database errors apart: total, by code and phase, never by text."""

from __future__ import annotations

import sqlite3
from typing import get_args

import psycopg
import pytest
from psycopg import errors as psycopg_errors

from allotment import errors
from allotment.errors import (
    AllotmentError,
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    DeadlineExceeded,
    Deadlock,
    Kind,
    Misconfigured,
    NotPrimary,
    Overloaded,
    Phase,
    RateLimited,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from allotment.store import postgres_errors, sqlite_errors

PHASES: tuple[Phase, ...] = get_args(Phase)
SECRET = "hunter2"

# RELIABILITY.md section 2: what the state means anywhere but at COMMIT.
POSTGRES: dict[str, type[StoreError]] = {
    "40001": Serialization,
    "40P01": Deadlock,
    "40003": CommitUnknown,
    "55P03": Busy,
    "57014": DeadlineExceeded,
    "25P02": Bug,
    "25P03": Bug,
    "25P04": Bug,
    "25006": NotPrimary,
    "57P01": StoreUnavailable,
    "57P02": StoreUnavailable,
    "57P03": StoreUnavailable,
    "57P04": Misconfigured,
    "3D000": Misconfigured,
    "08000": StoreUnavailable,
    "08001": StoreUnavailable,
    "08003": StoreUnavailable,
    "08004": StoreUnavailable,
    "08006": StoreUnavailable,
    "08007": CommitUnknown,
    "53100": StoreFull,
    "53200": StoreUnavailable,
    "53000": StoreUnavailable,
    "53300": Overloaded,
    "23505": ConstraintFailed,
    "23P01": ConstraintFailed,
    "23503": ConstraintFailed,
    "23514": ConstraintFailed,
    "23502": ConstraintFailed,
    "22P02": Bug,
    "22003": Bug,
    "42501": Misconfigured,
    "42P01": SchemaMismatch,
    "42703": SchemaMismatch,
    "28P01": Misconfigured,
    "28000": Misconfigured,
    "58030": StoreCorrupt,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
    "P0001": StoreError,
    "XX000": StoreError,
    "ZZ999": StoreError,
}
LOST_AT_COMMIT = {"57P01", "57P02", "57P03", "53200", "53000"} | {
    state for state in POSTGRES if state.startswith("08")
}

SQLITE: dict[int, type[StoreError]] = {
    517: Serialization,
    5: Busy,
    261: Busy,
    773: Busy,
    6: Busy,
    262: Busy,
    9: DeadlineExceeded,
    8: NotPrimary,
    264: NotPrimary,
    1032: NotPrimary,
    14: Misconfigured,
    526: Misconfigured,
    10: StoreUnavailable,
    778: StoreUnavailable,
    1034: StoreUnavailable,
    13: StoreFull,
    7: StoreUnavailable,
    2067: ConstraintFailed,
    1555: ConstraintFailed,
    2579: ConstraintFailed,
    787: ConstraintFailed,
    275: ConstraintFailed,
    1299: ConstraintFailed,
    1811: ConstraintFailed,
    20: Bug,
    18: Bug,
    21: Bug,
    23: Misconfigured,
    3: Misconfigured,
    17: SchemaMismatch,
    1: SchemaMismatch,
    11: StoreCorrupt,
    267: StoreCorrupt,
    26: StoreCorrupt,
    15: StoreError,
    9999: StoreError,
}

RETRIED = {
    Serialization,
    Deadlock,
    Busy,
    NotPrimary,
    StoreUnavailable,
    Overloaded,
    RateLimited,  # by the one who asks, after the wait it names
    CommitUnknown,  # by the desk only for a keyed command, see test_lost_commits
}


def of_postgres(state: str | None) -> psycopg.Error:
    class Raised(psycopg.OperationalError):
        sqlstate = state

    return Raised(f"FATAL: password {SECRET} is wrong")


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError(f"near {SECRET}: syntax error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("state", POSTGRES)
def test_a_sqlstate_means_what_the_table_says(state: str, phase: Phase) -> None:
    error = postgres_errors.translate(of_postgres(state), phase)
    wanted = POSTGRES[state]
    if phase == "commit" and state in LOST_AT_COMMIT:
        wanted = CommitUnknown
    assert type(error) is wanted
    assert (error.phase, error.state) == (phase, state)
    assert SECRET not in str(error)
    assert SECRET not in str(error.facts)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("code", SQLITE)
def test_an_extended_code_means_what_the_table_says(code: int, phase: Phase) -> None:
    error = sqlite_errors.translate(of_sqlite(code), phase)
    assert type(error) is SQLITE[code]
    assert (error.phase, error.state) == (phase, str(code))
    if not isinstance(error, ConstraintFailed):
        assert SECRET not in str(error)
        assert SECRET not in str(error.facts)


@pytest.mark.parametrize("phase", PHASES)
def test_every_state_that_postgresql_knows_is_translated(phase: Phase) -> None:
    known = {getattr(one, "sqlstate", None) for one in vars(psycopg_errors).values()}
    states = sorted(state for state in known if isinstance(state, str))
    assert len(states) > 200
    for state in states:
        error = postgres_errors.translate(of_postgres(state), phase)
        assert isinstance(error, StoreError)
        assert error.phase == phase
        assert SECRET not in str(error)
        assert type(error) is POSTGRES.get(state, type(error)) or phase == "commit"
        may_have_happened = phase == "commit" and isinstance(error, StoreUnavailable)
        assert not may_have_happened, "a loss at COMMIT is never called safe to repeat"


@pytest.mark.parametrize("phase", PHASES)
def test_a_broken_connection_has_no_state_and_is_told_apart_by_its_phase(phase: Phase) -> None:
    error = postgres_errors.translate(of_postgres(None), phase)
    assert type(error) is (CommitUnknown if phase == "commit" else StoreUnavailable)
    assert error.state is None
    assert SECRET not in str(error)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (psycopg.InterfaceError(SECRET), Bug),
        (psycopg.ProgrammingError(SECRET), Bug),
        (psycopg.DataError(SECRET), StoreError),
        (RuntimeError(SECRET), StoreError),
    ],
)
def test_what_psycopg_raises_by_itself_is_typed(error: Exception, wanted: type) -> None:
    translated = postgres_errors.translate(error, "statement")
    assert type(translated) is wanted
    assert SECRET not in str(translated)


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (sqlite3.InterfaceError(SECRET), Bug),
        (sqlite3.ProgrammingError(SECRET), Bug),
        (RuntimeError(SECRET), StoreError),
    ],
)
def test_what_sqlite3_raises_by_itself_is_typed(error: Exception, wanted: type) -> None:
    translated = sqlite_errors.translate(error, "statement")
    assert type(translated) is wanted
    assert SECRET not in str(translated)


@pytest.mark.parametrize("text", ["deadlock detected", "could not connect", "database is locked"])
def test_the_text_decides_nothing(text: str) -> None:
    class Raised(psycopg.OperationalError):
        sqlstate = "XX000"

    assert type(postgres_errors.translate(Raised(text), "statement")) is StoreError
    locked = sqlite3.OperationalError(text)
    assert type(sqlite_errors.translate(locked, "statement")) is StoreError


@pytest.mark.parametrize(
    ("code", "said", "name"),
    [
        (787, "FOREIGN KEY constraint failed", "foreign_key"),
        (1555, "UNIQUE constraint failed: idempotency.actor, idempotency.key", "idempotency_pkey"),
        (2067, "UNIQUE constraint failed: idempotency.actor, idempotency.key", "idempotency_pkey"),
        (2067, "UNIQUE constraint failed: other.column", "other.column"),
        (275, "CHECK constraint failed: idempotency.actor, idempotency.key", None),
        (1811, "prefix_overlap", "prefix_overlap"),
    ],
)
def test_sqlite_s_words_become_the_constraint_s_name(
    code: int, said: str, name: str | None
) -> None:
    error = sqlite3.IntegrityError(said)
    error.sqlite_errorcode = code
    translated = sqlite_errors.translate(error, "statement")
    assert isinstance(translated, ConstraintFailed)
    assert translated.constraint == (said.partition(": ")[2] if name is None else name)


def every(kind: type[AllotmentError]) -> list[type[AllotmentError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in every(child))]


def test_exactly_what_is_safe_to_repeat_is_marked_so() -> None:
    assert {kind for kind in every(AllotmentError) if kind.retryable} == RETRIED


def test_every_error_has_its_own_code_and_a_known_kind() -> None:
    # A door may have errors of its own; these are everybody's.
    ours = [
        kind for kind in every(AllotmentError) if kind.__module__.startswith("allotment.errors")
    ]
    public = [kind for kind in ours if kind is not AllotmentError]
    codes = [kind.code for kind in public]
    assert len(set(codes)) == len(codes)
    assert {kind.kind for kind in public} <= set(get_args(Kind))
    assert {kind.__name__ for kind in public} <= set(errors.__all__)
