"""Held addresses found by how a word of theirs begins.

Invariant: each kind of word is one range of its own index, read in that index's order and no
further than is asked for; what is not seen is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Row, Select, and_

from allotment.store import schema
from allotment.store.allocations import FULL, begins
from allotment.store.session import Read

A, N, S, T = schema.allocation, schema.subnet, schema.address_scope, schema.allocation_tag

_WITH_SCOPE = FULL.add_columns(S.c.name.label("scope")).join(S, S.c.id == N.c.scope_id)
_TAGGED = _WITH_SCOPE.join(T, and_(T.c.subnet_id == A.c.subnet_id, T.c.address == A.c.address))

Query = Select[Any]  # Any: rows of the table and two names


def matching(r: Read, text: str, scope_ids: Sequence[UUID], limit: int) -> list[Row[Any]]:
    """Allocations whose hostname, identifier, MAC or tag begins with a text, in that order."""
    seen = (N.c.scope_id.in_(scope_ids), *r.sight.allocations())
    found: dict[tuple[UUID, int], Row[Any]] = {}
    for query in _ranges(text):
        # One row may be found in several ways: as many again are enough to find the others.
        for row in r.stream(query.where(*seen), rows=limit):
            found.setdefault((row.subnet_id, row.address), row)
            if len(found) == limit:
                return list(found.values())
    return list(found.values())


def _ranges(text: str) -> Iterator[Query]:
    yield _range(_WITH_SCOPE, A.c.hostname, text.lower())
    yield _range(_WITH_SCOPE, A.c.identifier, text)
    yield _range(_WITH_SCOPE, A.c.mac, text.lower())
    yield _range(_TAGGED, T.c.tag, text)


def _range(query: Query, word: Column[Any], text: str) -> Query:  # Any: a text column
    held = word.table.c
    return query.where(begins(word, text)).order_by(word, held.subnet_id, held.address)
