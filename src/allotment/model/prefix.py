"""One IPv4 or IPv6 prefix: a block of addresses with a common beginning.

Invariant: no host bit is set, so two prefixes are equal exactly when they hold the same addresses.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import NoReturn, final

from allotment.model.address import (
    BITS,
    IPV4_MAPPED_CODE,
    LAST_VALUE,
    TEXT_LENGTH_MAX,
    Address,
    Fault,
    address_fault,
    read_address,
)
from allotment.model.names import text_within

_LENGTHS = {str(length): length for length in range(129)}
_set = object.__setattr__


@final
@total_ordering
class Prefix:
    """An immutable prefix, ordered by (family, first, length); `length` is in bits.

    `Prefix(text)` raises InvalidValue for anything but strict text; `Prefix.of` trusts.
    """

    __slots__ = ("family", "first", "length")
    family: int
    first: int
    length: int

    def __new__(cls, text: str) -> Prefix:
        return parse_prefix(text)

    @classmethod
    def of(cls, family: int, first: int, length: int) -> Prefix:
        """The prefix of parts already known to be right: no host bit may be set in `first`."""
        assert 0 <= length <= BITS[family], "the length is outside the family"
        assert 0 <= first <= LAST_VALUE[family], "the first address is outside the family"
        assert first & (LAST_VALUE[family] >> length) == 0, "host bits are set"
        self = object.__new__(cls)
        _set(self, "family", family)
        _set(self, "first", first)
        _set(self, "length", length)
        return self

    @property
    def bits(self) -> int:
        """The width of the family in bits: 32 or 128."""
        return BITS[self.family]

    @property
    def last(self) -> int:
        """The last address, inclusive, as an integer."""
        return self.first | LAST_VALUE[self.family] >> self.length

    @property
    def size(self) -> int:
        """How many addresses it holds, network and broadcast address included."""
        return 1 << BITS[self.family] - self.length

    @property
    def first_address(self) -> Address:
        """The address whose host bits are all zero."""
        return Address.of(self.family, self.first)

    @property
    def last_address(self) -> Address:
        """The address whose host bits are all one."""
        return Address.of(self.family, self.last)

    def contains(self, item: Address | Prefix) -> bool:
        """Whether all of an address or prefix lies inside; false across families."""
        if item.family != self.family:
            return False
        if isinstance(item, Address):
            return self.first <= item.value <= self.last
        return self.first <= item.first and item.last <= self.last

    __contains__ = contains

    def overlaps(self, other: Prefix) -> bool:
        """Whether the two share an address; false across families."""
        return self.contains(other) or other.contains(self)

    def __str__(self) -> str:
        return f"{self.first_address}/{self.length}"

    def __repr__(self) -> str:
        return f"Prefix('{self}')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prefix):
            return NotImplemented
        return self._key() == other._key()

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Prefix):
            return NotImplemented
        return self._key() < other._key()

    def __hash__(self) -> int:
        """The keyed hash of bytes: integers' own hashes can be made to collide at will."""
        return hash(self.first.to_bytes(16, "big")) ^ self.length

    def __reduce__(self) -> tuple[object, ...]:
        return (Prefix.of, self._key())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Prefix never changes; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Prefix never changes; cannot delete {name!r}")

    def _key(self) -> tuple[int, int, int]:
        return self.family, self.first, self.length


def parse_prefix(text: object, field: str = "prefix") -> Prefix:
    """The prefix that strict text means. Raises InvalidValue naming the field and the rule."""
    found = read_prefix(text) if isinstance(text, str) else None
    if found is None:
        shown = text_within(text, field, TEXT_LENGTH_MAX)
        raise _prefix_fault(shown).refusal(field, shown)
    return Prefix.of(*found)


def read_prefix(text: str) -> tuple[int, int, int] | None:
    """(family, first, length) of strict text, or None."""
    if len(text) > TEXT_LENGTH_MAX:
        return None
    head, _, tail = text.partition("/")
    address = read_address(head)
    length = _LENGTHS.get(tail)
    if address is None or length is None:
        return None
    family, first = address
    if length > BITS[family] or first & (LAST_VALUE[family] >> length):
        return None
    return family, first, length


def _prefix_fault(text: str) -> Fault:
    """Why `read_prefix` refuses this text; only for text that it refuses."""
    if not text:
        return Fault("it is empty; write a prefix such as 10.0.0.0/8 or 2001:db8::/32")
    head, slash, tail = text.partition("/")
    address = read_address(head)
    if address is None:
        fault = address_fault(head)
        return fault._replace(instead=_instead(fault, tail))
    family, value = address
    if not slash:
        whole = f"{Address.of(family, value)}/{BITS[family]}"
        return Fault("the prefix length is missing", instead=whole)
    length = _LENGTHS.get(tail)
    if length is None:
        return _length_fault(family, value, tail)
    if length > BITS[family]:
        return _too_long(family)
    return Fault("host bits are set", instead=_around(family, value, length))


def _instead(fault: Fault, tail: str) -> str:
    """The whole prefix to write where the address part is at fault, as far as that is clear."""
    address = read_address(fault.instead)
    length = _LENGTHS.get(tail)
    if address is None or length is None:
        return ""
    if fault.code == IPV4_MAPPED_CODE:
        length -= BITS[6] - BITS[4]
    return _around(*address, length)


def _too_long(family: int) -> Fault:
    return Fault(f"the length of an IPv{family} prefix is 0 to {BITS[family]}")


def _length_fault(family: int, value: int, tail: str) -> Fault:
    if re.match(r"\A[1-9][0-9]*\Z", tail):
        return _too_long(family)
    rule = "the prefix length is a plain decimal number"
    mask = read_address(tail)
    if mask is not None and mask[0] == family:
        rule = "a netmask or hostmask is not a prefix length"
        length = _mask_length(mask[1], LAST_VALUE[family])
    else:
        length = _LENGTHS.get(re.sub(r"\A\s*\+?0*(?=[0-9])|\s+\Z", "", tail))
    return Fault(rule, instead="" if length is None else _around(family, value, length))


def _mask_length(mask: int, everything: int) -> int | None:
    """The prefix length that a netmask (ones first) or a hostmask (ones last) stands for."""
    for host_ones in (everything ^ mask, mask):
        if host_ones & (host_ones + 1) == 0:
            return everything.bit_length() - host_ones.bit_length()
    return None


def _around(family: int, value: int, length: int) -> str:
    """The prefix of that length around an address, or nothing when there is no such length."""
    host_bits = BITS[family] - length
    if not 0 <= host_bits <= BITS[family]:
        return ""
    return str(Prefix.of(family, value >> host_bits << host_bits, length))
