"""A book as the rows of its tables, to be compared with what it was before.

Invariant: every row of every table is there, but the events of what was not done.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from allotment import LocalDesk
from allotment.store import schema

Dump = dict[str, list[tuple[object, ...]]]
Dumper = Callable[[LocalDesk], Dump]


def dump(desk: LocalDesk) -> Dump:
    """Every row of every table of the book, in order, but the events of what was not done."""
    with desk.store.reading() as r:
        rows = {table.name: r.run(select(table)).all() for table in schema.metadata.sorted_tables}
    rows["event"] = [row for row in rows["event"] if row.outcome == "done"]
    return {name: sorted(map(tuple, found), key=repr) for name, found in rows.items()}
