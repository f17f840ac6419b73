"""One hardware address of 48 bits (EUI-48).

Invariant: whichever of the three spellings came in, the value and the text are the same.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import NoReturn, final

from allotment.errors import InvalidValue
from allotment.model.names import text_within

_TEXT_LENGTH_MAX = 64
_SPELLING = re.compile(
    r"\A(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
    r"|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}"
    r"|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})\Z"
)
_SEPARATORS = {ord(mark): None for mark in ":-."}
_set = object.__setattr__


@final
@total_ordering
class Mac:
    """An immutable MAC, ordered by value; its text is lower-case with colons.

    `Mac(text)` raises InvalidValue for anything but strict text; `Mac.of` trusts.
    """

    __slots__ = ("value",)
    value: int

    def __new__(cls, text: str) -> Mac:
        return parse_mac(text)

    @classmethod
    def of(cls, value: int) -> Mac:
        """The MAC of an integer already known to be in range."""
        assert 0 <= value < 1 << 48, "the value has more than 48 bits"
        self = object.__new__(cls)
        _set(self, "value", value)
        return self

    def __str__(self) -> str:
        return self.value.to_bytes(6, "big").hex(":")

    def __repr__(self) -> str:
        return f"Mac('{self}')"

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Mac) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if isinstance(other, Mac) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __reduce__(self) -> tuple[object, ...]:
        return (Mac.of, (self.value,))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Mac never changes; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Mac never changes; cannot delete {name!r}")


def parse_mac(text: object, field: str = "mac") -> Mac:
    """The MAC that strict text means. Raises InvalidValue naming the field and the rule."""
    shown = text_within(text, field, _TEXT_LENGTH_MAX)
    if not _SPELLING.match(shown):
        raise InvalidValue(field, shown, _rule_for(shown))
    return Mac.of(int(shown.translate(_SEPARATORS), 16))


def _rule_for(text: str) -> str:
    if re.match(r"\A[0-9A-Fa-f]{12}\Z", text):
        return f"separators are missing; write {Mac.of(int(text, 16))}"
    return "write six pairs of hexadecimal digits, such as 00:53:00:12:ab:cd"
