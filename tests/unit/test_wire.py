"""What a value of a wrong type, or text that is none of the model, is told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from allotment import Address, Prefix
from allotment.errors import InvalidValue
from allotment.model import wire
from allotment.model.commands import AllocateAddresses, Command, CreateSubnet, ReleaseAddresses
from allotment.model.events import Event
from allotment.model.limits import BATCH_MAX

CHOICES = "AddressPlacement (lowest, random, least-recently-used)"
LONG = "(a number of more than 256 bits)"


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


@pytest.mark.parametrize(
    ("count", "shown", "rule"),
    [
        (True, "True", "must be int"),
        (0, "0", "must be from 1 to 10000000"),
        (10_000_001, "10000001", "must be from 1 to 10000000"),
        ((1 << 256) - 1, f"{(1 << 256) - 1}", "must be from 1 to 10000000"),
        (1 << 256, LONG, "must be from 1 to 10000000"),
        (-(10**5000), LONG, "must be from 1 to 10000000"),
    ],
    ids=["no number", "few", "many", "256 bits", "more", "thousands of digits"],
)
def test_a_number_that_is_out_of_bounds_is_refused_however_long(
    count: int, shown: str, rule: str
) -> None:
    """Python refuses to write a number of thousands of digits: a refusal must not."""
    with pytest.raises(InvalidValue) as raised:
        wire.check(AllocateAddresses(subnet="n", count=count))
    facts = raised.value.facts
    assert (facts["field"], facts["rule"]) == ("count", rule)
    assert str(facts["value"]) in (shown, shown[:77] + "...")


def test_so_many_at_once_are_refused_before_each_is_looked_at() -> None:
    addresses = (Address("10.0.0.1"),) * BATCH_MAX
    wire.check(ReleaseAddresses(subnet="n", addresses=addresses))
    with pytest.raises(InvalidValue) as raised:
        wire.check(ReleaseAddresses(subnet="n", addresses=(*addresses, None)))  # type: ignore[arg-type]
    assert raised.value.facts["field"] == "addresses"
    assert raised.value.facts["rule"] == f"at most {BATCH_MAX} at once"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"do":"CreateSubnet"',
        b"\xff" * 100,
        b"[]",
        b'{"do":"Nothing"}',
        b'{"do":"CreateSubnet","surprise":1}',
        b'{"do":"CreateSubnet","pool":5}',
    ],
)
def test_text_that_is_no_command_is_told_so_with_its_beginning(raw: bytes) -> None:
    with pytest.raises(InvalidValue) as raised:
        wire.decode(CreateSubnet, raw)
    assert raised.value.facts["field"] == "request"
    assert raised.value.__cause__ is not None
    assert len(str(raised.value.facts["value"])) <= 80


def test_an_array_is_read_each_part_as_its_own_kind_and_no_part_is_left_over() -> None:
    assert wire.decode_each([int, str], b'[1,"a"]') == (1, "a")
    for raw in (b"[1]", b'[1,"a",2]', b"[]"):
        with pytest.raises(InvalidValue, match="an array of 2 is wanted"):
            wire.decode_each([int, str], raw)
    with pytest.raises(InvalidValue):
        wire.decode_each([int, str], b'["a",1]')


def test_what_the_model_does_not_know_has_no_wire_form() -> None:
    for write in (wire.encode, wire.encode_revealing, wire.plain):
        with pytest.raises(TypeError, match="complex has no wire form"):
            write({"a": 1j})
    with pytest.raises(AssertionError, match="complex has no wire form"):
        wire.decode(complex, b'"1j"')


def test_what_is_kept_as_json_is_plain_where_plain_values_are_wanted() -> None:
    event = Event(
        sequence=1,
        at=2,
        actor="local:me",
        source=None,
        request_id=None,
        outcome="done",
        place_id=UUID(int=3),
        command=msgspec.Raw(b'{"do":"AllocateAddress"}'),
        answer=msgspec.Raw(b'{"address":"10.0.0.2"}'),
    )
    told = wire.plain(event)
    assert told["command"] == {"do": "AllocateAddress"}
    assert told["answer"] == {"address": "10.0.0.2"}
    assert told["place_id"] == str(UUID(int=3))
    assert wire.plain(Address("10.0.0.2")) == "10.0.0.2"


def test_two_requests_of_one_key_are_told_apart_by_anything_but_the_key() -> None:
    def digest(**fields: Any) -> bytes:  # Any: fields of the command
        command: Command[Any] = AllocateAddresses(subnet="n", **fields)
        return wire.request_hash(command)

    assert digest(count=1, idempotency_key="k") == digest(count=1, idempotency_key="l")
    assert digest(count=1) != digest(count=2)
