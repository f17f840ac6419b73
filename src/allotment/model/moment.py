"""Times as people write them: a date, or a date and a time of day, in UTC or with an offset.

Invariant: what is shown of a time is read as that time, to the second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from allotment.errors import InvalidValue

_FORM = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)
_BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_moment(text: str, field: str = "time") -> int:
    """UTC milliseconds since 1970-01-01; a time without an offset is in UTC.

    Raises:
        InvalidValue: it is no such time, or before 1970.
    """
    rule = "write it as 2026-03-01, 2026-03-01T14:00:00Z or 2026-03-01T14:00:00+01:00"
    if not _FORM.fullmatch(text):
        raise InvalidValue(field, text, rule)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValue(field, text, rule) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if found < _BEGAN:
        raise InvalidValue(field, text, "times begin with 1970")
    return (found - _BEGAN) // _MILLISECOND
