"""How many addresses rows of free space have together, counted by the database.

Invariant: the sum is exact, of up to 2^128 addresses a row; it comes back as a decimal number in
text, for no database has an integer so large.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

SQLITE_NAME = "allotment_sizes"

# Seven bytes are a number that is never negative; two of them and two bytes more are an address.
_LOW = "('x' || encode(substr({0}, 10, 7), 'hex'))::bit(56)::bigint"
_MIDDLE = "('x' || encode(substr({0}, 3, 7), 'hex'))::bit(56)::bigint"
_HIGH = "('x' || encode(substr({0}, 1, 2), 'hex'))::bit(16)::int"


class SumOfSizes(FunctionElement[str]):
    """Of the rows of a group: `SumOfSizes(first, last)`, both inclusive."""

    type = Text()
    inherit_cache = True


# Any: keywords of the compiler's own.
@compiles(SumOfSizes)
def _in_sqlite(element: SumOfSizes, compiler: SQLCompiler, **options: Any) -> str:
    return f"{SQLITE_NAME}{compiler.process(element.clause_expr, **options)}"


@compiles(SumOfSizes, "postgresql")
def _in_postgres(element: SumOfSizes, compiler: SQLCompiler, **options: Any) -> str:
    first, last = (compiler.process(one, **options) for one in element.clauses)

    def apart(part: str) -> str:
        return f"({part.format(last)} - {part.format(first)})"

    return (
        f"sum(CASE WHEN substr({first}, 1, 9) = substr({last}, 1, 9) THEN {apart(_LOW)}::numeric"
        f" ELSE {apart(_LOW)} + {apart(_MIDDLE)} * {1 << 56}::numeric"
        f" + {apart(_HIGH)} * {1 << 112}::numeric END + 1)::text"
    )


class Sum:
    """The same on SQLite: an aggregate that its connections know by `SQLITE_NAME`."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, first: bytes, last: bytes) -> None:
        """One row."""
        self._total += int.from_bytes(last, "big") - int.from_bytes(first, "big") + 1

    def finalize(self) -> str:
        """What came together."""
        return str(self._total)
