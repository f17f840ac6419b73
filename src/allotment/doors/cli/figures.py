"""Counts, shares and times as people read them.

Invariant: a shown count is exact; "100%" is said only of what is full, "0%" only of what is empty.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

_LONG = 10**15
_NEAR = 10**6


def count_text(count: int) -> str:
    """A count, exact: 16,777,216; beyond 10^15 by its distance to a power of two, as 2^64 - 13."""
    if count < _LONG:
        return f"{count:,}"
    exponent = count.bit_length()
    for power in (exponent - 1, exponent):
        distance = count - (1 << power)
        if distance == 0:
            return f"2^{power}"
        if abs(distance) < _NEAR:
            return f"2^{power} {'+' if distance > 0 else '-'} {abs(distance):,}"
    return f"{count:,}"


def percent(part: int, whole: int) -> str:
    """The share in percent, to a tenth; never rounded to nothing or to everything."""
    if part <= 0 or whole <= 0:
        return "0%"
    if part >= whole:
        return "100%"
    tenths = part * 1000 // whole
    if tenths == 0:
        return "<0.1%"
    return f"{tenths // 10}.{tenths % 10}%" if part * 1000 <= 999 * whole else ">99.9%"


def bar(part: int, whole: int, width: int = 12) -> str:
    """The share as a bar: one mark for the least, full only when full."""
    full, empty = ("#", "-") if ascii_only() else ("█", "░")
    if whole <= 0:
        return empty * width
    marks = part * width // whole
    if part > 0:
        marks = max(1, marks)
    return full * marks + empty * (width - marks)


def alarm(part: int, whole: int) -> str:
    """The colour of a share: red when nearly used up."""
    if whole <= 0 or part * 10 < whole * 7:
        return "green"
    return "yellow" if part * 10 < whole * 9 else "red"


def moment(milliseconds: int) -> str:
    """A time of the book, in UTC to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def ascii_only() -> bool:
    """Whether the standard output cannot show more than ASCII."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")
