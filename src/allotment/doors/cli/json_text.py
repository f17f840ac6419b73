"""JSON documents: one resource is an object, many are `items` and `next`.

Invariant: field names are the model's, integers keep every digit, and one run prints one document.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from allotment.doors.cli.figures import ascii_only
from allotment.doors.cli.safe_text import escape_hidden
from allotment.model import wire


def plain(value: object) -> Any:  # Any: JSON values are of any type
    """A result as JSON has it; what is plain already stays as it is."""
    return wire.plain(value)


def document(value: object) -> str:
    """One resource."""
    return _text(plain(value), indent=2) + "\n"


def line(value: object) -> str:
    """One resource on one line: for streams of them."""
    return _text(plain(value)) + "\n"


def listing(items: Iterable[object], cursor: str | None) -> Iterator[str]:
    """Many resources, an item on each line, as they come."""
    yield from listing_of_texts((_text(plain(item)) for item in items), cursor)


def report(head: Mapping[str, object], items: Iterable[object]) -> Iterator[str]:
    """What a long work has to tell: fields of the whole, then an item on each line."""
    yield _text(head)[:-1] + ", "
    yield from _items(map(_text, items), None)


def listing_of_texts(items: Iterable[str], cursor: str | None) -> Iterator[str]:
    """Many resources that are JSON text already."""
    yield "{"
    yield from _items(items, cursor)


def _items(items: Iterable[str], cursor: str | None) -> Iterator[str]:
    yield '"items": ['
    before, end = "\n  ", ""
    for item in items:
        yield before + item
        before, end = ",\n  ", "\n"
    yield end + f'], "next": {json.dumps(cursor)}}}\n'


def _text(value: object, indent: int | None = None) -> str:
    return escape_hidden(json.dumps(value, ensure_ascii=ascii_only(), indent=indent))
