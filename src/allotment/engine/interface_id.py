"""Addresses made from an interface: modified EUI-64 (RFC 4291) and stable private (RFC 7217).

Invariant: the same arguments give the same address, in every process and every release; changing
the hash or the order of its input would renumber every host.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import NamedTuple

from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.extent import Extent
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix

_INTERFACE_ID_BITS = 64
_SECRET_BYTES_MIN = 16
_UNIVERSAL_BIT = 1 << 57
# RFC 5453: subnet-router anycast; the IANA Ethernet block; reserved subnet anycast (RFC 2526).
_RESERVED = (
    Extent(0, 0),
    Extent(0x0200_5EFF_FE00_0000, 0x0200_5EFF_FEFF_FFFF),
    Extent(0xFDFF_FFFF_FFFF_FF80, 0xFDFF_FFFF_FFFF_FFFF),
)


class Candidate(NamedTuple):
    """A stable private address, and the DAD counter that produced it."""

    address: Address
    dad_counter: int


def eui64(prefix: Prefix, mac: Mac) -> Address:
    """The modified EUI-64 address of a MAC (RFC 4291, appendix A).

    Raises InvalidValue unless the prefix is IPv6 and leaves 64 bits to the interface.
    """
    _check_room(prefix)
    upper, lower = mac.value >> 24, mac.value & 0xFFFFFF
    interface_id = (upper << 40 | 0xFFFE << 24 | lower) ^ _UNIVERSAL_BIT
    return Address.of(6, prefix.first | interface_id)


def stable_private(
    prefix: Prefix, interface: str, network_id: str, secret: bytes, dad_counter: int = 0
) -> Address:
    """The first of `stable_private_candidates`; ask those when the address may be taken."""
    return next(
        stable_private_candidates(prefix, interface, network_id, secret, dad_counter)
    ).address


def stable_private_candidates(
    prefix: Prefix, interface: str, network_id: str, secret: bytes, dad_counter: int = 0
) -> Iterator[Candidate]:
    """Stable private addresses (RFC 7217), without end, from `dad_counter` upwards.

    A counter that gives a reserved interface identifier (RFC 5453) is passed over. The secret has
    at least 16 bytes. Raises InvalidValue unless the prefix is IPv6 and leaves 64 bits.
    """
    _check_room(prefix)
    assert len(secret) >= _SECRET_BYTES_MIN, "RFC 7217 wants a secret of 128 bits or more"
    while True:
        interface_id = _random_interface_id(prefix, interface, network_id, secret, dad_counter)
        if not is_reserved(interface_id):
            yield Candidate(Address.of(6, prefix.first | interface_id), dad_counter)
        dad_counter += 1


def is_reserved(interface_id: int) -> bool:
    """Whether RFC 5453 keeps this 64-bit interface identifier for other uses."""
    return any(first <= interface_id <= last for first, last in _RESERVED)


def _random_interface_id(
    prefix: Prefix, interface: str, network_id: str, secret: bytes, dad_counter: int
) -> int:
    """RFC 7217's F: HMAC-SHA-256, each part led by its length so that no two inputs look alike."""
    parts = (
        prefix.first.to_bytes(16, "big") + bytes((prefix.length,)),
        interface.encode(),
        network_id.encode(),
        dad_counter.to_bytes(8, "big"),
    )
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return int.from_bytes(hmac.digest(secret, message, "sha256")[-8:], "big")


def _check_room(prefix: Prefix) -> None:
    if prefix.family != 6:
        raise InvalidValue("prefix", prefix, "interface identifiers exist in IPv6 only")
    if prefix.length > prefix.bits - _INTERFACE_ID_BITS:
        raise InvalidValue("prefix", prefix, "it leaves less than 64 bits to the interface")
