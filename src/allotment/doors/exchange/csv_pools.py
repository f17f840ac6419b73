"""Subnet pools of a CSV file, the same prefix in several rows being one pool.

Invariant: a pool has the tags of all its rows; of anything else, what the first row says that says
it, and what a later one says otherwise is left out and noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from allotment.doors.exchange.csv_cells import Cells
from allotment.doors.exchange.intake import Wish
from allotment.doors.exchange.report import Outcome, Report, Row
from allotment.errors import InvalidValue
from allotment.model.commands import CreateSubnetPool
from allotment.model.names import TAG
from allotment.model.prefix import Prefix

_OTHERWISE = "another row for the same prefix says otherwise"


@dataclass(slots=True)
class _Draft:
    """A pool in the making."""

    scope: str
    prefixes: tuple[Prefix, ...]
    rows: list[Row]
    said: dict[str, Any] = field(default_factory=dict)  # Any: values of the command's fields
    tags: set[str] = field(default_factory=set)


class PoolDrafts:
    """The pools of a file by scope and prefixes."""

    def __init__(self) -> None:
        self._drafts: dict[tuple[str, tuple[Prefix, ...]], _Draft] = {}

    def add(self, row: Row, scope: str, cells: Cells) -> None:
        """Read a row.

        Raises:
            InvalidValue: a cell is not valid.
        """
        prefixes = cells.prefixes()
        said = {
            "name": cells.name("name"),
            "default_length": cells.whole("default_length"),
            "project": cells.name("project"),
            "description": cells.text("description"),
        }
        tags = {*cells.parts("tags"), *tags_of_others(row, cells)}
        draft = self._drafts.setdefault((scope, prefixes), _Draft(scope, prefixes, []))
        draft.rows.append(row)
        draft.tags |= tags
        for what, value in said.items():
            known = draft.said.get(what)
            if known and value and known != value:
                row.leave_out(what, value, _OTHERWISE)
            draft.said[what] = known or value

    def wishes(self) -> Iterator[Wish]:
        """The pools, large ones first, so that none has to be hung anew."""
        for draft in sorted(self._drafts.values(), key=_depth):
            name = draft.said.pop("name") or str(draft.prefixes[0])
            command = CreateSubnetPool(
                name=name,
                scope=draft.scope,
                prefixes=draft.prefixes,
                tags=tuple(sorted(draft.tags)),
                **draft.said,
            )
            yield Wish(draft.rows[0], command)

    def tell_others(self, report: Report) -> None:
        """Rows that share a pool share what became of its first."""
        for draft in self._drafts.values():
            first = draft.rows[0]
            for row in draft.rows[1:]:
                if first.outcome is Outcome.REFUSED:
                    report.tell(row, Outcome.REFUSED, first.reason, first.code)
                else:
                    report.tell(row, Outcome.MERGED, f"the same prefix as {first.source}")


def _depth(draft: _Draft) -> tuple[str, int, int, int]:
    first = draft.prefixes[0]
    shortest = min(prefix.length for prefix in draft.prefixes)
    return draft.scope, first.family, shortest, first.first


def tags_of_others(row: Row, cells: Cells) -> Iterator[str]:
    """`column:value` of the columns that mean nothing here."""
    for column, value in cells.others():
        tag = f"{column}:{value}"
        try:
            TAG.check(tag, "tag")
        except InvalidValue as error:
            row.leave_out(column, value, f"it makes no tag: {error.facts['rule']}")
            continue
        yield tag
