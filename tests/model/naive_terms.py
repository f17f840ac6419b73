"""The terms of the naive book: sets of integers and the standard library's networks.

Invariant: nothing of the product is imported, and nothing is clever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any

Net = IPv4Network | IPv6Network
Run = tuple[int, int]


def addresses(net: Net) -> set[int]:
    """Every address of a network."""
    first = int(net.network_address)
    return set(range(first, first + net.num_addresses))


def inside(one: Net, other: Net) -> bool:
    """Whether one network is the other, or a part of it."""
    return one.version == other.version and addresses(one) <= addresses(other)


def usable(net: Net) -> set[int]:
    """The addresses that an interface may have."""
    every = addresses(net)
    if len(every) <= 2:
        return every
    return every - ({min(every), max(every)} if net.version == 4 else {min(every)})


def bearable(net: Net) -> set[int]:
    """The addresses that may be asked for by name: the anycast address of IPv6 routers, too."""
    return usable(net) | ({min(addresses(net))} if net.version == 6 else set())


def runs(values: Iterable[int]) -> list[Run]:
    """Addresses as the longest runs of neighbours."""
    found: list[Run] = []
    for value in sorted(values):
        if found and found[-1][1] + 1 == value:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, value))
    return found


def same_size(net: Net, first: int, length: int) -> Net:
    """The network of a length that begins at an address of the same family."""
    return type(net)((first, length))


@dataclass
class Holder:
    """Who holds something; an id of None is one that is not known yet."""

    id: Any
    owner: str | None = None
    identifier: str | None = None
    hostname: str | None = None

    def facts(self) -> tuple[Any, ...]:
        return self.id, self.owner, self.identifier, self.hostname


@dataclass
class Subnet:
    """A subnet with every address it holds, and those that rest after a release."""

    id: Any
    name: str
    net: Net
    pool: str | None
    gateway: int | None
    pools: set[int]
    placement: str
    rests: bool
    held: dict[int, Holder] = field(default_factory=dict)
    resting: set[int] = field(default_factory=set)

    @property
    def free(self) -> set[int]:
        return self.pools - set(self.held) - self.resting

    def release(self, value: int) -> None:
        del self.held[value]
        if self.rests and value in self.pools:
            self.resting.add(value)

    def identified(self, identifier: str | None) -> int | None:
        mine = (at for at, one in self.held.items() if one.identifier == identifier)
        return None if identifier is None else next(mine, None)


@dataclass
class Pool:
    """A subnet pool with the prefixes held from it."""

    name: str
    nets: list[Net]
    parent: str | None
    held: dict[Net, Holder] = field(default_factory=dict)


@dataclass
class Plan:
    """What a command must do: fail with one of these codes, or be entered by its answer.

    `enter` asserts that the answer is right; without one (None) it enters the only right answer.
    """

    errors: set[str]
    enter: Callable[[Any], None]


def refused(*codes: str) -> Plan:
    """The plan of a command that must fail."""

    def enter(answer: Any) -> None:
        raise AssertionError(f"{answer} was given where {codes} was due")

    return Plan(set(codes), enter)


def broken(net: Net, gateway: int | None, ranges: Sequence[Run]) -> bool:
    """Whether ranges may not be the allocation pools of a subnet."""
    listed = [value for first, last in ranges for value in range(first, last + 1)]
    forbidden = {gateway} if gateway is not None else set()
    return len(listed) != len(set(listed)) or not set(listed) <= usable(net) - forbidden
