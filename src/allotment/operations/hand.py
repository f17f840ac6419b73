"""What a group of commands has in hand of one subnet while it is being served.

Invariant: an address is in the free space, in hand, or given to one command of the group: never
in two of these places.
"""

from __future__ import annotations

from allotment.model.extent import Extent
from allotment.store.dialect import LockedSubnet


class Hand:
    """A locked subnet: the addresses taken from it for nobody yet, and those given."""

    __slots__ = ("_given", "_taken", "row")

    def __init__(self, locked: LockedSubnet) -> None:
        self.row = locked.row
        self._taken = list(locked.taken)
        self._given: set[int] = set()

    @property
    def empty(self) -> bool:
        """Whether everything that was taken has been given."""
        return not self._taken

    def pop(self) -> int | None:
        """The lowest address in hand."""
        if not self._taken:
            return None
        first, last = self._taken[0]
        if first == last:
            del self._taken[0]
        else:
            self._taken[0] = Extent(first + 1, last)
        return first

    def pull(self, value: int) -> bool:
        """Whether this very address was in hand; it is not any more."""
        for place, (first, last) in enumerate(self._taken):
            if first <= value <= last:
                around = (Extent(first, value - 1), Extent(value + 1, last))
                self._taken[place : place + 1] = [run for run in around if run.first <= run.last]
                return True
        return False

    def gave(self, value: int) -> bool:
        """Whether a command of the group has this address."""
        return value in self._given

    def give(self, value: int) -> None:
        """A command of the group has this address now."""
        assert value not in self._given, "an address is given once"
        self._given.add(value)
