"""The rules of the forest: subnet pools, subnets and prefixes are made, changed and removed.

Invariant: whatever overlaps, is held or is exhausted is refused, as the naive book says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import initialize, precondition, rule
from msgspec import UNSET

from allotment import Address, AddressRange, Prefix
from allotment.model.commands import (
    AllocatePrefix,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    DeleteSubnetPool,
    ReleasePrefix,
    UpdateAllocationPools,
)
from allotment.model.results import AddressPlacement, PrefixPlacement
from model.draws import (
    BASE,
    NO_ID,
    SPAN,
    address_placements,
    identifiers,
    net_of,
    owners,
    picks,
    prefix_placements,
    prefixes,
    ranges_of,
    split,
)
from model.machine import Machine
from model.naive_terms import Holder, Net, Run, Subnet, inside, usable


class ForestMachine(Machine):
    """The steps that change which prefixes there are, and who holds them."""

    @initialize(ranges=st.integers(0, 8), placement=address_placements)
    def begin(self, ranges: int, placement: AddressPlacement) -> None:
        """A pool and two subnets to begin with, so that every step has something to meet."""
        self.create_pool(Prefix("10.0.0.64/26"), None)
        self.create_subnet(
            Prefix("10.0.0.0/28"), "default", ranges, bool(ranges), placement, rests=False
        )
        self.create_subnet(Prefix("10.0.0.64/29"), "none", 1, False, placement, rests=False)

    @rule(prefix=prefixes(smallest=3, largest=7), more=st.none() | prefixes(smallest=2, largest=5))
    def create_pool(self, prefix: Prefix, more: Prefix | None) -> None:
        wanted = [prefix]
        if more is not None and more.family == prefix.family:
            wanted.append(more)
        name = self.name("pool")
        plan = self.book.create_pool(name, [net_of(one) for one in wanted], None)
        command = CreateSubnetPool(name=name, scope=self.scope, prefixes=tuple(wanted))
        self.step(command, plan, lambda answer: None)

    @precondition(lambda self: self.book.pools)
    @rule(pick=picks, prefix=prefixes(smallest=2, largest=6))
    def create_child_pool(self, pick: int, prefix: Prefix) -> None:
        name, parent = self.name("pool"), self.pool(pick)
        plan = self.book.create_pool(name, [net_of(prefix)], parent)
        command = CreateSubnetPool(name=name, scope=self.scope, prefixes=(prefix,), parent=parent)
        self.step(command, plan, lambda answer: None)

    @precondition(lambda self: len(self.book.pools) > 1)
    @rule(pick=picks, cascade=st.sampled_from([False, False, False, True]))
    def delete_pool(self, pick: int, cascade: bool) -> None:
        name = self.pool(pick)
        plan = self.book.delete_pool(name, cascade=cascade)
        command = DeleteSubnetPool(pool=name, scope=self.scope, cascade=cascade)
        self.step(command, plan, lambda answer: None)

    @rule(
        prefix=prefixes(largest=5),
        gate=st.sampled_from(["default", "default", "none", "last", "outside", "first"]),
        pick=picks,
        explicit=st.booleans(),
        placement=address_placements,
        rests=st.sampled_from([False, False, False, True]),
    )
    def create_subnet(
        self,
        prefix: Prefix,
        gate: str,
        pick: int,
        explicit: bool,
        placement: AddressPlacement,
        rests: bool,
    ) -> None:
        net = net_of(prefix)
        gateway = {
            "none": None,
            "default": min(usable(net)) if net.num_addresses > 2 else None,
            "last": int(max(usable(net))),
            "outside": BASE[prefix.family] + 2 * SPAN,
            "first": int(net.network_address),
        }[gate]
        ranges = ranges_of(net, gateway, pick) if explicit else None
        pool = self.pool(pick) if self.book.pools and pick % 5 == 0 else None
        name = self.name("subnet")
        made = Subnet(None, name, net, pool, gateway, set(), placement.value, rests)
        plan = self.book.create_subnet(made, net=net, ranges=ranges, default_gateway=False)
        command = CreateSubnet(
            scope=self.scope,
            pool=pool,
            prefix=prefix,
            name=name,
            gateway=(
                UNSET
                if gate == "default"
                else None
                if gateway is None
                else Address.of(prefix.family, gateway)
            ),
            ranges=(
                UNSET
                if ranges is None
                else tuple(AddressRange.of(prefix.family, *one) for one in ranges)
            ),
            placement=placement,
            quarantine_seconds=3600 if rests else 0,
        )
        self.step(command, plan, _subnet_told, key=pick % 7 == 0)

    @precondition(lambda self: self.book.pools)
    @rule(
        pick=picks,
        bits=st.integers(0, 5),
        how=prefix_placements,
        placement=address_placements,
        key=st.booleans(),
    )
    def carve_subnet(
        self,
        pick: int,
        bits: int,
        how: PrefixPlacement,
        placement: AddressPlacement,
        key: bool,
    ) -> None:
        pool = self.pool(pick)
        like = self.book.pools[pool].nets[0]
        length = like.max_prefixlen - bits
        name = self.name("subnet")
        made = Subnet(None, name, like, pool, None, set(), placement.value, rests=False)
        plan = self.book.create_subnet(made, net=None, length=length, how=how.value)
        command = CreateSubnet(
            scope=self.scope,
            pool=pool,
            length=length,
            prefix_placement=how,
            name=name,
            placement=placement,
        )
        self.step(command, plan, _subnet_told, key)

    @precondition(lambda self: len(self.book.subnets) > 1)
    @rule(pick=picks, cascade=st.sampled_from([False, False, True]))
    def delete_subnet(self, pick: int, cascade: bool) -> None:
        name = self.subnet(pick).name
        plan = self.book.delete_subnet(name, cascade=cascade)
        command = DeleteSubnet(subnet=name, scope=self.scope, cascade=cascade)
        self.step(command, plan, lambda answer: answer.contents["allocations"])

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, how=picks, same=st.booleans())
    def update_pools(self, pick: int, how: int, same: bool) -> None:
        one = self.subnet(pick)
        ranges = split(sorted(one.pools), how) if same else ranges_of(one.net, one.gateway, how)
        plan = self.book.update_pools(one.name, ranges)
        family = one.net.version
        command = UpdateAllocationPools(
            subnet=one.name,
            scope=self.scope,
            ranges=tuple(AddressRange.of(family, *run) for run in ranges),
        )
        self.step(
            command,
            plan,
            lambda a: (_told(a.subnet.pools), _told(a.added), _told(a.removed), a.outside),
        )

    @precondition(lambda self: self.book.pools)
    @rule(
        pick=picks,
        prefix=st.none() | prefixes(largest=5),
        bits=st.integers(0, 5),
        how=prefix_placements,
        owner=owners,
        identifier=identifiers,
        key=st.booleans(),
    )
    def allocate_prefix(
        self,
        pick: int,
        prefix: Prefix | None,
        bits: int,
        how: PrefixPlacement,
        owner: str | None,
        identifier: str | None,
        key: bool,
    ) -> None:
        pool = self.pool(pick)
        nets = self.book.pools[pool].nets
        if prefix is not None and pick % 3:
            around = nets[pick % len(nets)]
            if not inside(net_of(prefix), around):
                prefix = None
        length = nets[0].max_prefixlen - bits
        holder = Holder(None, owner, identifier)
        plan = self.book.allocate_prefix(
            pool, net_of(prefix) if prefix else None, length, how.value, holder
        )
        command = AllocatePrefix(
            pool=pool,
            scope=self.scope,
            prefix=prefix,
            length=None if prefix else length,
            placement=how,
            owner=owner,
            identifier=identifier,
        )
        self.step(command, plan, lambda answer: (net_of(answer.prefix), answer.id), key)

    @precondition(lambda self: any(pool.held for pool in self.book.pools.values()))
    @rule(pick=picks, which=st.integers(0, 4), wrong=st.sampled_from([False] * 5 + [True]))
    def release_prefix(self, pick: int, which: int, wrong: bool) -> None:
        holding = [pool for pool in self.book.pools.values() if pool.held]
        pool = holding[pick % len(holding)]
        every = sorted(pool.held)
        net = every[pick % len(every)]
        wanted = None if which < 2 else str(pool.held[net].id) if which < 4 else NO_ID
        if wrong and net.prefixlen < net.max_prefixlen:
            net = next(iter(net.subnets()))
        plan = self.book.release_prefix(pool.name, net, NO_ID if which == 4 else None)
        command = ReleasePrefix(
            pool=pool.name, scope=self.scope, prefix=Prefix(str(net)), allocation_id=wanted
        )
        self.step(command, plan, lambda answer: answer.count)


def _told(ranges: Sequence[AddressRange]) -> list[Run]:
    return [(one.first, one.last) for one in ranges]


def _subnet_told(answer: Any) -> tuple[Any, Net, int | None, list[Run]]:
    gateway = None if answer.gateway is None else answer.gateway.value
    return answer.id, net_of(answer.prefix), gateway, _told(answer.pools)
