"""Prefixes of one scope by place: the very one, or those around another.

Invariant: a look-up costs one dictionary key for each length there is, however many prefixes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from allotment.model.address import BITS, Address
from allotment.model.prefix import Prefix

T = TypeVar("T")


class PrefixIndex(Generic[T]):
    """A mapping from prefixes that also finds what contains a prefix or an address."""

    __slots__ = ("_items", "_lengths")

    def __init__(self) -> None:
        self._items: dict[Prefix, T] = {}
        self._lengths: dict[int, set[int]] = {4: set(), 6: set()}

    def __len__(self) -> int:
        return len(self._items)

    def put(self, prefix: Prefix, item: T) -> None:
        """Enter a prefix, or replace what is there."""
        self._items[prefix] = item
        self._lengths[prefix.family].add(prefix.length)

    def get(self, prefix: Prefix) -> T | None:
        """What stands at this very prefix."""
        return self._items.get(prefix)

    def around(self, place: Prefix | Address) -> Iterator[tuple[Prefix, T]]:
        """The prefixes that contain a place (or equal it), the smallest first."""
        bits = BITS[place.family]
        first = place.value if isinstance(place, Address) else place.first
        longest = bits if isinstance(place, Address) else place.length
        for length in sorted(self._lengths[place.family], reverse=True):
            if length <= longest:
                host = bits - length
                prefix = Prefix.of(place.family, first >> host << host, length)
                item = self._items.get(prefix)
                if item is not None:
                    yield prefix, item
