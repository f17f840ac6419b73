"""The prefixes of one address scope, done naively: subnet pools, subnets and held prefixes.

Invariant: what is free is what a pool has less what is held, counted address by address.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.naive_terms import (
    Holder,
    Net,
    Plan,
    Pool,
    Run,
    Subnet,
    addresses,
    bearable,
    broken,
    inside,
    refused,
    runs,
    same_size,
    usable,
)


class NaiveForest:
    """The subnet pools of a scope, with the prefixes held from them, and its subnets."""

    def __init__(self) -> None:
        self.subnets: dict[str, Subnet] = {}
        self.pools: dict[str, Pool] = {}

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
