"""Prefixes and ranges as values: membership, order, text, and what they refuse."""

from __future__ import annotations

import copy
import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.address_range import AddressRange, parse_range
from allotment.model.prefix import Prefix, parse_prefix


@st.composite
def prefixes(draw: st.DrawFn, near: int | None = None) -> Prefix:
    """Any prefix; with `near`, of IPv4 and within a few bits, so that two of them often meet."""
    family = 4 if near is not None else draw(st.sampled_from([4, 6]))
    bits = 32 if family == 4 else 128
    length = draw(st.integers(0 if near is None else near, bits))
    wide = draw(st.integers(0, 2**bits - 1 if near is None else 2 ** (bits - near) - 1))
    return Prefix.of(family, wide >> bits - length << bits - length, length)


def network(prefix: Prefix) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(str(prefix))


@given(prefixes())
def test_parts_equal_the_standard_librarys(prefix: Prefix) -> None:
    theirs = network(prefix)
    assert prefix.first == prefix.first_address.value == int(theirs.network_address)
    assert prefix.last == prefix.last_address.value == int(theirs.broadcast_address)
    assert prefix.size == theirs.num_addresses
    assert prefix.first_address.family == prefix.last_address.family == prefix.family
    assert prefix.bits == theirs.max_prefixlen


@given(prefixes())
def test_parsing_the_text_of_a_prefix_gives_it_back(prefix: Prefix) -> None:
    if not (prefix.family == 6 and prefix.first >> 32 == 0xFFFF):
        assert Prefix(str(prefix)) == prefix
        assert repr(prefix) == f"Prefix('{prefix}')"


@given(prefixes(near=26), prefixes(near=26))
def test_membership_and_overlap_are_those_of_sets(one: Prefix, other: Prefix) -> None:
    ours, theirs = set(range(one.first, one.last + 1)), set(range(other.first, other.last + 1))
    assert one.contains(other) == (other in one) == (theirs <= ours)
    assert one.overlaps(other) == bool(ours & theirs)
    for value in (other.first, other.last):
        assert (Address.of(4, value) in one) == (value in ours)


def test_families_share_nothing() -> None:
    four, six = Prefix("0.0.0.0/0"), Prefix("::/0")
    assert Address("::1") not in four
    assert Address("0.0.0.1") not in six
    assert four not in six
    assert not four.overlaps(six)


@given(prefixes(near=28), prefixes(near=28))
def test_order_is_by_first_address_then_length(one: Prefix, other: Prefix) -> None:
    ours, theirs = (one.first, one.length), (other.first, other.length)
    assert (one == other) == (ours == theirs)
    assert (one < other) == (ours < theirs)
    assert (one >= other) == (ours >= theirs)
    if one == other:
        assert hash(one) == hash(other)


def test_ipv4_sorts_before_ipv6() -> None:
    texts = ["2001:db8::/32", "10.0.0.0/16", "10.0.0.0/8", "::/0", "9.0.0.0/8"]
    assert [str(prefix) for prefix in sorted(map(Prefix, texts))] == [
        "9.0.0.0/8", "10.0.0.0/8", "10.0.0.0/16", "::/0", "2001:db8::/32",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["255.255.255.255/32", "0.0.0.0/0", "::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
)
def test_prefixes_reach_to_the_ends_of_the_family(text: str) -> None:
    assert str(Prefix(text)) == text


def test_the_same_block_with_another_length_is_another_prefix() -> None:
    assert Prefix("10.0.0.0/8") != Prefix("10.0.0.0/9")
    assert len({Prefix("10.0.0.0/8"), Prefix("10.0.0.0/9"), Prefix("10.0.0.0/8")}) == 2


@pytest.mark.parametrize("value", [Prefix("10.0.0.0/8"), AddressRange("10.0.0.1-10.0.0.9")])
def test_values_are_copied_pickled_and_never_changed(value: Prefix | AddressRange) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value
    assert hash(copy.copy(value)) == hash(value)
    for name in ("family", "first", "other"):
        with pytest.raises(AttributeError, match="never changes"):
            setattr(value, name, 1)
        with pytest.raises(AttributeError, match="never changes"):
            delattr(value, name)
    assert value != str(value)
    with pytest.raises(TypeError):
        assert value < str(value)


@pytest.mark.parametrize(
    ("family", "first", "length"), [(4, 1, 31), (4, 0, 33), (4, 0, -1), (4, 2**32, 32), (6, -1, 0)]
)
def test_trusted_parts_are_still_asserted(family: int, first: int, length: int) -> None:
    with pytest.raises(AssertionError):
        Prefix.of(family, first, length)


def test_the_error_names_the_field_it_was_given() -> None:
    with pytest.raises(InvalidValue, match="block '10/8' is not valid"):
        parse_prefix("10/8", "block")
    with pytest.raises(InvalidValue, match="pool 'x' is not valid"):
        parse_range("x", "pool")


@pytest.mark.parametrize(
    ("text", "canonical", "size"),
    [
        ("10.0.0.10-10.0.0.20", "10.0.0.10-10.0.0.20", 11),
        ("10.0.0.1-10.0.0.1", "10.0.0.1-10.0.0.1", 1),
        ("0.0.0.0-255.255.255.255", "0.0.0.0-255.255.255.255", 2**32),
        ("2001:DB8::0-2001:db8::FFFF", "2001:db8::-2001:db8::ffff", 65536),
        ("::-" + ":".join(["ffff"] * 8), "::-" + ":".join(["ffff"] * 8), 2**128),
    ],
)
def test_a_range_has_both_its_ends(text: str, canonical: str, size: int) -> None:
    wanted = AddressRange(text)
    assert str(wanted) == canonical
    assert wanted.size == size
    assert AddressRange(str(wanted)) == wanted
    assert repr(wanted) == f"AddressRange('{canonical}')"
    assert f"{wanted.first_address}-{wanted.last_address}" == canonical


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("10.0.0.1", "a range has two ends; write 10.0.0.1-10.0.0.1"),
        ("10.0.0.0/30", "a prefix is not a range; write 10.0.0.0-10.0.0.3"),
        ("10.0.0.9-10.0.0.1", "its ends are turned; write 10.0.0.1-10.0.0.9"),
        ("10.0.0.1-::1", "different families"),
        ("::1-10.0.0.1", "different families"),
        ("10.0.0.1 - 10.0.0.9", "its first address: it contains a blank"),
        ("10.0.0.1-9", "its last address: an integer is not an address"),
        ("10.0.0.1-010.0.0.2", "its last address: leading zeros are ambiguous; write 10.0.0.2"),
        ("10.0.0.1-", "its last address: it is empty"),
        ("-10.0.0.1", "its first address: it is empty"),
        ("10.0.0.1-10.0.0.2\n", "its last address: it contains a blank or a line break"),
        ("10.0.0.1-10.0.0.2-10.0.0.3", "its last address: it is neither"),
        ("10.0.0.1\u201310.0.0.2", "a range is written FIRST-LAST"),
        ("", "a range is written FIRST-LAST"),
        ("10.0.0.1-10.0.0.2" + " " * 200, "longer than 128 characters"),
        (7, "it must be text, not int"),
    ],
)
def test_range_is_refused_with_its_rule(text: object, rule: str) -> None:
    with pytest.raises(InvalidValue, match=rf"range .* is not valid: .*{rule}"):
        parse_range(text)


def test_a_mapped_end_keeps_its_code() -> None:
    with pytest.raises(InvalidValue) as refusal:
        AddressRange("::ffff:10.0.0.1-::ffff:10.0.0.9")
    assert refusal.value.facts["why"] == "ipv4_mapped"


def test_ranges_sort_by_family_first_and_last() -> None:
    texts = ["::1-::2", "10.0.0.1-10.0.0.3", "10.0.0.1-10.0.0.2", "9.0.0.0-9.0.0.9"]
    assert [str(wanted) for wanted in sorted(map(AddressRange, texts))] == texts[::-1]
    same = AddressRange(texts[0])
    assert not same < AddressRange(texts[0])
    assert same <= AddressRange(texts[0])


@pytest.mark.parametrize(("family", "first", "last"), [(4, 2, 1), (4, 0, 2**32), (6, -1, 1)])
def test_trusted_ends_are_still_asserted(family: int, first: int, last: int) -> None:
    with pytest.raises(AssertionError):
        AddressRange.of(family, first, last)
