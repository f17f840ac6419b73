"""What became of each row of a file: imported, unchanged, refused, or what and why not.

Invariant: a row is told exactly once, and a row that is not in the book afterwards has a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from allotment.errors import AllotmentError


class Outcome(StrEnum):
    """What became of a row."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    DIFFERS = "differs"
    MERGED = "merged"
    NOT_REPRESENTED = "not-represented"
    REFUSED = "refused"


MEANINGS = {
    Outcome.IMPORTED: "entered into the book",
    Outcome.UNCHANGED: "in the book already, with all that the file says of it",
    Outcome.DIFFERS: "in the book already, but otherwise; the book was left as it is",
    Outcome.MERGED: "entered together with another row of the file",
    Outcome.NOT_REPRESENTED: "the book has no place for it",
    Outcome.REFUSED: "not valid, or in conflict with what the book holds",
}


class LeftOut(NamedTuple):
    """A part of a row that the book does not keep, and why."""

    what: str
    value: str
    why: str


@dataclass(slots=True)
class Row:
    """One row of the file: where it stands, what it is about, what became of it.

    An `implied` one is not in the file, but needed by others that are.
    """

    kind: str
    source: str
    label: str
    outcome: Outcome | None = None
    reason: str = ""
    code: str | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    implied: bool = False

    def leave_out(self, what: str, value: object, why: str) -> None:
        """Note a part of the row that the book does not keep."""
        self.left_out.append(LeftOut(what, str(value)[:200], why))

    def plain(self) -> dict[str, Any]:  # Any: JSON values are of any type
        """As JSON has it."""
        return {
            "kind": self.kind,
            "source": self.source,
            "label": self.label,
            "outcome": None if self.outcome is None else self.outcome.value,
            "reason": self.reason,
            "code": self.code,
            "left_out": [one._asdict() for one in self.left_out],
        }


class Told(NamedTuple):
    """Rows that share their kind, outcome and reason: how many, and the first of them."""

    kind: str
    outcome: str
    reason: str
    rows: int
    first: Row


@dataclass
class Report:
    """The rows of one file, in the order they were met."""

    file: str
    format: str
    dry_run: bool = False
    rows: list[Row] = field(default_factory=list)
    on_told: Callable[[], None] = lambda: None

    @property
    def size(self) -> int:
        """How many rows the file has."""
        return sum(not row.implied for row in self.rows)

    def row(self, kind: str, source: str, label: str, *, implied: bool = False) -> Row:
        """A new row, of which nothing is known yet."""
        made = Row(kind, source, label, implied=implied)
        self.rows.append(made)
        return made

    def tell(self, row: Row, outcome: Outcome, reason: str = "", code: str | None = None) -> None:
        """Say what became of a row."""
        assert row.outcome is None, "a row is told once"
        assert reason or outcome in (Outcome.IMPORTED, Outcome.UNCHANGED), "why not?"
        row.outcome, row.reason, row.code = outcome, reason, code
        self.on_told()

    def refuse(self, row: Row, error: AllotmentError) -> None:
        """Say that a row is not valid, or in conflict with the book."""
        self.tell(row, Outcome.REFUSED, error.message, error.code)

    def counts(self) -> dict[Outcome, int]:
        """How many rows had each outcome."""
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in Outcome}

    def kinds(self) -> dict[str, dict[Outcome, int]]:
        """The same for each kind of row, in the order the kinds were met."""
        found: dict[str, dict[Outcome, int]] = {}
        for row in self.rows:
            counts = found.setdefault(row.kind, dict.fromkeys(Outcome, 0))
            if row.outcome is not None:
                counts[row.outcome] += 1
        return found

    def reasons(self) -> list[Told]:
        """Why rows are not in the book as the file has them, the same reason told once."""
        grouped: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            if row.reason and row.outcome not in (None, Outcome.MERGED):
                grouped.setdefault((row.kind, str(row.outcome), row.reason), []).append(row)
        return [Told(*key, len(rows), rows[0]) for key, rows in grouped.items()]

    def parts_left_out(self) -> list[Told]:
        """Which parts of rows the book does not keep, the same reason told once."""
        grouped: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            for part in row.left_out:
                grouped.setdefault((row.kind, part.what, part.why), []).append(row)
        return [Told(*key, len(rows), rows[0]) for key, rows in grouped.items()]

    def plain(self) -> dict[str, Any]:  # Any: JSON values are of any type
        """All of it as JSON has it, without the rows."""
        return {
            "file": self.file,
            "format": self.format,
            "dry_run": self.dry_run,
            "counts": {outcome.value: count for outcome, count in self.counts().items()},
            "kinds": {
                kind: {outcome.value: count for outcome, count in counts.items()}
                for kind, counts in self.kinds().items()
            },
        }
