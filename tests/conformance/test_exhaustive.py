"""Every small pool and every edge, filled until it refuses: exactly then, and for no other reason.

Invariant: a pool gives each of its addresses once, refuses the next, and gives again exactly the
one that came back; likewise a subnet pool its prefixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from allotment import Address, AddressRange, LocalDesk, Prefix
from allotment.errors import PoolExhausted
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
    Method,
    ReleaseAddress,
    ReleasePrefix,
)
from allotment.model.queries import CheckBook, GetUtilisation
from allotment.model.results import AddressPlacement, PrefixPlacement, Subnet

ALL_SIZES = range(65)
SOME_SIZES = (0, 1, 2, 3, 7, 8, 63, 64)
FIRST = "10.0.0.32"

# A prefix; its allocation pools, or None for those it has by itself; the addresses they hold.
EDGES: tuple[tuple[str, tuple[str, ...] | None, tuple[str, ...]], ...] = (
    ("10.0.0.0/31", None, ("10.0.0.0", "10.0.0.1")),
    ("10.0.0.7/32", None, ("10.0.0.7",)),
    ("10.0.0.4/30", None, ("10.0.0.6",)),
    ("2001:db8::2/127", None, ("2001:db8::2", "2001:db8::3")),
    ("2001:db8::5/128", None, ("2001:db8::5",)),
    ("2001:db8::4/126", None, ("2001:db8::6", "2001:db8::7")),
    ("0.0.0.0/32", None, ("0.0.0.0",)),
    ("0.0.0.0/31", None, ("0.0.0.0", "0.0.0.1")),
    ("0.0.0.0/30", None, ("0.0.0.2",)),
    ("255.255.255.255/32", None, ("255.255.255.255",)),
    ("255.255.255.254/31", None, ("255.255.255.254", "255.255.255.255")),
    ("255.255.255.252/30", None, ("255.255.255.254",)),
    (
        "0.0.0.0/0",
        ("255.255.255.253-255.255.255.254", "0.0.0.2-0.0.0.3", "127.255.255.255-128.0.0.0"),
        (
            "0.0.0.2",
            "0.0.0.3",
            "127.255.255.255",
            "128.0.0.0",
            "255.255.255.253",
            "255.255.255.254",
        ),
    ),
    ("::/128", None, ("::",)),
    ("::/127", None, ("::", "::1")),
    ("::/126", None, ("::2", "::3")),
    (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
        None,
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",),
    ),
    (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127",
        None,
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ),
    (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126",
        None,
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ),
    (
        "::/0",
        (
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::2-::3",
        ),
        ("::2", "::3", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ),
    (
        "2001:db8::/64",
        ("2001:db8::7fff:ffff:ffff:fffe-2001:db8::8000:0:0:1",),
        (
            "2001:db8::7fff:ffff:ffff:fffe",
            "2001:db8::7fff:ffff:ffff:ffff",
            "2001:db8::8000:0:0:0",
            "2001:db8::8000:0:0:1",
        ),
    ),
    (
        "2001:db8::/64",
        ("2001:db8::ffff:ffff:ffff:fffd-2001:db8::ffff:ffff:ffff:ffff",),
        (
            "2001:db8::ffff:ffff:ffff:fffd",
            "2001:db8::ffff:ffff:ffff:fffe",
            "2001:db8::ffff:ffff:ffff:ffff",
        ),
    ),
)


class Way:
    """A way to ask for an address: by the subnet's placement, by one's own, or the next."""

    def __init__(self, placement: AddressPlacement, /, **asked: Any) -> None:
        self.placement = placement
        self.asked = asked
        own = asked.get("placement", placement)
        self.in_order = own is AddressPlacement.LOWEST or "method" in asked

    def __str__(self) -> str:
        return ", ".join((f"subnet {self.placement}", *map(str, self.asked.values())))


WAYS = (
    *(Way(placement) for placement in AddressPlacement),
    *(
        Way(AddressPlacement.LOWEST, placement=placement)
        for placement in AddressPlacement
        if placement is not AddressPlacement.LOWEST
    ),
    Way(AddressPlacement.RANDOM, method=Method.NEXT),
    Way(AddressPlacement.LEAST_RECENTLY_USED, method=Method.NEXT),
)


class Room:
    """A book: one address scope after another, all of them checked at the end."""

    def __init__(self, desk: LocalDesk, me: Actor, way: Way | None = None) -> None:
        self.do: Callable[[Any], Any] = lambda command: desk.do(command, me)
        self.ask: Callable[[Any], Any] = lambda query: desk.ask(query, me)
        self.way = way or WAYS[0]
        self.scopes = 0

    def __enter__(self) -> Room:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            assert self.ask(CheckBook()).faults == ()

    def new_scope(self) -> str:
        """Where nothing else is."""
        self.scopes += 1
        name = f"room {self.scopes}"
        self.do(CreateAddressScope(name=name))
        return name

    def subnet(self, prefix: str, ranges: tuple[str, ...] | None) -> Subnet:
        wanted = CreateSubnet(
            scope=self.new_scope(),
            prefix=Prefix(prefix),
            ranges=UNSET if ranges is None else tuple(map(AddressRange, ranges)),
            placement=self.way.placement,
        )
        made: Subnet = self.do(wanted)
        return made

    def fill(self, subnet: Subnet, due: tuple[str, ...]) -> None:
        """Take every address, be refused, give one back, get that one, be refused again."""
        name = str(subnet.id)
        wish = AllocateAddress(subnet=name, **self.way.asked)
        got = [str(self.do(wish).address) for _ in due]
        wanted = [str(Address(address)) for address in due]
        assert (got if self.way.in_order else sorted(got, key=_value)) == wanted
        self.refuses(wish)
        if due:
            again = Address(due[len(due) // 2])
            self.do(ReleaseAddress(subnet=name, address=again))
            self.uses(name, held=len(due) - 1)
            assert self.do(wish).address == again
            self.refuses(wish)
        self.uses(name, held=len(due))

    def refuses(self, wish: Any) -> None:
        with pytest.raises(PoolExhausted):
            self.do(wish)

    def uses(self, name: str, *, held: int) -> None:
        told = self.ask(GetUtilisation(containers=(name,))).items[0]
        assert (told.held, told.free) == (held, told.pool_size - held)


def _value(address: str) -> int:
    return Address(address).value


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_pool_of_any_size_gives_each_address_once(
    desk: LocalDesk, me: Actor, database_url: str, way: Way
) -> None:
    sizes = ALL_SIZES if database_url == "sqlite://" else SOME_SIZES
    with Room(desk, me, way) as room:
        for size in sizes:
            due = tuple(str(Address(FIRST) + n) for n in range(size))
            subnet = room.subnet("10.0.0.0/25", (f"{due[0]}-{due[-1]}",) if due else ())
            room.fill(subnet, due)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_edge_gives_each_address_once(desk: LocalDesk, me: Actor, way: Way) -> None:
    with Room(desk, me, way) as room:
        for prefix, ranges, due in EDGES:
            room.fill(room.subnet(prefix, ranges), due)


@pytest.mark.parametrize("placement", PrefixPlacement)
@pytest.mark.parametrize(
    "prefix",
    [
        "10.0.0.16/28",
        "0.0.0.0/28",
        "255.255.255.240/28",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
    ],
    ids=["middle", "first", "last", "last of IPv6"],
)
def test_a_subnet_pool_gives_each_prefix_once(
    desk: LocalDesk, me: Actor, prefix: str, placement: PrefixPlacement
) -> None:
    whole = Prefix(prefix)
    with Room(desk, me) as room:
        for length in range(whole.length, whole.bits + 1):
            scope = room.new_scope()
            due = [Prefix.of(whole.family, first, length) for first in _steps(whole, length)]
            wish = AllocatePrefix(pool="pool", scope=scope, length=length, placement=placement)
            room.do(CreateSubnetPool(name="pool", scope=scope, prefixes=(whole,)))
            got = [room.do(wish).prefix for _ in due]
            assert (sorted(got) if placement is PrefixPlacement.SPARSE else got) == due
            room.refuses(wish)
            again = due[len(due) // 2]
            room.do(ReleasePrefix(pool="pool", scope=scope, prefix=again))
            assert room.do(wish).prefix == again
            room.refuses(wish)
            for one in due:
                room.do(ReleasePrefix(pool="pool", scope=scope, prefix=one))
            everything = AllocatePrefix(pool="pool", scope=scope, length=whole.length)
            assert room.do(everything).prefix == whole


def _steps(whole: Prefix, length: int) -> range:
    return range(whole.first, whole.last + 1, 1 << (whole.bits - length))
