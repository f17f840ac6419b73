"""An audit log to be tried: events recorded, sealed, verified and listed.

Invariant: what is recorded here has the form of what a desk writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from allotment import LocalDesk
from allotment.model.access import Actor
from allotment.model.events import Anchor, AuditReport, Event, ListAudit, ListEvents, VerifyAudit
from allotment.operations import audit_log
from allotment.store import access_schema, schema
from allotment.store.dialect import EventRow

E, B = schema.event, access_schema.audit_block
RECORDS = 1000


def verify(desk: LocalDesk, me: Actor, *anchors: Anchor) -> AuditReport:
    return desk.ask(VerifyAudit(anchors=anchors), me)


def an_event(number: int) -> EventRow:
    """An event such as the desk writes; every other has all its columns filled."""
    filled = number % 2 == 0
    return EventRow(
        at=1_700_000_000_000 + number,
        actor=f"token:{number % 7}",
        command=f'{{"do":"AllocateAddress","subnet":"büro {number}"}}',
        answer=f'{{"address":"10.0.{number // 250}.{number % 250}"}}',
        outcome="forbidden" if number % 5 == 0 else "done",
        source="192.0.2.1" if filled else None,
        request_id=f"r-{number}" if filled else None,
        place_id=UUID(int=number + 1) if filled else None,
    )


def record(desk: LocalDesk, numbers: Sequence[int]) -> None:
    with desk.store.writing() as tx:
        tx.dialect.record_events(tx, [an_event(number) for number in numbers])


def seal_in_blocks_of(desk: LocalDesk, events: int) -> None:
    with desk.store.writing() as tx:
        audit_log.seal_blocks(tx, events, RECORDS)


def listed(desk: LocalDesk, me: Actor, query: ListAudit | ListEvents) -> list[Event]:
    items: list[Event] = []
    cursor = query.cursor
    while True:
        page = desk.ask(msgspec.structs.replace(query, cursor=cursor), me)
        assert len(page.items) <= query.limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items
