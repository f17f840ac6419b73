"""Lengths of time as people write them: one whole number and one unit."""

from __future__ import annotations

import pytest

from allotment.errors import InvalidValue
from allotment.model.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("1s", 1),
        ("30m", 1800),
        ("12h", 43_200),
        ("90d", 7_776_000),
        ("2w", 1_209_600),
        ("007d", 604_800),
        ("999999999w", 999_999_999 * 604_800),
    ],
)
def test_a_number_and_a_unit_are_so_many_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "", "d", "90", "-1d", "+1d", "1.5h", "1 d", " 1d", "1d\n", "1D", "1d12h", "1y", "1dd",
        "1000000000s", "\N{ARABIC-INDIC DIGIT ONE}d", "\N{SUPERSCRIPT TWO}d",
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        parse_duration(text, "lasts")
    assert refused.value.facts["field"] == "lasts"
    assert refused.value.facts["value"] == repr(text)
    assert "90d is ninety days" in str(refused.value)
