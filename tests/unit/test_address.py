"""An address as a value: text, packed form, order, copies, arithmetic."""

from __future__ import annotations

import copy
import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.model.address import Address

families = st.sampled_from([4, 6])


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    family = draw(families)
    bits = 32 if family == 4 else 128
    shift = draw(st.integers(0, bits))
    return Address.of(family, draw(st.integers(0, 2**bits - 1)) >> shift)


def is_mapped(address: Address) -> bool:
    return address.family == 6 and address.value >> 32 == 0xFFFF


@given(addresses())
def test_parsing_the_text_of_an_address_gives_it_back(address: Address) -> None:
    if not is_mapped(address):
        assert Address(str(address)) == address


@given(addresses())
def test_text_equals_the_standard_librarys(address: Address) -> None:
    kind = ipaddress.IPv4Address if address.family == 4 else ipaddress.IPv6Address
    if not is_mapped(address):
        assert str(address) == str(kind(address.value))
    assert kind(str(address)) == kind(address.value)


@given(addresses())
def test_packed_form_has_sixteen_bytes_and_comes_back(address: Address) -> None:
    assert len(address.packed) == 16
    assert int.from_bytes(address.packed, "big") == address.value
    assert Address.from_packed(address.family, address.packed) == address


@given(addresses(), addresses())
def test_order_and_equality_are_those_of_family_and_value(one: Address, other: Address) -> None:
    ours, theirs = (one.family, one.value), (other.family, other.value)
    assert (one == other) == (ours == theirs)
    assert (one < other) == (ours < theirs)
    assert (one <= other) == (ours <= theirs)
    assert (one > other) == (ours > theirs)
    assert (one >= other) == (ours >= theirs)
    if one == other:
        assert hash(one) == hash(other)


@given(addresses())
def test_copies_and_pickles_are_equal(address: Address) -> None:
    assert pickle.loads(pickle.dumps(address)) == address
    assert copy.copy(address) == copy.deepcopy(address) == address


def test_families_never_meet() -> None:
    assert Address("0.0.0.1") != Address("::1")
    assert Address("255.255.255.255") < Address("::")
    assert Address("10.0.0.1").bits == 32
    assert Address("::1").bits == 128


def test_an_address_equals_nothing_else() -> None:
    assert Address("10.0.0.1") != "10.0.0.1"
    assert Address("10.0.0.1") != 0x0A000001
    with pytest.raises(TypeError):
        assert Address("10.0.0.1") < "10.0.0.2"


@pytest.mark.parametrize("name", ["family", "value", "zone"])
def test_an_address_never_changes(name: str) -> None:
    address = Address("10.0.0.1")
    with pytest.raises(AttributeError, match="never changes"):
        setattr(address, name, 1)
    with pytest.raises(AttributeError, match="never changes"):
        delattr(address, name)
    assert not hasattr(address, "__dict__")


def test_arithmetic_stays_in_the_family() -> None:
    assert Address("10.0.0.255") + 1 == Address("10.0.1.0")
    assert Address("10.0.1.0") - 1 == Address("10.0.0.255")
    assert Address("::") + 2**64 == Address("0:0:0:1::")
    assert Address("255.255.255.254") + 1 == Address("255.255.255.255")
    assert Address("0.0.0.1") - 1 == Address("0.0.0.0")
    for address, distance in ((Address("255.255.255.255"), 1), (Address("::"), -1)):
        with pytest.raises(OverflowError, match="outside IPv"):
            address + distance


@pytest.mark.parametrize(("family", "value"), [(4, 2**32), (4, -1), (6, 2**128), (6, -1)])
def test_trusted_values_are_still_asserted(family: int, value: int) -> None:
    with pytest.raises(AssertionError):
        Address.of(family, value)


@pytest.mark.parametrize("raw", [b"", b"\n\0\0\1", bytes(15), bytes(17)])
def test_a_packed_address_of_another_width_is_a_broken_invariant(raw: bytes) -> None:
    with pytest.raises(AssertionError):
        Address.from_packed(4, raw)
