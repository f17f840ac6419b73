"""One IPv4 or IPv6 address, and the only reader of address text in the house.

Invariant: an address has exactly one meaning (family, value); every spelling that another program
could read differently is refused, so parse(str(x)) == x, and equal addresses have equal text.
"""

from __future__ import annotations

import re
from functools import total_ordering
from socket import AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple, NoReturn, final

from allotment.errors import InvalidValue
from allotment.model.names import text_within

TEXT_LENGTH_MAX = 64
IPV4_MAPPED_CODE = "ipv4_mapped"
BITS = {4: 32, 6: 128}
LAST_VALUE = {4: (1 << 32) - 1, 6: (1 << 128) - 1}

_OCTETS = {str(octet): octet for octet in range(256)}
_IPV6_CHARACTERS = "0123456789abcdefABCDEF:."
_IPV4_MAPPED = 0xFFFF


class Fault(NamedTuple):
    """Why a text was refused: the rule, the error's code, and what to write where that is clear."""

    rule: str
    code: str = "invalid-value"
    instead: str = ""

    def refusal(self, field: str, text: str) -> InvalidValue:
        """The error to raise for this text."""
        advice = f"; write {self.instead}" if self.instead else ""
        return InvalidValue(field, text, self.rule + advice, self.code)


@final
@total_ordering
class Address:
    """An immutable address, ordered by (family, value).

    `Address(text)` raises InvalidValue for anything but strict text; `Address.of` trusts.
    """

    __slots__ = ("family", "value")
    family: int
    value: int

    def __new__(cls, text: str) -> Address:
        return parse_address(text)

    @classmethod
    def of(cls, family: int, value: int) -> Address:
        """The address of a family (4 or 6) and an integer already known to be in range."""
        assert value >> BITS[family] == 0, "the value is outside the family"
        return _make(family, value)

    @classmethod
    def from_packed(cls, family: int, raw: bytes) -> Address:
        """The inverse of `packed`."""
        assert len(raw) == 16, "a packed address has 16 bytes in both families"
        return cls.of(family, int.from_bytes(raw, "big"))

    @property
    def packed(self) -> bytes:
        """The value as 16 bytes, big-endian, for IPv4 too: one order and width everywhere."""
        return self.value.to_bytes(16, "big")

    @property
    def bits(self) -> int:
        """The width of the family in bits: 32 or 128."""
        return BITS[self.family]

    def __add__(self, distance: int) -> Address:
        """The address `distance` further on. Raises OverflowError past the family's ends."""
        value = self.value + distance
        if not 0 <= value <= LAST_VALUE[self.family]:
            raise OverflowError(f"{self} + {distance} is outside IPv{self.family}")
        return Address.of(self.family, value)

    def __sub__(self, distance: int) -> Address:
        """The address `distance` before. Raises OverflowError past the family's ends."""
        return self + -distance

    def __str__(self) -> str:
        """The canonical text: dotted decimal, or RFC 5952."""
        value = self.value
        if self.family == 4:
            return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
        if 0xFFFF < value <= 0xFFFFFFFF:  # the C library would write these ::1.2.3.4
            return f"::{value >> 16:x}:{value & 0xFFFF:x}"
        return inet_ntop(AF_INET6, value.to_bytes(16, "big"))

    def __repr__(self) -> str:
        return f"Address('{self}')"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        return self.value == other.value and self.family == other.family

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Address):
            return NotImplemented
        if self.family == other.family:
            return self.value < other.value
        return self.family < other.family

    def __hash__(self) -> int:
        """The keyed hash of bytes: integers' own hashes can be made to collide at will."""
        return hash(self.value.to_bytes(16, "big"))

    def __reduce__(self) -> tuple[object, ...]:
        return (Address.of, (self.family, self.value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Address never changes; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Address never changes; cannot delete {name!r}")


_new = object.__new__
_set_family = Address.__dict__["family"].__set__  # twice as quick as object.__setattr__
_set_value = Address.__dict__["value"].__set__


def _make(family: int, value: int) -> Address:
    address = _new(Address)
    _set_family(address, family)
    _set_value(address, value)
    return address


def parse_address(text: object, field: str = "address") -> Address:
    """The address that strict text means. Raises InvalidValue naming the field and the rule."""
    found = read_address(text) if isinstance(text, str) else None
    if found is None:
        shown = text_within(text, field, TEXT_LENGTH_MAX)
        raise address_fault(shown).refusal(field, shown)
    return _make(*found)


def read_address(text: str) -> tuple[int, int] | None:
    """(family, value) of strict text, or None when `address_fault` can say what is wrong."""
    if len(text) > TEXT_LENGTH_MAX:
        return None
    if ":" in text:
        value = _read_ipv6(text)
        if value is None or value >> 32 == _IPV4_MAPPED:
            return None
        return 6, value
    try:
        a, b, c, d = text.split(".")
        return 4, _OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d]
    except (KeyError, ValueError):
        return None


def _read_ipv6(text: str) -> int | None:
    """The value, IPv4-mapped ones too; the C libraries' extras (zones, 010) are kept out here."""
    if text.strip(_IPV6_CHARACTERS):
        return None
    if "." in text and read_address(text[text.rfind(":") + 1 :]) is None:
        return None
    try:
        return int.from_bytes(inet_pton(AF_INET6, text), "big")
    except OSError:
        return None


def address_fault(text: str) -> Fault:
    """Why `read_address` refuses this text; only for text that it refuses."""
    for pattern, rule in _FOREIGN:
        if pattern.search(text):
            return Fault(rule, instead=_canonical(text.strip()))
    for mark, rule in _DECORATION.items():
        if mark in text:
            bare = text.lstrip("[").partition("]")[0].partition("/")[0].partition("%")[0]
            return Fault(rule, instead=_canonical(bare))
    return _ipv6_fault(text) if ":" in text else _ipv4_fault(text)


_FOREIGN = (
    (re.compile(r"\A\Z"), "it is empty; write an address such as 10.0.0.1 or 2001:db8::1"),
    (re.compile(r"\x00"), "it contains a NUL byte"),
    (re.compile(r"\s"), "it contains a blank or a line break"),
    (re.compile(r"[^\x21-\x7e]"), "only ASCII characters are allowed, digits included"),
)
_DECORATION = {
    "/": "an address carries no prefix length",
    "%": "zone ids are refused",
    "[": "brackets belong to URLs, not to addresses",
    "]": "brackets belong to URLs, not to addresses",
}


def _canonical(text: str) -> str:
    found = read_address(text)
    return str(_make(*found)) if found else ""


def _ipv6_fault(text: str) -> Fault:
    value = _read_ipv6(text)
    if value is not None:
        plain = Address.of(4, value & LAST_VALUE[4])
        return Fault("IPv4-mapped addresses are refused", IPV4_MAPPED_CODE, str(plain))
    if text.strip(_IPV6_CHARACTERS):
        return Fault("only hexadecimal digits, colons and an IPv4 tail make an IPv6 address")
    tail = text[text.rfind(":") + 1 :]
    if "." in tail and read_address(tail) is None:
        return Fault(f"its IPv4 tail: {_ipv4_fault(tail).rule}")
    if ":::" in text or text.count("::") > 1:
        return Fault("'::' may stand only once")
    if re.search(r"[0-9A-Fa-f]{5}", text):
        return Fault("a group of an IPv6 address has at most four hexadecimal digits")
    return Fault("an IPv6 address has eight groups, or fewer and one '::'")


def _ipv4_fault(text: str) -> Fault:
    if re.search(r"0[xX]", text):
        return Fault("hexadecimal forms are refused; write four decimal parts, such as 10.0.0.1")
    if re.search(r"[^0-9.]", text):
        return Fault("it is neither IPv4 (10.0.0.1) nor IPv6 (2001:db8::1)")
    if "." not in text:
        return Fault("an integer is not an address; write four parts, such as 10.0.0.1")
    parts = text.split(".")
    if len(parts) != 4 or "" in parts:
        return Fault("an IPv4 address has four parts; short forms are refused")
    plain = ".".join(part.lstrip("0") or "0" for part in parts)
    if plain != text:
        return Fault("leading zeros are ambiguous", instead=_canonical(plain))
    return Fault("a part of an IPv4 address is at most 255")
