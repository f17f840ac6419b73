"""Every class of error of the table in docs/reliability.md, as each database raises it.

Invariant: what is expected of the product is written here by hand, from the table, and never
taken from the product's own tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["refused", "refused and rolled back", "lost before", "lost after", "lost, told"]


@dataclass(frozen=True, kw_only=True)
class ErrorClass:
    """One way for a call to fail; `code` is what the product must call it.

    `at_commit` is what it must call it while committing; `again` says that the product runs the
    whole use case again, so that one such error is never seen by anybody.
    """

    name: str
    state: str
    code: str
    how: How = "refused"
    again: bool = False
    at_commit: str | None = None
    writes_only: bool = False

    def due(self, phase: str) -> str:
        """What the product must call it in a phase."""
        return self.at_commit if phase == "commit" and self.at_commit is not None else self.code


def _sqlite(code: int, due: str, how: How = "refused", *, again: bool = False) -> ErrorClass:
    return ErrorClass(name=f"{code} {how}", state=str(code), code=due, how=how, again=again)


SQLITE: tuple[ErrorClass, ...] = (
    _sqlite(5, "busy", again=True),
    _sqlite(6, "busy", again=True),
    _sqlite(517, "serialization", again=True),
    _sqlite(9, "deadline-exceeded"),
    _sqlite(9, "deadline-exceeded", "refused and rolled back"),
    _sqlite(8, "not-primary", again=True),
    _sqlite(14, "misconfigured"),
    _sqlite(266, "store-unavailable", "refused and rolled back", again=True),
    _sqlite(778, "store-unavailable", "refused and rolled back", again=True),
    _sqlite(1034, "store-unavailable", "refused and rolled back", again=True),
    _sqlite(7, "store-unavailable", again=True),
    _sqlite(7, "store-unavailable", "refused and rolled back", again=True),
    _sqlite(13, "store-full"),
    _sqlite(13, "store-full", "refused and rolled back"),
    _sqlite(20, "bug"),
    _sqlite(18, "bug"),
    _sqlite(21, "bug"),
    _sqlite(23, "misconfigured"),
    _sqlite(3, "misconfigured"),
    _sqlite(17, "schema-mismatch"),
    _sqlite(1, "schema-mismatch"),
    _sqlite(11, "store-corrupt"),
    _sqlite(26, "store-corrupt"),
    _sqlite(4, "store-error"),
    _sqlite(0, "store-error"),
    ErrorClass(name="2067", state="2067", code="busy", again=True, writes_only=True),
    ErrorClass(name="787", state="787", code="busy", again=True, writes_only=True),
    ErrorClass(name="275", state="275", code="bug", writes_only=True),
    ErrorClass(name="1299", state="1299", code="bug", writes_only=True),
)


def _state(state: str, due: str, how: How = "refused", *, again: bool = False) -> ErrorClass:
    return ErrorClass(name=f"{state} {how}", state=state, code=due, how=how, again=again)


def _lost(state: str, how: How) -> ErrorClass:
    return ErrorClass(
        name=f"{state} {how}".strip(),
        state=state,
        code="store-unavailable",
        at_commit="commit-unknown",
        how=how,
        again=True,
    )


POSTGRES: tuple[ErrorClass, ...] = (
    _lost("", "lost before"),
    _lost("", "lost after"),
    _lost("57P01", "lost, told"),
    _lost("57P02", "lost, told"),
    _lost("08006", "lost, told"),
    _lost("57P03", "lost, told"),
    _state("40001", "serialization", again=True),
    _state("40P01", "deadlock", again=True),
    _state("40003", "commit-unknown"),
    _state("08007", "commit-unknown", "lost, told"),
    _state("55P03", "busy", again=True),
    _state("57014", "deadline-exceeded"),
    _state("25P02", "bug"),
    _state("25P03", "bug", "lost, told"),
    _state("25006", "not-primary", again=True),
    _state("57P04", "misconfigured", "lost, told"),
    _state("3D000", "misconfigured"),
    _state("53100", "store-full"),
    _lost("53200", "refused"),
    _state("53300", "overloaded", again=True),
    _state("22P02", "bug"),
    _state("22003", "bug"),
    _state("42501", "misconfigured"),
    _state("42P01", "schema-mismatch"),
    _state("42703", "schema-mismatch"),
    _state("28P01", "misconfigured", "lost, told"),
    _state("58030", "store-corrupt"),
    _state("XX001", "store-corrupt"),
    _state("XX002", "store-corrupt"),
    _state("0A000", "store-error"),
    _state("26000", "store-error"),
    _state("P0001", "store-error"),
    _state("XX000", "store-error"),
    ErrorClass(name="23505", state="23505", code="busy", again=True, writes_only=True),
    ErrorClass(name="23503", state="23503", code="busy", again=True, writes_only=True),
    ErrorClass(name="23514", state="23514", code="bug", writes_only=True),
    ErrorClass(name="23502", state="23502", code="bug", writes_only=True),
)

CONSTRAINTS = {
    "2067": "UNIQUE constraint failed: allocation.subnet_id, allocation.address",
    "787": "FOREIGN KEY constraint failed",
    "275": "CHECK constraint failed: prefix_order",
    "1299": "NOT NULL constraint failed: subnet.placement",
    "23505": "allocation_pkey",
    "23503": "subnet_pool_of",
    "23514": "prefix_order",
    "23502": "subnet_placement",
}
"""What a violated constraint is called, where a class is one."""
