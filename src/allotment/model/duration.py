"""Lengths of time as people write them: 90d, 12h, 30m.

Invariant: a duration has one unit, and is never negative.
"""

from __future__ import annotations

import re

from allotment.errors import InvalidValue

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FORM = re.compile(r"([0-9]{1,9})([smhdw])")


def parse_duration(text: str, field: str = "duration") -> int:
    """Seconds from text.

    Raises:
        InvalidValue: it is not a number and one of s, m, h, d, w.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidValue(field, text, "write a number and s, m, h, d or w: 90d is ninety days")
    return int(match[1]) * _UNITS[match[2]]
