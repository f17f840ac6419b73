"""What the examples are drawn from: prefixes, allocation pools, owners and identifiers.

Invariant: space is scarce: collisions and exhaustion are the point.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from ipaddress import ip_network
from itertools import count

import hypothesis.strategies as st

from allotment import Address, Prefix, local_owner
from allotment.model.results import AddressPlacement, PrefixPlacement
from model.naive_terms import Net, Run, runs, usable

ME = local_owner()
OWNERS = ("alpha", "beta")
SPAN = 128  # addresses of each family: collisions and exhaustion are the point
BASE = {4: int(Address("10.0.0.0").value), 6: int(Address("2001:db8::").value)}
NO_ID = "00000000-0000-4000-8000-000000000000"

numbers = count()
picks = st.integers(0, 1 << 16)
owners = st.sampled_from([None, *OWNERS])
identifiers = st.sampled_from([None, None, None, "a", "b", "c"])
prefix_placements = st.sampled_from(list(PrefixPlacement))
address_placements = st.sampled_from(list(AddressPlacement))


def net_of(prefix: Prefix) -> Net:
    return ip_network(str(prefix))


@st.composite
def prefixes(draw: st.DrawFn, *, smallest: int = 0, largest: int = 6) -> Prefix:
    """A prefix of 2^smallest to 2^largest addresses, of either family."""
    family = draw(st.sampled_from([4, 4, 6]))
    bits = draw(st.integers(smallest, largest))
    first = BASE[family] + (draw(st.integers(0, SPAN - 1)) >> bits << bits)
    return Prefix.of(family, first, (32 if family == 4 else 128) - bits)


def split(values: Sequence[int], how: int) -> list[Run]:
    """Addresses as ranges: cut at random, in random order."""
    chance = random.Random(how)
    ranges = []
    for first, last in runs(values):
        at = first
        while at <= last:
            end = chance.randint(at, last)
            ranges.append((at, end))
            at = end + 1
    chance.shuffle(ranges)
    return ranges


def ranges_of(net: Net, gateway: int | None, how: int) -> list[Run]:
    """Random allocation pools of a network, which sometimes break a rule."""
    chance = random.Random(how)
    allowed = sorted(usable(net) - {gateway})
    if not chance.randrange(12):
        allowed = sorted({*allowed, int(net.network_address), int(net[-1])})
    picked = [value for value in allowed if chance.random() < 0.85][chance.randrange(4) :]
    ranges = split(picked, how)
    if ranges and not chance.randrange(15):
        ranges.append(ranges[0])
    return ranges
