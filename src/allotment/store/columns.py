"""Column types that mean the same on every database.

Invariant: an address is stored as its 16 bytes, big-endian, so that byte order is address order;
an id is stored as its 16 bytes or the database's own UUID, never as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Dialect,
    LargeBinary,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

ADDRESS_BYTES = 16


def pack(value: int) -> bytes:
    """The stored form of an address value of either family."""
    return value.to_bytes(ADDRESS_BYTES, "big")


def unpack(raw: bytes) -> int:
    """The address value of a stored form."""
    return int.from_bytes(raw, "big")


class AddressValue(TypeDecorator[int]):
    """An address as an integer in Python, 16 bytes big-endian in the database."""

    impl = LargeBinary(ADDRESS_BYTES)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> bytes | None:
        """Integer to bytes."""
        return None if value is None else value.to_bytes(ADDRESS_BYTES, "big")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> int | None:
        """Bytes to integer."""
        return None if value is None else int.from_bytes(value, "big")


class Id(TypeDecorator[UUID]):
    """A random id: UUID on PostgreSQL, 16 bytes elsewhere."""

    impl = LargeBinary(16)
    cache_ok = True

    # Any: SQLAlchemy's own signature of this hook is TypeEngine[Any].
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The database's own UUID type where it has one."""
        if dialect.supports_native_uuid:
            return dialect.type_descriptor(Uuid())
        return dialect.type_descriptor(LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> UUID | bytes | None:
        """A UUID to what the database takes."""
        if value is None or dialect.supports_native_uuid:
            return value
        return value.bytes

    def process_result_value(self, value: UUID | bytes | None, dialect: Dialect) -> UUID | None:
        """What the database gives to a UUID."""
        if value is None or isinstance(value, UUID):
            return value
        return UUID(bytes=bytes(value))


class Among(FunctionElement[Any]):  # Any: as a Boolean it would be compared with 1 on SQLite
    """That a column of ids is one of some: one parameter where the database has lists.

    A thousand parameters take longer to write down than the rows of a thousand subnets to read.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], ids: Sequence[UUID]) -> None:
        each = bindparam(None, list(ids), type_=Id, expanding=True, unique=True)
        super().__init__(column, each, bindparam(None, list(ids), type_=ARRAY(Uuid), unique=True))


# Any: keywords of the compiler's own.
@compiles(Among)
def _one_by_one(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, each, _ = element.clauses
    return compiler.process(column.in_(each), **options)


@compiles(Among, "postgresql")
def _as_list(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, _, together = element.clauses
    return compiler.process(column == any_(together), **options)


class Aside(FunctionElement[Any]):  # Any: as what its column is
    """A column of ids that only rows found otherwise are held against.

    SQLite takes any range of an index for a large part of it: left to itself, it reads all that a
    subnet holds to find one host name.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.type = column.type
        super().__init__(column)


# Any: keywords of the compiler's own.
@compiles(Aside)
def _as_it_is(element: Aside, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(*element.clauses, **options)


@compiles(Aside, "sqlite")
def _not_by_an_index(element: Aside, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(*element.clauses, **options)}"


class Tags(TypeDecorator[tuple[str, ...]]):
    """Tags, sorted, as a JSON list in text; the empty set is SQL NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """Tags to text."""
        return dump_tags(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        """Text to tags."""
        return load_tags(value)


def dump_tags(tags: tuple[str, ...]) -> str | None:
    """Tags as they are stored."""
    return json.dumps(sorted(set(tags)), ensure_ascii=False) if tags else None


def load_tags(text: str | None) -> tuple[str, ...]:
    """Tags as they are read."""
    return tuple(json.loads(text)) if text else ()


def tagged(column: ColumnElement[Any], tag: str) -> ColumnElement[bool]:  # Any: a tags column
    """That a row carries a tag (a scan of what has tags: for containers, not for allocations)."""
    quoted = json.dumps(tag, ensure_ascii=False)
    found = type_coerce(column, Text).contains(quoted, autoescape=True)
    return and_(column.is_not(None), found)
