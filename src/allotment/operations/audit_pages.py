"""Pages of the sealed log: the whole of it, or the changes that the actor may see.

Invariant: a page reads a bounded number of events, at any depth of the log; where few of them are
wanted it may be short, and its cursor says where to go on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from allotment.engine.audit_chain import read_ids
from allotment.errors import StoreCorrupt
from allotment.model.audit_block import Block
from allotment.model.events import Event, ListAudit, ListEvents
from allotment.model.extent import Extent
from allotment.model.results import Page
from allotment.operations.registry import answers
from allotment.store import audit_blocks
from allotment.store.audit_blocks import Conditions, EventRow, matching
from allotment.store.pages import read_cursor, write_cursor
from allotment.store.session import Read

DONE = "done"
SEQUENCE_MAX = 1 << 62
READ_AT_ONCE = 1_000
READ_MAX = 10_000


class Run(NamedTuple):
    """Events whose ids and sequence numbers both count up, from these."""

    first: int
    last: int
    sequence: int


@answers(ListEvents)
def list_events(r: Read, query: ListEvents) -> Page[Event]:
    """Changes only."""
    return _page(r, query, matching(r, query.actor, DONE))


@answers(ListAudit)
def list_audit(r: Read, query: ListAudit) -> Page[Event]:
    """Changes, refusals and failures."""
    return _page(r, query, matching(r, query.actor, query.outcome))


def _page(r: Read, query: ListEvents | ListAudit, wanted: Conditions) -> Page[Event]:
    position = query.after
    if query.cursor is not None:
        position = max(position, min(SEQUENCE_MAX, *read_cursor(query.cursor, [int])))
    found: list[Event] = []
    width, left = query.limit + 1, READ_MAX
    while len(found) <= query.limit and left > 0:
        runs = _runs(r, position, width)
        if not runs:
            return Page(items=tuple(found))
        found += _events(r, runs, wanted)
        read = sum(run.last - run.first + 1 for run in runs)
        position, left, width = position + read, left - read, READ_AT_ONCE
    if len(found) > query.limit:
        found = found[: query.limit]
        position = found[-1].sequence
    return Page(items=tuple(found), next=write_cursor([position]))


def _events(r: Read, runs: Sequence[Run], wanted: Conditions) -> list[Event]:
    """The wanted ones of some runs, in the order of their sequence."""
    by_id = sorted(runs)
    ids = [Extent(run.first, run.last) for run in by_id]
    events = []
    for row in audit_blocks.picked(r, ids, wanted):
        run = by_id[bisect_right(by_id, row.id, key=_first) - 1]
        events.append(_event(row, run.sequence + row.id - run.first))
    return sorted(events, key=_sequence)


def _runs(r: Read, after: int, most: int) -> list[Run]:
    """The runs of the next events after a sequence number."""
    runs: list[Run] = []
    until = after + most
    while after < until:
        before = after
        for block in audit_blocks.from_sequence(r, after + 1):
            sequence = block.first_sequence
            for first, last in _ids(block):
                skip = max(0, after + 1 - sequence)
                end = min(last, first + until - sequence)
                if first + skip <= end:
                    _append(runs, Run(first + skip, end, sequence + skip))
                    after = sequence + end - first
                sequence += last - first + 1
        if after == before:
            break
    return runs


def _append(runs: list[Run], run: Run) -> None:
    if runs and runs[-1].last + 1 == run.first:
        runs[-1] = runs[-1]._replace(last=run.last)
    else:
        runs.append(run)


def _ids(block: Block) -> Sequence[Extent]:
    try:
        return read_ids(block.ids)
    except ValueError as error:
        raise StoreCorrupt(f"the audit's block {block.number} was changed: {error}") from error


def _first(run: Run) -> int:
    return run.first


def _sequence(event: Event) -> int:
    return event.sequence


def _event(row: EventRow, sequence: int) -> Event:
    return Event(
        sequence=sequence,
        at=row.at,
        actor=row.actor,
        source=row.source,
        request_id=row.request_id,
        outcome=row.outcome,
        place_id=row.place_id,
        command=msgspec.Raw(row.command.encode()),
        answer=msgspec.Raw(row.answer.encode()),
    )
