"""The subnet-router anycast address (RFC 4291, 2.6.1) is a router's: by name, never by itself."""

from __future__ import annotations

import pytest

from allotment import Address, AddressRange, Prefix
from allotment.desk import LocalDesk
from allotment.errors import AddressTaken, InvalidValue
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    CreateAddressScope,
    CreateSubnet,
    ReleaseAddress,
    UpdateSubnet,
)
from allotment.model.queries import CheckBook

ANYCAST = Address("2001:db8::")


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    desk.do(CreateAddressScope(name="blue"), me)
    desk.do(CreateSubnet(prefix=Prefix("2001:db8::/124"), name="six", gateway=ANYCAST), me)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="four"), me)
    return desk


def test_an_ipv6_gateway_may_have_it_and_an_ipv4_network_address_is_none(
    book: LocalDesk, me: Actor
) -> None:
    made = book.do(UpdateSubnet(subnet="six", gateway=Address("2001:db8::1:1")), me)
    assert made.gateway == Address("2001:db8::1:1")
    assert book.do(UpdateSubnet(subnet="six", gateway=ANYCAST), me).gateway == ANYCAST
    for edge in ("10.0.0.0", "10.0.0.255"):
        with pytest.raises(InvalidValue, match="no interface"):
            book.do(UpdateSubnet(subnet="four", gateway=Address(edge)), me)


def test_it_is_held_once_by_name_and_given_back(book: LocalDesk, me: Actor) -> None:
    made = book.do(AllocateAddress(subnet="six", address=ANYCAST), me)
    assert made.address == ANYCAST
    with pytest.raises(AddressTaken):
        book.do(AllocateAddress(subnet="six", address=ANYCAST), me)
    assert book.ask(CheckBook(), me).clean
    book.do(ReleaseAddress(subnet="six", address=ANYCAST), me)
    assert book.do(AllocateAddress(subnet="six", address=ANYCAST), me).id != made.id
    assert book.ask(CheckBook(), me).clean


def test_it_is_in_no_pool_and_no_bulk_and_never_any_address(book: LocalDesk, me: Actor) -> None:
    every = book.do(AllocateAddresses(subnet="six", count=15), me)
    assert every.ranges == (AddressRange("2001:db8::1-2001:db8::f"),)
    with pytest.raises(InvalidValue, match="anycast"):
        book.do(AllocateAddresses(subnet="six", count=2, contiguous=True, first=ANYCAST), me)
    with pytest.raises(InvalidValue, match="anycast"):
        book.do(
            CreateSubnet(
                prefix=Prefix("2001:db8:1::/64"),
                gateway=None,
                ranges=(AddressRange("2001:db8:1::-2001:db8:1::9"),),
            ),
            me,
        )
