"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.doors.cli.figures import moment
from allotment.errors import InvalidValue
from allotment.model.moment import parse_moment

DAY = 24 * 3600 * 1000


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_what_is_shown_of_a_time_is_read_as_that_time(seconds: int) -> None:
    assert parse_moment(moment(seconds * 1000)) == seconds * 1000


@given(st.datetimes(min_value=datetime.fromtimestamp(0, UTC).replace(tzinfo=None)))
def test_a_time_without_an_offset_is_in_utc(at: datetime) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    text = at.isoformat(timespec="milliseconds")
    seconds, thousandths = divmod(parse_moment(text), 1000)
    assert datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) == at.replace(microsecond=0)
    assert thousandths == at.microsecond // 1000


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", DAY),
        ("1970-01-02T00:00", DAY),
        ("1970-01-02T00:00:00Z", DAY),
        ("1970-01-02T02:00:00+02:00", DAY),
        ("1970-01-01 22:30:00-01:30", DAY),
        ("1970-01-02T00:00:00.5Z", DAY + 500),
        ("1970-01-02T00:00:00.123Z", DAY + 123),
    ],
)
def test_the_spellings_of_a_time(text: str, milliseconds: int) -> None:
    assert parse_moment(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "now", "1", "2026-13-01", "2026-02-30", "2026-03-01T25:00", "2026-03-01T14", "20260301",
     "2026-W10-1", "1969-12-31", "2026-03-01T14:00:00.1234Z", " 2026-03-01", "2026-03-01Z",
     "٢٠٢٦-03-01", "0000-01-01", "2026-03-01T14:00:00+24:00"],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        parse_moment(text, "at")
    assert refusal.value.facts["field"] == "at"
