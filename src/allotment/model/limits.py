"""Bounds of numbers, checked in one place for every door.

Invariant: a number out of bounds is refused, never clamped.
"""

from __future__ import annotations

from typing import NamedTuple

from allotment.errors import InvalidValue


class Bounds(NamedTuple):
    """An inclusive range of integers."""

    least: int
    most: int

    def check(self, value: int, field: str) -> None:
        """Raise `InvalidValue` unless `value` is within the bounds."""
        if not self.least <= value <= self.most:
            raise InvalidValue(field, value, f"must be from {self.least} to {self.most}")


PAGE_SIZE_MAX = 1000
BATCH_MAX = 10_000
