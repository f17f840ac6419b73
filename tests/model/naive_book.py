"""The book of addresses, done naively: sets of integers and the standard library's networks.

Invariant: nothing of the product is imported, and nothing is clever: what is free is what a pool
has less what is held, counted address by address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
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


class NaiveBook:
    """One address scope."""

    def __init__(self) -> None:
        self.subnets: dict[str, Subnet] = {}
        self.pools: dict[str, Pool] = {}

    def copy(self) -> NaiveBook:
        return deepcopy(self)

    # --- the forest

    def nodes(self) -> list[tuple[str, str, Net]]:
        """Everything that occupies a prefix: its kind, its holder (of an allocation: the pool)."""
        found: list[tuple[str, str, Net]] = []
        for pool in self.pools.values():
            found += [("pool", pool.name, net) for net in pool.nets]
            found += [("allocation", pool.name, net) for net in pool.held]
        return found + [("subnet", one.name, one.net) for one in self.subnets.values()]

    def parent_of(self, net: Net) -> str | None:
        """The subnet pool that has the smallest prefix around (or equal to) this one."""
        around = [(len(addresses(own)), name) for name, own in self.pool_nets() if inside(net, own)]
        return min(around)[1] if around else None

    def pool_nets(self) -> list[tuple[str, Net]]:
        return [(pool.name, net) for pool in self.pools.values() for net in pool.nets]

    def free_blocks(self, name: str) -> list[set[int]]:
        """Of each prefix of a subnet pool, what is neither a child's nor held."""
        pool = self.pools[name]
        taken: set[int] = set()
        for held in self.below(name):
            if held.version == pool.nets[0].version:
                taken |= addresses(held)
        return [addresses(net) - taken for net in pool.nets]

    def below(self, name: str) -> list[Net]:
        """The prefixes carved from a subnet pool."""
        pool = self.pools[name]
        carved = [net for child in self.children(name) for net in child.nets]
        carved += [one.net for one in self.subnets.values() if one.pool == name]
        return carved + list(pool.held)

    def children(self, name: str) -> list[Pool]:
        return [pool for pool in self.pools.values() if pool.parent == name]

    def carved(self, name: str, length: int, placement: str) -> Net | None:
        """The prefix that a subnet pool gives next."""
        pool = self.pools[name]
        bits = 32 if pool.nets[0].version == 4 else 128
        extents = []
        for free in self.free_blocks(name):
            extents += [self._cidrs(pool.nets[0], run) for run in runs(free)]
        want = 1 << (bits - length)
        extents = sorted(
            ([c for c in cidrs if c.num_addresses >= want] for cidrs in extents),
            key=lambda cidrs: int(cidrs[0].network_address) if cidrs else 0,
        )
        extents = [cidrs for cidrs in extents if cidrs]
        if not extents:
            return None
        if placement == "best-fit":  # the extent whose largest block is smallest; there, likewise
            extents.sort(key=lambda cidrs: max(c.num_addresses for c in cidrs))
            chosen = min(extents[0], key=lambda c: c.num_addresses)
        elif placement == "sparse":
            every = [c for cidrs in extents for c in cidrs]
            chosen = max(every, key=lambda c: c.num_addresses)
        else:
            chosen = extents[0][0]
        return same_size(chosen, int(chosen.network_address), length)

    def _cidrs(self, like: Net, run: Run) -> list[Net]:
        """A run as the largest aligned blocks, greedily."""
        bits = 32 if like.version == 4 else 128
        first, last = run
        found: list[Net] = []
        while first <= last:
            size = 1
            while first % (size * 2) == 0 and first + size * 2 - 1 <= last:
                size *= 2
            found.append(same_size(like, first, bits - size.bit_length() + 1))
            first += size
        return found

    # --- subnet pools

    def create_pool(self, name: str, nets: Sequence[Net], parent: str | None) -> Plan:
        errors = set()
        for net in nets:
            if any(net is not other and net.overlaps(other) for other in nets):
                return refused("invalid-value")
            for kind, _, other in self.nodes():
                if (kind != "pool" and inside(net, other)) or (kind == "pool" and net == other):
                    errors.add("overlap")
        parents = {self.parent_of(net) for net in nets}
        if len(parents) > 1 or (parent is not None and parents != {parent}):
            errors.add("invalid-value")
        above = next(iter(parents))
        adopted = [
            pool
            for pool in self.pools.values()
            if pool.parent == above and any(inside(one, net) for one in pool.nets for net in nets)
        ]
        for pool in adopted:
            if not any(all(inside(one, net) for one in pool.nets) for net in nets):
                errors.add("overlap")
        if errors:
            return refused(*errors)

        def enter(_: Any) -> None:
            made = Pool(name, list(nets), above)
            for pool in adopted:
                pool.parent = name
            for one in self.subnets.values():
                if one.pool == above and any(inside(one.net, net) for net in nets):
                    one.pool = name
            if above is not None:
                mine = self.pools[above].held
                for held in [h for h in mine if any(inside(h, net) for net in nets)]:
                    made.held[held] = mine.pop(held)
            self.pools[name] = made

        return Plan(set(), enter)

    def delete_pool(self, name: str, *, cascade: bool) -> Plan:
        if self.below(name) and not cascade:
            return refused("in-use")

        def enter(_: Any) -> None:
            self._drop(name)

        return Plan(set(), enter)

    def _drop(self, name: str) -> None:
        for child in self.children(name):
            self._drop(child.name)
        for one in [one.name for one in self.subnets.values() if one.pool == name]:
            del self.subnets[one]
        del self.pools[name]

    def allocate_prefix(
        self, name: str, net: Net | None, length: int, placement: str, holder: Holder
    ) -> Plan:
        """Hold a prefix: this one, or any of a length."""
        pool = self.pools[name]
        before = [
            (own, one)
            for own, one in pool.held.items()
            if holder.identifier is not None and one.identifier == holder.identifier
        ]
        if before:
            own, one = before[0]
            if net not in (None, own) or (net is None and length != own.prefixlen):
                return refused("identifier-taken")

            def same(answer: Any) -> None:
                assert answer in (None, (own, one.id)), f"{answer} is not what {one} holds"

            return Plan(set(), same)
        if net is not None:
            if not any(inside(net, own) for own in pool.nets):
                return refused("invalid-value")
            if not any(addresses(net) <= free for free in self.free_blocks(name)):
                return refused("overlap")
            chosen = net
        else:
            found = self.carved(name, length, placement)
            if found is None:
                return refused("pool-exhausted")
            chosen = found

        def enter(answer: Any) -> None:
            if answer is not None:
                assert answer[0] == chosen, f"{answer[0]} was given, {chosen} was due"
                holder.id = answer[1]
            pool.held[chosen] = holder

        return Plan(set(), enter)

    def release_prefix(self, name: str, net: Net, wanted: Any) -> Plan:
        pool = self.pools[name]
        if net not in pool.held:
            return refused("not-found")
        if wanted not in (None, pool.held[net].id):
            return refused("stale-allocation")

        def enter(answer: Any) -> None:
            assert answer in (None, 1)
            del pool.held[net]

        return Plan(set(), enter)

    # --- subnets

    def create_subnet(
        self,
        made: Subnet,
        *,
        net: Net | None,
        length: int = 0,
        how: str = "lowest",
        ranges: Sequence[Run] | None = None,
        default_gateway: bool = True,
    ) -> Plan:
        """Enter a subnet of a prefix, or carved from its pool; the rest is said by `made`."""
        if net is None:
            assert made.pool is not None
            net = self.carved(made.pool, length, how)
            if net is None:
                return refused("pool-exhausted")
        else:
            errors = set()
            for kind, _, other in self.nodes():
                blocks = inside(net, other) if kind != "pool" else False
                if blocks or (inside(other, net) and not (kind == "pool" and other == net)):
                    errors.add("overlap")
            parent = self.parent_of(net)
            if made.pool is not None and made.pool != parent:
                errors.add("invalid-value")
            made.pool = parent
            if made.gateway in addresses(net) - bearable(net):
                errors.add("invalid-value")
            if errors:
                return refused(*errors)
        made.net = net
        if default_gateway:
            made.gateway = min(usable(net)) if net.num_addresses > 2 else None
        if ranges is None:
            made.pools = usable(net) - {made.gateway}
        elif broken(net, made.gateway, ranges):
            return refused("invalid-value")
        else:
            made.pools = {value for first, last in ranges for value in range(first, last + 1)}

        def enter(answer: Any) -> None:
            if answer is not None:
                assert answer[1:] == (made.net, made.gateway, runs(made.pools)), answer
                made.id = answer[0]
            self.subnets[made.name] = made

        return Plan(set(), enter)

    def delete_subnet(self, name: str, *, cascade: bool) -> Plan:
        count = len(self.subnets[name].held)
        if count and not cascade:
            return refused("in-use")

        def enter(answer: Any) -> None:
            assert answer in (None, count)
            del self.subnets[name]

        return Plan(set(), enter)

    def update_pools(self, name: str, ranges: Sequence[Run]) -> Plan:
        one = self.subnets[name]
        if broken(one.net, one.gateway, ranges):
            return refused("invalid-value")
        new = {value for first, last in ranges for value in range(first, last + 1)}
        added, removed = new - one.pools, one.pools - new

        def enter(answer: Any) -> None:
            outside = len(removed & set(one.held))
            if answer is not None:
                assert answer == (runs(new), runs(added), runs(removed), outside), answer
            one.pools = new
            one.resting &= new

        return Plan(set(), enter)

    # --- addresses

    def allocate(
        self,
        names: Sequence[str],
        holder: Holder,
        *,
        address: int | None = None,
        method: str = "any",
        placement: str | None = None,
    ) -> Plan:
        """Hold one address of the first of some subnets that gives one."""
        if address is not None and (len(names) > 1 or method != "any" or placement is not None):
            return refused("invalid-value")
        if method == "next" and placement is not None:
            return refused("invalid-value")
        for name in names:
            at = self.subnets[name].identified(holder.identifier)
            if at is not None:
                return self._again(name, at, address)
        if address is not None:
            return self._specific(self.subnets[names[0]], address, holder)
        one = next((self.subnets[name] for name in names if self.subnets[name].free), None)
        if one is None:
            return refused("pool-exhausted")
        how = "lowest" if method == "next" else placement or one.placement
        allowed = {min(one.free)} if how == "lowest" else one.free
        return self._giving(one, allowed, holder)

    def _again(self, name: str, at: int, address: int | None) -> Plan:
        if address not in (None, at):
            return refused("identifier-taken")
        one = self.subnets[name]

        def same(answer: Any) -> None:
            assert answer in (None, (one.id, at, one.held[at].id)), answer

        return Plan(set(), same)

    def _specific(self, one: Subnet, address: int, holder: Holder) -> Plan:
        if address not in bearable(one.net):
            return refused("invalid-value")
        if address in one.held or address in one.resting:
            return refused("address-taken")
        return self._giving(one, {address}, holder)

    def _giving(self, one: Subnet, allowed: set[int], holder: Holder) -> Plan:
        def enter(answer: Any) -> None:
            if answer is None:
                assert len(allowed) == 1, "only a certain answer can be foreseen"
                value = min(allowed)
            else:
                subnet_id, value, holder.id = answer
                assert subnet_id == one.id
                assert value in allowed, f"{value} was given, of {sorted(allowed)}"
            one.held[value] = holder

        return Plan(set(), enter)

    def allocate_many(
        self, name: str, count: int, owner: str | None, *, contiguous: bool, first: int | None
    ) -> Plan:
        """Hold several addresses, all or none."""
        one = self.subnets[name]
        if first is not None:
            wanted = set(range(first, first + count))
            if not {min(wanted), max(wanted)} <= usable(one.net):
                return refused("invalid-value")
            if wanted & (set(one.held) | one.resting):
                return refused("address-taken")
            choices = [wanted]
        elif contiguous:
            starts = (n for n in sorted(one.free) if set(range(n, n + count)) <= one.free)
            choices = [set(range(n, n + count)) for n in starts]
        else:
            choices = [set(sorted(one.free)[:count])] if len(one.free) >= count else []
        if not choices:
            return refused("pool-exhausted")

        def enter(answer: Any) -> None:
            given = choices[0]
            ids: list[Any] = [None] * count
            if answer is not None:
                given, ids = answer
                assert given in choices, f"{sorted(given)} was given"
            for value, made in zip(sorted(given), ids, strict=True):
                one.held[value] = Holder(made, owner)

        return Plan(set(), enter)

    def update(self, name: str, address: int, wanted: Any, changes: dict[str, Any]) -> Plan:
        """Change what is said about a held address."""
        one = self.subnets[name]
        holder = one.held.get(address)
        if holder is None:
            return refused("not-found")
        if wanted not in (None, holder.id):
            return refused("stale-allocation")
        if one.identified(changes.get("identifier")) not in (None, address):
            return refused("identifier-taken")

        def enter(answer: Any) -> None:
            for field_, value in changes.items():
                setattr(holder, field_, value)
            assert answer in (None, holder.facts()), answer

        return Plan(set(), enter)

    def release(self, name: str, values: Sequence[int], wanted: Any = None) -> Plan:
        """Give some addresses back, all or none."""
        one = self.subnets[name]
        if not set(values) <= addresses(one.net):
            return refused("invalid-value")
        if not set(values) <= set(one.held):
            return refused("not-found")
        if wanted is not None and one.held[values[0]].id != wanted:
            return refused("stale-allocation")

        def enter(answer: Any) -> None:
            assert answer in (None, len(set(values))), answer
            for value in set(values):
                one.release(value)

        return Plan(set(), enter)

    def release_matching(self, name: str | None, owner: str | None, identifier: str | None) -> Plan:
        """Give back what an owner or an identifier holds, in one subnet or in all."""
        where = list(self.subnets.values()) if name is None else [self.subnets[name]]
        found = [
            (one, at)
            for one in where
            for at, holder in one.held.items()
            if (owner is not None and holder.owner == owner)
            or (identifier is not None and holder.identifier == identifier)
        ]
        if not found and identifier is not None:
            return refused("not-found")

        def enter(answer: Any) -> None:
            assert answer in (None, len(found)), answer
            for one, at in found:
                one.release(at)

        return Plan(set(), enter)
