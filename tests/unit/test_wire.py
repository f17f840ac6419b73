"""What a command of a wrong type is told."""

from __future__ import annotations

from typing import Any

import pytest

from allotment import Prefix
from allotment.errors import InvalidValue
from allotment.model import wire
from allotment.model.commands import CreateSubnet

CHOICES = "AddressPlacement (lowest, random, least-recently-used)"


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [("placement", "random", CHOICES), ("scope", 3, "str"), ("prefix", "10.0.0.0/8", "Prefix")],
)
def test_the_field_the_value_and_what_it_may_be_are_named(
    field: str, value: object, rule: str
) -> None:
    fields: dict[str, Any] = {"scope": "s", "prefix": Prefix("10.0.0.0/24"), field: value}
    with pytest.raises(InvalidValue) as raised:
        wire.check(CreateSubnet(**fields))
    assert str(raised.value) == f"{field} {value!r} is not valid: must be {rule}"
