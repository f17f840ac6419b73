"""MAC addresses: three spellings, one value."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.errors import InvalidValue
from allotment.model.mac import Mac, parse_mac

macs = st.integers(0, 2**48 - 1)


def spellings(value: int) -> tuple[str, ...]:
    digits = f"{value:012x}"
    pairs = [digits[at : at + 2] for at in range(0, 12, 2)]
    fours = [digits[at : at + 4] for at in range(0, 12, 4)]
    return ":".join(pairs), "-".join(pairs).upper(), ".".join(fours)


@given(macs)
def test_three_spellings_mean_one_mac(value: int) -> None:
    for text in spellings(value):
        mac = Mac(text)
        assert mac == Mac.of(value)
        assert hash(mac) == hash(Mac.of(value))
        assert str(mac) == spellings(value)[0]
        assert repr(mac) == f"Mac('{mac}')"


@given(macs, macs)
def test_order_is_that_of_the_value(one: int, other: int) -> None:
    assert (Mac.of(one) < Mac.of(other)) == (one < other)
    assert (Mac.of(one) >= Mac.of(other)) == (one >= other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00:53:00:12:ab",
        "00:53:00:12:ab:cd:ef",
        "00:53:00:12:ab:c",
        "0:53:00:12:ab:cd",
        "00:53:00:12:ab:cg",
        "00-53:00:12:ab:cd",
        "00:53:00:12:ab:cd\n",
        " 00:53:00:12:ab:cd",
        "00:53:00:12:ab:cd:",
        "0053.0012-abcd",
        "0053.0012.abc",
        "0053:0012:abcd",
        "005300-12abcd",
        "00:53:00:12:ab:٠٠",
        "00:53:00:12:ab:cd\x00",
        "00:53:00:ff:fe:12:ab:cd",
        "0x005300 12abcd",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"mac .* is not valid: write six pairs"):
        Mac(text)


def test_missing_separators_are_refused_with_the_right_spelling() -> None:
    with pytest.raises(InvalidValue, match="separators are missing; write 00:53:00:12:ab:cd"):
        Mac("00530012ABCD")


@pytest.mark.parametrize("value", [b"00:53:00:12:ab:cd", 1, True, None])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match=r"port .* it must be text"):
        parse_mac(value, "port")


def test_an_overlong_text_is_refused_before_anything_else() -> None:
    with pytest.raises(InvalidValue, match="longer than 64 characters"):
        Mac("0" * 100_000)


def test_a_mac_is_copied_pickled_and_never_changed() -> None:
    mac = Mac("00:53:00:12:ab:cd")
    assert pickle.loads(pickle.dumps(mac)) == copy.deepcopy(mac) == mac
    assert mac != str(mac)
    with pytest.raises(TypeError):
        assert mac < str(mac)
    with pytest.raises(AttributeError, match="never changes"):
        mac.value = 1
    with pytest.raises(AttributeError, match="never changes"):
        del mac.value


@pytest.mark.parametrize("value", [-1, 2**48])
def test_trusted_values_are_still_asserted(value: int) -> None:
    with pytest.raises(AssertionError):
        Mac.of(value)
