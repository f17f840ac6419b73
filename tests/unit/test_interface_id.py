"""Addresses made from an interface: RFC 4291 and RFC 2464 vectors, RFC 7217 properties."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine import interface_id
from allotment.engine.interface_id import (
    eui64,
    is_reserved,
    stable_private,
    stable_private_candidates,
)
from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix

SUBNET = Prefix("2001:db8:1:2::/64")
SECRET = bytes(range(16))


@pytest.mark.parametrize(
    ("mac", "text"),
    [
        ("34:56:78:9a:bc:de", "3656:78ff:fe9a:bcde"),  # the example of RFC 2464, section 4
        ("00:00:00:00:00:00", "200:ff:fe00:0"),
        ("02:00:00:00:00:00", "0:ff:fe00:0"),  # locally administered: the bit is inverted
        ("ff:ff:ff:ff:ff:ff", "fdff:ffff:feff:ffff"),
        ("00:53:00:12:ab:cd", "253:ff:fe12:abcd"),
    ],
)
def test_eui64_inverts_the_universal_bit_and_inserts_fffe(mac: str, text: str) -> None:
    assert eui64(SUBNET, Mac(mac)) == Address(f"2001:db8:1:2:{text}")


@given(st.integers(0, 2**48 - 1))
def test_eui64_follows_the_bit_pattern_of_rfc_4291(value: int) -> None:
    pattern = f"{value:048b}"  # cccccc0gcccccccc ccccccccmmmmmmmm mmmmmmmmmmmmmmmm
    inverted = "1" if pattern[6] == "0" else "0"
    expected = pattern[:6] + inverted + pattern[7:24] + "1111111111111110" + pattern[24:]
    address = eui64(SUBNET, Mac.of(value))
    assert f"{address.value & 2**64 - 1:064b}" == expected
    assert address in SUBNET


def test_a_shorter_prefix_leaves_the_bits_between_at_zero() -> None:
    assert eui64(Prefix("2001:db8::/32"), Mac("34:56:78:9a:bc:de")) == Address(
        "2001:db8::3656:78ff:fe9a:bcde"
    )


@pytest.mark.parametrize(
    ("prefix", "rule"),
    [
        ("10.0.0.0/8", "IPv6 only"),
        ("2001:db8::/65", "less than 64 bits"),
        ("2001:db8::1/128", "less than 64 bits"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda prefix: eui64(prefix, Mac("34:56:78:9a:bc:de")),
        lambda prefix: stable_private(prefix, "eth0", "", SECRET, 0),
    ],
    ids=["eui64", "stable_private"],
)
def test_a_prefix_without_room_is_refused(
    make: Callable[[Prefix], Address], prefix: str, rule: str
) -> None:
    with pytest.raises(InvalidValue, match=rule):
        make(Prefix(prefix))


def written_again(interface: str, network_id: str, dad_counter: int) -> int:
    """RFC 7217's F as we document it, written down a second time, for SUBNET and SECRET."""
    message = (
        (17).to_bytes(4, "big") + bytes.fromhex("20010db8000100020000000000000000") + b"\x40"
        + len(interface.encode()).to_bytes(4, "big") + interface.encode()
        + len(network_id.encode()).to_bytes(4, "big") + network_id.encode()
        + b"\0\0\0\x08" + dad_counter.to_bytes(8, "big")
    )  # fmt: skip
    digest = hmac.new(SECRET, message, hashlib.sha256).digest()
    return int.from_bytes(digest, "big") % 2**64


@given(st.text(max_size=9), st.text(max_size=9), st.integers(0, 2**64 - 1))
def test_stable_private_addresses_are_the_documented_hash(
    interface: str, network_id: str, counter: int
) -> None:
    expected = Address.of(6, SUBNET.first | written_again(interface, network_id, counter))
    assert stable_private(SUBNET, interface, network_id, SECRET, counter) == expected


def test_stable_private_addresses_never_change_between_releases() -> None:
    found = [str(stable_private(SUBNET, "eth0", "lab", SECRET, counter)) for counter in range(2)]
    assert found == ["2001:db8:1:2:c18a:aa10:d6ab:76e5", "2001:db8:1:2:9e:afc7:a50f:5f00"]


def test_each_input_counts() -> None:
    made = {
        stable_private(SUBNET, "eth0", "lab", SECRET, 0),
        stable_private(Prefix("2001:db8:1:3::/64"), "eth0", "lab", SECRET, 0),
        stable_private(Prefix("2001:db8:1:2::/63"), "eth0", "lab", SECRET, 0),
        stable_private(SUBNET, "eth1", "lab", SECRET, 0),
        stable_private(SUBNET, "eth0", "", SECRET, 0),
        stable_private(SUBNET, "eth0l", "ab", SECRET, 0),  # the parts cannot run into each other
        stable_private(SUBNET, "eth0", "lab", SECRET[::-1], 0),
        stable_private(SUBNET, "eth0", "lab", SECRET, 1),
    }
    assert len({address.value & 2**64 - 1 for address in made}) == 8


def test_candidates_go_on_with_the_next_counter() -> None:
    candidates = list(islice(stable_private_candidates(SUBNET, "eth0", "", SECRET, 3), 4))
    assert [candidate.dad_counter for candidate in candidates] == [3, 4, 5, 6]
    for address, counter in candidates:
        assert address == stable_private(SUBNET, "eth0", "", SECRET, counter)
    assert len({candidate.address for candidate in candidates}) == 4


def test_the_counter_begins_at_zero() -> None:
    begin = next(stable_private_candidates(SUBNET, "eth0", "", SECRET))
    assert begin == (stable_private(SUBNET, "eth0", "", SECRET, 0), 0)
    assert stable_private(SUBNET, "eth0", "", SECRET) == begin.address


RESERVED = [
    0,
    0x02005EFFFE000000,
    0x02005EFFFE005213,
    0x02005EFFFEFFFFFF,
    0xFDFFFFFFFFFFFF80,
    0xFDFFFFFFFFFFFFFF,
]


@pytest.mark.parametrize("identifier", RESERVED, ids=hex)
def test_identifiers_of_rfc_5453_are_reserved(identifier: int) -> None:
    assert is_reserved(identifier)


@pytest.mark.parametrize(
    "identifier",
    [1, 0x02005EFFFDFFFFFF, 0x02005EFFFF000000, 0xFDFFFFFFFFFFFF7F, 0xFE00000000000000, 2**64 - 1],
    ids=hex,
)
def test_their_neighbours_are_free(identifier: int) -> None:
    assert not is_reserved(identifier)


@pytest.mark.parametrize("identifier", RESERVED, ids=hex)
def test_a_reserved_identifier_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, identifier: int
) -> None:
    def unlucky(*inputs: object) -> int:
        return identifier if inputs[-1] in (0, 1, 3) else 0x1000 + int(str(inputs[-1]))

    monkeypatch.setattr(interface_id, "_random_interface_id", unlucky)
    candidates = list(islice(stable_private_candidates(SUBNET, "eth0", "", SECRET), 2))
    assert candidates == [(Address("2001:db8:1:2::1002"), 2), (Address("2001:db8:1:2::1004"), 4)]
    assert stable_private(SUBNET, "eth0", "", SECRET) == Address("2001:db8:1:2::1002")
    assert stable_private(SUBNET, "eth0", "", SECRET, 1) == Address("2001:db8:1:2::1002")


def test_a_short_secret_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="128 bits"):
        stable_private(SUBNET, "eth0", "", SECRET[:15], 0)
