"""What SQLite does natively for plain allocations: all of a group in a few prepared statements.

Invariant: the rows are those that the portable path writes; what is not served leaves no trace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from uuid import UUID

from allotment.model.address import Address
from allotment.model.extent import Extent
from allotment.store.columns import pack
from allotment.store.dialect import PlainAllocation

Taken = tuple[int, int]
"""An address: its family and its value."""

_EPOCH = "SELECT value FROM access_epoch"
_USED = "SELECT 1 FROM idempotency WHERE actor = ? AND key = ?"
_FAMILY = "SELECT family FROM subnet WHERE id = ? AND placement = 'lowest'"
_LOWEST = (
    "SELECT last, first FROM free_extent WHERE container_id = ? AND available_at <= ?"
    " ORDER BY last LIMIT ?"
)
_DROP = "DELETE FROM free_extent WHERE container_id = ? AND last = ?"
_SHRINK = "UPDATE free_extent SET first = ? WHERE container_id = ? AND last = ?"
_ALLOCATION = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, hostname, mac,"
    " description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_EVENT = (
    "INSERT INTO event (at, actor, source, request_id, place_id, command, answer)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_ANSWER = (
    "INSERT INTO idempotency (actor, key, request_hash, answer, created_at) VALUES (?, ?, ?, ?, ?)"
)


def allocate(raw: sqlite3.Connection, wishes: Sequence[PlainAllocation]) -> list[Taken | None]:
    """Serve what can be served, in a transaction that has begun."""
    groups: dict[UUID, list[int]] = {}
    for place, wish in enumerate(wishes):
        groups.setdefault(wish.subnet_id, []).append(place)
    taken: list[Taken | None] = [None] * len(wishes)
    for places in groups.values():
        served = _of_one_subnet(raw, [wishes[place] for place in places])
        for place, one in zip(places, served, strict=False):
            taken[place] = one
    return taken


def _of_one_subnet(raw: sqlite3.Connection, wishes: Sequence[PlainAllocation]) -> list[Taken]:
    """The addresses of the first ones: as many as are free."""
    container = wishes[0].subnet_id.bytes
    now = max(wish.now for wish in wishes)
    found = raw.execute(_FAMILY, (container,)).fetchone()
    if found is None or not _are_allowed(raw, wishes) or _has_used_key(raw, wishes):
        return []
    (family,) = found
    extents = take(raw, container, len(wishes), now)
    values = [value for extent in extents for value in range(extent.first, extent.last + 1)]
    allocations, events, answers = [], [], []
    for wish, value in zip(wishes, values, strict=False):
        answer = f"{wish.answer_head}{Address.of(family, value)}{wish.answer_tail}"
        allocations.append((container, pack(value), wish.id.bytes, now, *wish[3:7]))
        events.append(
            (now, wish.actor, wish.source, wish.request_id, container, wish.command, answer)
        )
        if wish.key is not None:
            answers.append((wish.actor, wish.key, wish.key_hash, answer.encode(), now))
    raw.executemany(_ALLOCATION, allocations)
    raw.executemany(_EVENT, events)
    raw.executemany(_ANSWER, answers)
    return [(family, value) for value in values]


def _are_allowed(raw: sqlite3.Connection, wishes: Sequence[PlainAllocation]) -> bool:
    """Whether the access rules are still the ones by which each was let through."""
    epochs = {wish.epoch for wish in wishes} - {None}
    return not epochs or epochs == {raw.execute(_EPOCH).fetchone()[0]}


def _has_used_key(raw: sqlite3.Connection, wishes: Sequence[PlainAllocation]) -> bool:
    """Whether somebody asks again, or two ask with the same key."""
    keys = [(wish.actor, wish.key) for wish in wishes if wish.key is not None]
    if len(set(keys)) < len(keys):
        return True
    return any(raw.execute(_USED, key).fetchone() is not None for key in keys)


def take(raw: sqlite3.Connection, container: bytes, count: int, now: int) -> list[Extent]:
    """Consume up to `count` of the lowest free addresses, whole extents first."""
    taken: list[Extent] = []
    dropped: list[tuple[bytes, bytes]] = []
    left = count
    for last_raw, first_raw in raw.execute(_LOWEST, (container, now, count)).fetchall():
        extent = Extent(int.from_bytes(first_raw, "big"), int.from_bytes(last_raw, "big"))
        if extent.size > left:
            cut = Extent(extent.first, extent.first + left - 1)
            raw.execute(_SHRINK, (pack(cut.last + 1), container, last_raw))
            taken.append(cut)
            break
        taken.append(extent)
        dropped.append((container, last_raw))
        left -= extent.size
        if not left:
            break
    if dropped:
        raw.executemany(_DROP, dropped)
    return taken
