"""Keyset pages: a cursor is the last row's key.

Invariant: a page costs the same at any depth, and a cursor that is not ours is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from allotment.errors import InvalidValue
from allotment.model.results import Page

T = TypeVar("T")
Row = TypeVar("Row")


def write_cursor(key: Sequence[str | int]) -> str:
    """The opaque text of a key."""
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def read_cursor(cursor: str, shape: Sequence[type]) -> tuple[Any, ...]:  # Any: str or int parts
    """The key of a cursor.

    Raises:
        InvalidValue: it was not written by `write_cursor` for a key of this shape.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, binascii.Error) as error:
        raise _refused(cursor) from error
    if not isinstance(key, list) or [type(part) for part in key] != list(shape):
        raise _refused(cursor)
    return tuple(key)


def _refused(cursor: str) -> InvalidValue:
    return InvalidValue("cursor", cursor, "take it from the `next` of a page of the same listing")


def paged(
    rows: Sequence[Row],
    limit: int,
    key: Callable[[Row], Sequence[str | int]],
    make: Callable[[Row], T],
) -> Page[T]:
    """A page from one row more than fits: that one tells whether there is a next page."""
    more = len(rows) > limit
    kept = rows[:limit]
    return Page(
        items=tuple(make(row) for row in kept),
        next=write_cursor(key(kept[-1])) if more else None,
    )
