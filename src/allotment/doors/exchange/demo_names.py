"""What the demo's enterprise is called, and which networks its sites have.

Invariant: every name is invented; every prefix is private, shared or documentation space.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from allotment.model.results import AddressPlacement

CORPORATE: Final = "corporate"
ACQUIRED: Final = "acquired"
SCOPES: Final = {
    CORPORATE: "the enterprise's own network",
    ACQUIRED: "a company bought last year: it uses 10.0.0.0/8 too",
}
PROJECTS: Final = {
    "network": "routers, switches, links",
    "workplace": "desks, phones, printers",
    "platform": "servers and containers",
    "facilities": "cameras, doors, heating",
    "production": "machines on the shop floor",
    "visitors": "guest access",
}
REGIONS: Final = ("north", "south", "overseas")
SITES: Final = (
    *("amberfield", "brackenholt", "coldharrow", "dunmarrow", "eastwyke", "fallowmere"),
    *("greyweir", "hollowbrook", "ironleigh", "juniper-cross", "kestrel-point", "larkmoor"),
    *("mistral-quay", "northgarth", "oxendown", "pinehollow", "quarrybank", "rookstead"),
    *("saltmarsh", "thornaby-vale", "umberdale", "vixen-hill", "wethercote", "yarrowfold"),
)
ACQUIRED_SITES: Final = ("tollgate", "weir-lane", "old-foundry", "canal-wharf")


class Network(NamedTuple):
    """A kind of network that every site has.

    `octet` and `offset` place it in the site's IPv4 /16; `octet` is its number in IPv6. `filled`
    is how many percent of its addresses are held, at least and at most; `first_free` is where its
    allocation pool begins, with the addresses below set aside for network equipment.
    """

    name: str
    octet: int
    offset: int
    length: int
    vlan: int
    project: str
    filled: tuple[int, int]
    first_free: int = 0
    placement: AddressPlacement = AddressPlacement.LOWEST


_LRU: Final = AddressPlacement.LEAST_RECENTLY_USED
OF_A_SITE: Final = (
    Network("management", 1, 64, 26, 10, "network", (40, 80)),
    Network("servers", 2, 0, 24, 20, "platform", (3, 8)),
    Network("printers", 4, 0, 26, 40, "workplace", (60, 100)),
    Network("cameras", 6, 0, 25, 41, "facilities", (10, 30)),
    Network("sensors", 5, 0, 24, 50, "production", (5, 20), 0, AddressPlacement.RANDOM),
)
# Octets count from the floor's own first one.
OF_A_FLOOR: Final = (
    Network("data", 0, 0, 24, 100, "workplace", (5, 25), 20),
    Network("voice", 1, 0, 24, 200, "workplace", (5, 15), 20),
    Network("wifi", 2, 0, 23, 300, "workplace", (2, 8), 20, _LRU),
)
FLOOR_FIRST: Final = 16
FLOOR_STEP: Final = 8
LEASED: Final = ("data", "voice", "wifi")
HOSTS: Final = ("app", "build", "cache", "db", "files", "git", "ldap", "mail", "proxy", "web")
DMZ: Final = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
