"""`demo`: the plan of an invented enterprise, as commands.

Invariant: the same seed and size give the same commands; IPv4 and IPv6 are planned alike, and the
acquired company's prefixes overlap the corporate ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

from allotment.doors.exchange import demo_names as names
from allotment.doors.exchange.demo_names import Network
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    Method,
)
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix
from allotment.model.results import Status

AnyCommand = Command[Any]  # Any: whatever it answers


class Size(NamedTuple):
    """How large the plan is; `floors` and `links` of a site, at least and at most."""

    regions: int
    sites: int
    acquired: int
    floors: tuple[int, int]
    links: tuple[int, int]
    racks: int


SIZES: Final = {
    "full": Size(3, 8, 4, (5, 8), (8, 14), 48),
    "small": Size(1, 2, 1, (2, 2), (2, 2), 4),
}
_DOCUMENTATION_V6: Final = 0x20010DB8 << 96
_TEN: Final = 10 << 24
_SHARED: Final = Prefix("100.64.0.0/10")


class Site(NamedTuple):
    """A site: its IPv4 /16 and its IPv6 /48."""

    scope: str
    name: str
    four: Prefix
    six: Prefix

    def network(self, network: Network, octet: int) -> Prefix:
        """Where one of its IPv4 networks is."""
        first = self.four.first + (octet << 8) + network.offset
        return Prefix.of(4, first, network.length)

    def network_six(self, number: int) -> Prefix:
        """One of its /64."""
        return Prefix.of(6, self.six.first + (number << 64), 64)


class Plan:
    """The commands of one plan, in the order in which they can be done."""

    def __init__(self, seed: int, size: Size) -> None:
        self._random = Random(seed)  # noqa: S311 - a plan that can be made again, no secret
        self._size = size
        self._macs = 0

    def commands(self) -> Iterator[AnyCommand]:
        """All of it."""
        for name, description in names.PROJECTS.items():
            yield CreateProject(name=name, description=description)
        for name, description in names.SCOPES.items():
            yield CreateAddressScope(name=name, description=description)
        yield from self._corporate()
        yield from self._acquired()

    def _corporate(self) -> Iterator[AnyCommand]:
        scope = names.CORPORATE
        yield _pool(scope, "private", Prefix.of(4, _TEN, 8), "RFC 1918")
        yield _pool(scope, "world", Prefix.of(6, _DOCUMENTATION_V6, 32), "RFC 3849")
        for region in range(self._size.regions):
            word = names.REGIONS[region]
            four = Prefix.of(4, _TEN + ((region + 1) << 20), 12)
            six = Prefix.of(6, _DOCUMENTATION_V6 + ((region + 1) << 88), 40)
            yield _pool(scope, word, four, f"sites in the {word}")
            yield _pool(scope, f"{word} IPv6", six, f"sites in the {word}")
            for place in range(self._size.sites):
                name = names.SITES[region * self._size.sites + place]
                yield from self._site(_site_in(scope, name, (four, six), place))
        yield from self._data_centres()
        yield from self._edge()

    def _acquired(self) -> Iterator[AnyCommand]:
        """The same private space, in a scope of its own."""
        scope = names.ACQUIRED
        four = Prefix.of(4, _TEN, 8)
        unique = self._random.getrandbits(40)
        six = Prefix.of(6, 0xFD << 120 | unique << 80, 48)
        yield _pool(scope, "private", four, "RFC 1918")
        yield _pool(scope, "unique local", six, "RFC 4193")
        for place in range(self._size.acquired):
            name = names.ACQUIRED_SITES[place]
            own = Prefix.of(4, four.first + ((16 + place) << 16), 16)
            own_six = Prefix.of(6, six.first + ((place + 1) << 72), 56)
            yield from self._site(Site(scope, name, own, own_six))

    def _site(self, site: Site) -> Iterator[AnyCommand]:
        yield _pool(site.scope, site.name, site.four, "")
        yield _pool(site.scope, f"{site.name} IPv6", site.six, "")
        yield from self._links(site)
        for network in names.OF_A_SITE:
            yield from self._network(site, network, network.octet, network.name)
        for floor in range(self._random.randint(*self._size.floors)):
            for network in names.OF_A_FLOOR:
                octet = names.FLOOR_FIRST + floor * names.FLOOR_STEP + network.octet
                yield from self._network(site, network, octet, f"floor {floor} {network.name}")

    def _network(self, site: Site, network: Network, octet: int, name: str) -> Iterator[AnyCommand]:
        """One network in both families, and what is held in it."""
        four, six = site.network(network, octet), site.network_six(octet)
        common: dict[str, Any] = {  # Any: fields of the command
            "scope": site.scope,
            "project": network.project,
            "placement": network.placement,
            "quarantine_seconds": 3600 if network.name in names.LEASED else 0,
            "tags": (f"site:{site.name}", f"role:{network.name}", f"vlan:{network.vlan}"),
        }
        first = four.first + max(network.first_free, 2)
        pool = AddressRange.of(4, first, four.last - 1)
        yield CreateSubnet(prefix=four, ranges=(pool,), name=f"{site.name} {name}", **common)
        yield CreateSubnet(prefix=six, name=f"{site.name} {name} IPv6", **common)
        if network.first_free:
            yield _reserved(site.scope, four, network.first_free - 2)
        held = pool.size * self._random.randint(*network.filled) // 100
        if network.name == "servers":
            yield from self._servers(site, (four, six), held)
        elif held:
            yield AllocateAddresses(
                subnet=str(four),
                scope=site.scope,
                count=held,
                owner=network.project,
                description=network.name,
            )

    def _servers(
        self, site: Site, places: tuple[Prefix, Prefix], count: int
    ) -> Iterator[AnyCommand]:
        """Machines with a name, a MAC and an address of each family."""
        four, six = places
        for number in range(count):
            word = names.HOSTS[self._random.randrange(len(names.HOSTS))]
            common: dict[str, Any] = {  # Any: fields of the command
                "scope": site.scope,
                "owner": "platform",
                "hostname": f"{word}{number + 1:02}.{site.name}.example.net",
                "mac": self._mac(),
                "identifier": f"demo:{site.name}:{word}{number + 1:02}",
            }
            yield AllocateAddress(subnet=str(four), **common)
            yield AllocateAddress(subnet=str(six), method=Method.EUI_64, **common)

    def _mac(self) -> Mac:
        """A locally administered MAC, each only once."""
        self._macs += 1
        octets = (0x02 << 40 | self._macs).to_bytes(6, "big")
        return Mac(octets.hex(":"))

    def _links(self, site: Site) -> Iterator[AnyCommand]:
        """Point-to-point links: a /31 and a /127 with both ends held."""
        four = Prefix.of(4, site.four.first, 24)
        six = site.network_six(0)
        yield _pool(site.scope, f"{site.name} links", four, "point to point", 31)
        yield _pool(site.scope, f"{site.name} links IPv6", six, "point to point", 127)
        for number in range(self._random.randint(*self._size.links)):
            for pool in (four, six):
                length = pool.bits - 1
                prefix = Prefix.of(pool.family, pool.first + 2 * number, length)
                yield CreateSubnet(
                    scope=site.scope,
                    prefix=prefix,
                    project="network",
                    tags=(f"site:{site.name}", "role:link"),
                )
                for end, router in enumerate(("core", f"edge{number + 1:02}")):
                    yield AllocateAddress(
                        subnet=str(prefix),
                        scope=site.scope,
                        address=Address.of(pool.family, prefix.first + end),
                        owner="network",
                        hostname=f"{router}.{site.name}.example.net",
                    )

    def _data_centres(self) -> Iterator[AnyCommand]:
        """Racks of servers; the containers on them get prefixes of their own."""
        scope = names.CORPORATE
        for number, name in enumerate(("granite", "basalt")):
            four = Prefix.of(4, _TEN + ((192 + number) << 16), 16)
            six = Prefix.of(6, _DOCUMENTATION_V6 + ((0xDC00 + number) << 80), 48)
            yield _pool(scope, f"{name} data centre", four, "racks", 26)
            yield _pool(scope, f"{name} data centre IPv6", six, "racks", 64)
            site = Site(scope, name, four, six)
            for rack in range(self._size.racks):
                yield from self._rack(site, rack)
            yield from self._clusters(site)

    def _rack(self, site: Site, rack: int) -> Iterator[AnyCommand]:
        network = Network(
            "servers", rack, 0, 26, 1000 + rack, "platform", (5, 20) if rack else (96, 100)
        )
        yield from self._network(
            site._replace(name=f"{site.name}-r{rack + 1:02}"), network, rack, "servers"
        )

    def _clusters(self, site: Site) -> Iterator[AnyCommand]:
        pods = Prefix.of(4, site.four.first + (128 << 8), 17)
        yield _pool(site.scope, f"{site.name} containers", pods, "a /24 for each node", 24)
        for node in range(self._random.randint(6, 24)):
            yield AllocatePrefix(
                pool=str(pods),
                scope=site.scope,
                length=24,
                owner="platform",
                identifier=f"demo:{site.name}:node{node + 1:02}",
            )

    def _edge(self) -> Iterator[AnyCommand]:
        """What the world sees, and the guests."""
        scope = names.CORPORATE
        for number, text in enumerate(names.DMZ):
            whole = Prefix(text)
            yield _pool(scope, f"internet {number + 1}", whole, "RFC 5737", 28)
            for part in range(self._random.randint(3, 12)):
                prefix = Prefix.of(4, whole.first + 16 * part, 28)
                yield CreateSubnet(scope=scope, prefix=prefix, project="platform", tags=("dmz",))
                yield AllocateAddresses(
                    subnet=str(prefix),
                    scope=scope,
                    count=self._random.randint(1, 13),
                    owner="platform",
                    description="public service",
                )
        yield _pool(scope, "guests", _SHARED, "RFC 6598", 24)
        for number in range(self._size.regions * self._size.sites):
            prefix = Prefix.of(4, _SHARED.first + (number << 8), 24)
            full = number % 6 == 0
            yield CreateSubnet(
                scope=scope,
                prefix=prefix,
                name=f"{names.SITES[number]} guests",
                project="visitors",
                quarantine_seconds=600,
                tags=(f"site:{names.SITES[number]}", "role:guests"),
            )
            yield AllocateAddresses(
                subnet=str(prefix),
                scope=scope,
                owner="visitors",
                count=self._random.randint(245, 253) if full else self._random.randint(5, 60),
            )


def _site_in(scope: str, name: str, region: tuple[Prefix, Prefix], place: int) -> Site:
    four = Prefix.of(4, region[0].first + (place << 16), 16)
    six = Prefix.of(6, region[1].first + ((place + 1) << 80), 48)
    return Site(scope, name, four, six)


def _pool(
    scope: str, name: str, prefix: Prefix, description: str, default_length: int | None = None
) -> CreateSubnetPool:
    return CreateSubnetPool(
        scope=scope,
        name=name,
        prefixes=(prefix,),
        description=description,
        default_length=default_length,
    )


def _reserved(scope: str, prefix: Prefix, count: int) -> AllocateAddresses:
    """The addresses behind the gateway, set aside for network equipment."""
    return AllocateAddresses(
        subnet=str(prefix),
        scope=scope,
        count=count,
        contiguous=True,
        first=Address.of(4, prefix.first + 2),
        status=Status.RESERVED,
        owner="network",
        description="network equipment",
    )
