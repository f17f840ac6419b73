"""A run of consecutive addresses, as people write allocation pools: FIRST-LAST, both inclusive.

Invariant: both ends are of one family, and the first is not after the last; never empty.
"""

from __future__ import annotations

from functools import total_ordering
from typing import NoReturn, final

from allotment.model.address import LAST_VALUE, Address, Fault, address_fault, read_address
from allotment.model.names import text_within
from allotment.model.prefix import Prefix, read_prefix

_TEXT_LENGTH_MAX = 128
_set = object.__setattr__


@final
@total_ordering
class AddressRange:
    """An immutable range, ordered by (family, first, last); `first` and `last` are integers.

    `AddressRange(text)` raises InvalidValue for anything but strict text; `AddressRange.of` trusts.
    """

    __slots__ = ("family", "first", "last")
    family: int
    first: int
    last: int

    def __new__(cls, text: str) -> AddressRange:
        return parse_range(text)

    @classmethod
    def of(cls, family: int, first: int, last: int) -> AddressRange:
        """The range of ends already known to be right."""
        assert 0 <= first <= last <= LAST_VALUE[family], "an end is outside the family, or turned"
        self = object.__new__(cls)
        _set(self, "family", family)
        _set(self, "first", first)
        _set(self, "last", last)
        return self

    @property
    def size(self) -> int:
        """How many addresses it holds; at least one."""
        return self.last - self.first + 1

    @property
    def first_address(self) -> Address:
        """The lowest address of the range."""
        return Address.of(self.family, self.first)

    @property
    def last_address(self) -> Address:
        """The highest address of the range, inclusive."""
        return Address.of(self.family, self.last)

    def __str__(self) -> str:
        return f"{self.first_address}-{self.last_address}"

    def __repr__(self) -> str:
        return f"AddressRange('{self}')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AddressRange):
            return NotImplemented
        return self._key() == other._key()

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, AddressRange):
            return NotImplemented
        return self._key() < other._key()

    def __hash__(self) -> int:
        """The keyed hash of bytes: integers' own hashes can be made to collide at will."""
        return hash(self.first.to_bytes(16, "big") + self.last.to_bytes(16, "big"))

    def __reduce__(self) -> tuple[object, ...]:
        return (AddressRange.of, self._key())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an AddressRange never changes; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an AddressRange never changes; cannot delete {name!r}")

    def _key(self) -> tuple[int, int, int]:
        return self.family, self.first, self.last


def parse_range(text: object, field: str = "range") -> AddressRange:
    """The range that strict text means. Raises InvalidValue naming the field and the rule."""
    shown = text_within(text, field, _TEXT_LENGTH_MAX)
    head, _, tail = shown.partition("-")
    first, last = read_address(head), read_address(tail)
    if first is None or last is None or first[0] != last[0] or first[1] > last[1]:
        raise _range_fault(shown).refusal(field, shown)
    return AddressRange.of(first[0], first[1], last[1])


def _range_fault(text: str) -> Fault:
    """Why `parse_range` refuses this text; only for text that it refuses."""
    head, dash, tail = text.partition("-")
    first = read_address(head)
    if not dash:
        return _dashless_fault(text, first)
    if first is None:
        return _of_end("first", address_fault(head))
    last = read_address(tail)
    if last is None:
        return _of_end("last", address_fault(tail))
    if first[0] != last[0]:
        return Fault("its ends are of different families")
    turned = AddressRange.of(first[0], last[1], first[1])
    return Fault("its ends are turned", instead=str(turned))


def _of_end(end: str, fault: Fault) -> Fault:
    return fault._replace(rule=f"its {end} address: {fault.rule}")


def _dashless_fault(text: str, alone: tuple[int, int] | None) -> Fault:
    if alone is not None:
        family, value = alone
        whole = AddressRange.of(family, value, value)
        return Fault("a range has two ends", instead=str(whole))
    block = read_prefix(text)
    if block is not None:
        prefix = Prefix.of(*block)
        whole = AddressRange.of(prefix.family, prefix.first, prefix.last)
        return Fault("a prefix is not a range", instead=str(whole))
    return Fault("a range is written FIRST-LAST, such as 10.0.0.10-10.0.0.20")
