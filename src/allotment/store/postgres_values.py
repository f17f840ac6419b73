"""Values in PostgreSQL's binary form, as parameters travel.

Invariant: a value's type alone says its form: bigint, text, bytea, uuid, boolean, and arrays of
them; a statement names the types of its parameters where the server could not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import Struct, pack
from typing import Any
from uuid import UUID

from psycopg.pq.abc import PGresult

Scalar = UUID | bytes | str | int | bool | None
Param = Scalar | Sequence[Scalar]

_ELEMENTS = {UUID: 2950, bytes: 17, str: 25, int: 20}
_NULL = b"\xff\xff\xff\xff"
_LENGTH = Struct("!i").pack


def binary(value: Param) -> bytes | None:
    """A parameter; a list is an array of one dimension, with one element at least that is there:
    only that tells its type.
    """
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, UUID):
        return value.bytes
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"\x01" if value else b"\x00"
    if isinstance(value, int):
        return value.to_bytes(8, "big", signed=True)
    return _array(value)


def _array(values: Sequence[Scalar]) -> bytes:
    kind = next(type(value) for value in values if value is not None)
    parts = [pack("!iiiii", 1, None in values, _ELEMENTS[kind], len(values), 1)]
    for raw in _BINARY[kind](values):
        if raw is None:
            parts.append(_NULL)
        else:
            parts += (_LENGTH(len(raw)), raw)
    return b"".join(parts)


def _texts(values: Sequence[Any]) -> list[bytes | None]:  # Any: text, or nothing
    return [None if value is None else value.encode() for value in values]


def _others(values: Sequence[Any]) -> list[bytes | None]:  # Any: of one type, or nothing
    return [binary(value) for value in values]


_BINARY: dict[type, Callable[[Sequence[Any]], list[bytes | None]]] = {
    str: _texts,
    UUID: _others,
    bytes: list,
    int: _others,
}


def number(raw: bytes) -> int:
    """A smallint, integer or bigint."""
    return int.from_bytes(raw, "big", signed=True)


def rows_of(found: PGresult) -> Iterator[list[bytes]]:
    """The rows of a result, each value in its binary form; of NULL, nothing."""
    for row in range(found.ntuples):
        yield [found.get_value(row, column) or b"" for column in range(found.nfields)]
