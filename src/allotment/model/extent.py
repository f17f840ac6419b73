"""One run of consecutive addresses, as integers.

Invariant: `first <= last`, both inclusive; the family is the container's.
"""

from __future__ import annotations

from typing import NamedTuple

NEVER = -(1 << 62)
"""The age of free space that nobody has had yet, or whose age does not matter: before any time."""

AGED = -(1 << 61)
"""Added to the time of a release where age is kept: in order, and always eligible, whatever the
clocks of different machines say."""


class Extent(NamedTuple):
    """The addresses from `first` to `last`, inclusive."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many addresses it holds."""
        return self.last - self.first + 1
