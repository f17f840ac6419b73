"""One run of consecutive addresses, as integers.

Invariant: `first <= last`, both inclusive; the family is the container's.
"""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """The addresses from `first` to `last`, inclusive."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return self.last - self.first + 1
