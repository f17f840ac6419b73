"""An event and a block of the audit as they are stored, value by value.

Invariant: every column of the two tables is here, in the order in which it is hashed.
"""

from __future__ import annotations

from typing import NamedTuple

Stored = bytes | int | str | float | None
"""A value as a database keeps it: text as its bytes in UTF-8, a UUID as its 16.

Where somebody has put what does not belong there, it is whatever they put.
"""


class StoredEvent(NamedTuple):
    """One row of `event`; `id` is the database's own, and never anything but a number."""

    id: int
    at: Stored
    actor: Stored
    command: Stored
    answer: Stored
    outcome: Stored
    source: Stored
    request_id: Stored
    place_id: Stored


class Gap(NamedTuple):
    """Ids that were not there when the sealer passed; `noticed` in UTC milliseconds."""

    first: int
    last: int
    noticed: int


class Block(NamedTuple):
    """One row of `audit_block`; `ids` and `gaps` are JSON."""

    number: int
    first_sequence: int
    count: int  # type: ignore[assignment]  # the column's name, which a tuple has a method of
    ids: bytes
    gaps: bytes
    high: int
    sealed_at: int
    digest: bytes
