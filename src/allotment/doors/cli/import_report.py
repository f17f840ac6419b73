"""What an import says: how many rows had which outcome, and why; every row for a program.

Invariant: what is not in the book as the file has it is told, in every form of output.
"""

from __future__ import annotations

from itertools import chain
from typing import Final, NamedTuple

from allotment.doors.cli import csv_text, json_text, output
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.tables import Column
from allotment.doors.exchange.report import MEANINGS, Outcome, Report, Told
from allotment.errors.counts import counted

_REASONS_MAX: Final = 40
_STYLES: Final = {
    Outcome.IMPORTED: "green",
    Outcome.DIFFERS: "yellow",
    Outcome.NOT_REPRESENTED: "yellow",
    Outcome.REFUSED: "red",
}


class _Line(NamedTuple):
    """One kind of row in the summary."""

    kind: str
    counts: dict[Outcome, int]

    @property
    def rows(self) -> int:
        return sum(self.counts.values())


def show(invocation: Invocation, report: Report) -> None:
    """Tell what became of the rows."""
    match invocation.output:
        case "json":
            rows = (row.plain() for row in report.rows)
            output.write_all(json_text.report(report.plain(), rows))
        case "csv":
            names = list(report.rows[0].plain()) if report.rows else ["kind"]
            cells = (list(row.plain().values()) for row in report.rows)
            output.write_all(csv_text.lines(names, cells))
        case _:
            _tell(invocation, report)


def _tell(invocation: Invocation, report: Report) -> None:
    title = f"{report.file}: {counted(report.size, 'rows')}"
    output.said(invocation, title)
    if report.dry_run:
        output.said(invocation, "dry run: nothing was changed; it would be as follows")
    counts = report.counts()
    told = [outcome for outcome in Outcome if counts[outcome]]
    lines = [_Line(kind, found) for kind, found in report.kinds().items()]
    if len(lines) > 1:
        lines.append(_Line("all", counts))
    output.table(lines, [_kind_column(), *(_count_column(outcome) for outcome in told)])
    for outcome in told:
        if outcome not in (Outcome.IMPORTED, Outcome.UNCHANGED):
            output.said(invocation, f"{outcome}: {MEANINGS[outcome]}")
    _tell_why(invocation, report)


def _kind_column() -> Column:
    return Column("kind", lambda line: visible(line.kind), style=lambda _: "bold")


def _count_column(outcome: Outcome) -> Column:
    def read(line: _Line) -> str:
        return f"{line.counts[outcome]:,}" if line.counts[outcome] else "-"

    style = _STYLES.get(outcome, "")
    return Column(str(outcome), read, style=lambda _: style, right=True)


def _tell_why(invocation: Invocation, report: Report) -> None:
    reasons, parts = report.reasons(), report.parts_left_out()
    if not reasons and not parts:
        return
    shown = list(chain(reasons, parts))[:_REASONS_MAX]
    output.write("\nWhat is not in the book as the file has it, and why:\n")
    output.table(shown, _WHY)
    more = len(reasons) + len(parts) - len(shown)
    if more:
        output.said(invocation, f"and {more:,} more reasons")
    output.said(invocation, "--output json tells every row")


def _first(told: Told) -> str:
    label = f" ({told.first.label})" if told.first.label else ""
    return visible(f"{told.first.source}{label}")


_WHY: Final = (
    Column("rows", lambda told: f"{told.rows:,}", right=True),
    Column("kind", lambda told: visible(told.kind), style=lambda _: "bold"),
    Column("what", lambda told: visible(told.outcome), style=lambda _: "yellow"),
    Column("why", lambda told: visible(told.reason)),
    Column("the first", _first, style=lambda _: "dim", wide=True),
)
