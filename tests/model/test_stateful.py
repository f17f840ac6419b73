"""Random sequences of all operations, each answer compared with what a naive book says.

Invariant: after every command the book and the model agree: the same answer where only one is
right, an allowed one elsewhere, an error of the right kind without effect otherwise.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_network
from itertools import count
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET, structs

from allotment import Address, AddressRange, LocalDesk, Prefix, local_owner, open_book
from allotment.errors import AllotmentError
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteAddressScope,
    DeleteSubnet,
    DeleteSubnetPool,
    Method,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
    UpdateAllocationPools,
)
from allotment.model.queries import (
    CheckBook,
    GetUtilisation,
    ListAllocations,
    ListFree,
    ListPrefixAllocations,
)
from allotment.model.results import AddressPlacement, Allocation, PrefixPlacement
from model.naive_book import Holder, NaiveBook, Net, Plan, Run, Subnet, inside, runs, usable

ME = local_owner()
# For a book in memory; a file and a server, which are slower, get two fifths of it.
EXAMPLES = int(os.environ.get("ALLOTMENT_EXAMPLES", "300"))
STEPS = 40
PARTS = 2  # machines of their own, so that workers share the examples of one database
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


class BookMachine(RuleBasedStateMachine):
    """One address scope of a real book, beside the naive one."""

    desk: LocalDesk
    seen: Counter[tuple[str, str]]

    def __init__(self) -> None:
        super().__init__()
        self.book = NaiveBook()
        self.scope = f"scope {next(numbers)}"
        self.answered: list[tuple[Command[Any], Any]] = []
        self.past_ids: list[str] = [NO_ID]
        self.desk.do(CreateAddressScope(name=self.scope), ME)

    # --- how a step is made and compared

    def step(
        self,
        command: Command[Any],
        plan: Plan,
        told: Callable[[Any], Any],
        key: bool = False,
    ) -> None:
        """Do a command, and hold its answer against the plan."""
        if key:
            command = structs.replace(command, idempotency_key=f"key-{next(numbers)}")
        answer = self.outcome(command, plan.errors)
        if answer is None:
            return
        plan.enter(told(answer))
        if key:
            self.answered.append((command, answer))

    def outcome(self, command: Command[Any], due: set[str]) -> Any:
        """The answer; None when an error was due, and came."""
        try:
            answer = self.desk.do(command, ME)
        except AllotmentError as error:
            if error.code in due:
                self.seen[type(command).__name__, error.code] += 1
                return None
            raise AssertionError(f"{command}: {error!r}, due: {due or 'an answer'}") from error
        assert not due, f"{command}: {answer}, due: {due}"
        self.seen[type(command).__name__, "done"] += 1
        return answer

    def subnet(self, pick: int) -> Subnet:
        every = list(self.book.subnets.values())
        return every[pick % len(every)]

    def pool(self, pick: int) -> str:
        return list(self.book.pools)[pick % len(self.book.pools)]

    def name(self, noun: str) -> str:
        return f"{noun} {next(numbers)}"

    def address(self, one: Subnet, pick: int) -> Address:
        """An address in or just around a subnet, the outer ones less often."""
        size = one.net.num_addresses
        first = int(one.net.network_address)
        value = first + pick % size
        if pick % 23 == 0:
            value = first + size if pick % 2 else first - 1
        return Address.of(one.net.version, value)

    def held(self, one: Subnet, pick: int) -> Address:
        """An address that is held, or else any."""
        if not one.held or pick % 11 == 0:
            return self.address(one, pick)
        every = sorted(one.held)
        return Address.of(one.net.version, every[pick % len(every)])

    def wanted(self, one: Subnet, address: Address, which: int) -> str | None:
        """An allocation id: none, the right one, or another."""
        holder = one.held.get(address.value)
        if which == 0 or holder is None:
            return None
        right = str(holder.id)
        return right if which == 1 else self.past_ids[which % len(self.past_ids)]

    # --- rules: the forest

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

    # --- rules: addresses

    @precondition(lambda self: self.book.subnets)
    @rule(
        pick=picks,
        more=st.lists(picks, max_size=2),
        method=st.sampled_from([Method.ANY, Method.ANY, Method.NEXT]),
        placement=st.none() | address_placements,
        owner=owners,
        identifier=identifiers,
        key=st.sampled_from([False, False, True]),
    )
    def allocate(
        self,
        pick: int,
        more: list[int],
        method: Method,
        placement: AddressPlacement | None,
        owner: str | None,
        identifier: str | None,
        key: bool,
    ) -> None:
        names = list(dict.fromkeys(self.subnet(one).name for one in (pick, *more)))
        holder = Holder(None, owner, identifier, f"h{pick}")
        plan = self.book.allocate(
            names, holder, method=method.value, placement=placement and placement.value
        )
        command = AllocateAddress(
            subnet=names[0],
            fallbacks=tuple(names[1:]),
            scope=self.scope,
            method=method,
            placement=placement,
            owner=owner,
            identifier=identifier,
            hostname=f"H{pick}",
        )
        self.step(command, plan, self._allocated, key)

    def _allocated(self, answer: Allocation) -> tuple[Any, int, Any]:
        self.past_ids.append(str(answer.id))
        return answer.subnet_id, answer.address.value, answer.id

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, at=picks, owner=owners, identifier=identifiers, key=st.booleans())
    def allocate_specific(
        self, pick: int, at: int, owner: str | None, identifier: str | None, key: bool
    ) -> None:
        one = self.subnet(pick)
        address = self.address(one, at)
        plan = self.book.allocate(
            [one.name], Holder(None, owner, identifier), address=address.value
        )
        command = AllocateAddress(
            subnet=one.name,
            scope=self.scope,
            address=address,
            owner=owner,
            identifier=identifier,
        )
        self.step(command, plan, self._allocated, key)

    @precondition(lambda self: self.book.subnets)
    @rule(
        pick=picks,
        how_many=st.integers(1, 12),
        contiguous=st.booleans(),
        first=st.none() | picks,
        owner=owners,
        key=st.booleans(),
    )
    def allocate_many(
        self,
        pick: int,
        how_many: int,
        contiguous: bool,
        first: int | None,
        owner: str | None,
        key: bool,
    ) -> None:
        one = self.subnet(pick)
        begin = None if first is None else self.address(one, first)
        plan = self.book.allocate_many(
            one.name,
            how_many,
            owner,
            contiguous=contiguous,
            first=None if begin is None else begin.value,
        )
        command = AllocateAddresses(
            subnet=one.name,
            scope=self.scope,
            count=how_many,
            contiguous=contiguous,
            first=begin,
            owner=owner,
        )

        def told(answer: Any) -> tuple[set[int], list[Any]]:
            given = {v for run in answer.ranges for v in range(run.first, run.last + 1)}
            start = answer.first_id.int
            return given, [type(answer.first_id)(int=start + n) for n in range(answer.count)]

        self.step(command, plan, told, key)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, at=picks, which=st.integers(0, 3), identifier=identifiers, owner=owners)
    def update_allocation(
        self, pick: int, at: int, which: int, identifier: str | None, owner: str | None
    ) -> None:
        one = self.subnet(pick)
        address = self.held(one, at)
        wanted = self.wanted(one, address, which)
        changes = {"identifier": identifier, "owner": owner, "hostname": f"new{at}"}
        if at % 3 == 0:
            del changes["identifier"]
        plan = self.book.update(one.name, address.value, _uuid(one, address, wanted), changes)
        command = UpdateAllocation(
            subnet=one.name, scope=self.scope, address=address, allocation_id=wanted, **changes
        )
        self.step(command, plan, _facts)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, at=picks, which=st.integers(0, 4), key=st.booleans())
    def release(self, pick: int, at: int, which: int, key: bool) -> None:
        one = self.subnet(pick)
        address = self.held(one, at)
        wanted = self.wanted(one, address, which)
        plan = self.book.release(one.name, [address.value], _uuid(one, address, wanted))
        command = ReleaseAddress(
            subnet=one.name, scope=self.scope, address=address, allocation_id=wanted
        )
        self.step(command, plan, lambda answer: answer.count, key)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, at=st.lists(picks, min_size=1, max_size=6))
    def release_many(self, pick: int, at: list[int]) -> None:
        one = self.subnet(pick)
        chosen = [self.held(one, place) for place in at]
        plan = self.book.release(one.name, [address.value for address in chosen])
        command = ReleaseAddresses(subnet=one.name, scope=self.scope, addresses=tuple(chosen))
        self.step(command, plan, lambda answer: answer.count)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, identifier=st.sampled_from("abc"))
    def release_identifier(self, pick: int, identifier: str) -> None:
        name = self.subnet(pick).name
        plan = self.book.release_matching(name, None, identifier)
        command = ReleaseMatching(subnet=name, scope=self.scope, identifier=identifier)
        self.step(command, plan, lambda answer: answer.count)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, owner=st.sampled_from(OWNERS), everywhere=st.booleans())
    def release_owner(self, pick: int, owner: str, everywhere: bool) -> None:
        name = None if everywhere else self.subnet(pick).name
        plan = self.book.release_matching(name, owner, None)
        command = ReleaseMatching(subnet=name, scope=name and self.scope, owner=owner)
        self.step(command, plan, lambda answer: answer.count)

    # --- rules: asking again, and several at once

    @precondition(lambda self: self.answered)
    @rule(pick=picks)
    def ask_again(self, pick: int) -> None:
        """A keyed command asked again is answered as before, whatever became of it."""
        command, before = self.answered[pick % len(self.answered)]
        assert self.desk.do(command, ME) == before

    @precondition(lambda self: self.answered and self.book.subnets)
    @rule(pick=picks)
    def use_a_key_twice(self, pick: int) -> None:
        before, _ = self.answered[pick % len(self.answered)]
        command = AllocateAddress(
            subnet=self.subnet(pick).name,
            scope=self.scope,
            description="another request",
            idempotency_key=before.idempotency_key,
        )
        self.step(command, Plan({"idempotency-mismatch"}, lambda answer: None), lambda _: None)

    @precondition(lambda self: self.book.subnets)
    @rule(pick=picks, parts=st.lists(st.tuples(st.integers(0, 5), picks), min_size=1, max_size=4))
    def batch(self, pick: int, parts: list[tuple[int, int]]) -> None:
        """Commands of certain answers, all or none."""
        draft = self.book.copy()
        name = self.subnet(pick).name
        commands: list[Command[Any]] = []
        planners: list[Callable[[NaiveBook], Plan]] = []
        due: set[str] = set()
        for kind, at in parts:
            command, planner = self._part(draft.subnets[name], kind, at)
            commands.append(command)
            planners.append(planner)
            plan = planner(draft)
            due = plan.errors
            if due:
                break
            plan.enter(None)
        answers = self.outcome(Batch(commands=tuple(commands)), due) or ()
        for planner, answer in zip(planners, answers, strict=not due):
            told = self._allocated if isinstance(answer, Allocation) else lambda a: a.count
            planner(self.book).enter(told(answer))

    def _part(
        self, one: Subnet, kind: int, at: int
    ) -> tuple[Command[Any], Callable[[NaiveBook], Plan]]:
        """A command of a batch, and what makes its plan."""
        name = one.name
        if kind < 2:
            method = Method.NEXT if kind else Method.ANY
            how = None if kind else AddressPlacement.LOWEST
            return (
                AllocateAddress(subnet=name, scope=self.scope, method=method, placement=how),
                lambda book: book.allocate(
                    [name], Holder(None), method=method.value, placement=how and how.value
                ),
            )
        if kind == 2:
            address = self.address(one, at)
            return (
                AllocateAddress(subnet=name, scope=self.scope, address=address),
                lambda book: book.allocate([name], Holder(None), address=address.value),
            )
        address = self.held(one, at)
        return (
            ReleaseAddress(subnet=name, scope=self.scope, address=address),
            lambda book: book.release(name, [address.value]),
        )

    # --- the end of an example

    def teardown(self) -> None:
        try:
            self._compare()
        finally:
            gone = self.desk.do(DeleteAddressScope(scope=self.scope, cascade=True), ME).contents
        assert gone["subnets"] == len(self.book.subnets)
        assert gone["subnet pools"] == len(self.book.pools)
        assert gone["allocations"] == sum(len(one.held) for one in self.book.subnets.values())

    def _compare(self) -> None:
        subnets, pools = self.book.subnets, self.book.pools
        listed = self._every(lambda cursor: ListAllocations(scope=self.scope, cursor=cursor))
        shown = {(one.subnet_id, one.address.value): _facts(one) for one in listed}
        assert len(shown) == len(listed)
        assert shown == {
            (one.id, at): holder.facts()
            for one in subnets.values()
            for at, holder in one.held.items()
        }
        for one in subnets.values():
            assert self._free(one.name) == one.free
        for pool in pools.values():
            assert self._free(pool.name) == set().union(*self.book.free_blocks(pool.name))
            query = ListPrefixAllocations(pool=pool.name, scope=self.scope)
            held = self.desk.ask(query, ME).items
            assert {net_of(a.prefix): (a.id, a.project, a.identifier) for a in held} == {
                net: holder.facts()[:3] for net, holder in pool.held.items()
            }
        self._compare_use()
        report = self.desk.ask(CheckBook(), ME)
        assert report.faults == ()

    def _compare_use(self) -> None:
        used = self._uses([*self.book.subnets, *self.book.pools])
        for name, one in self.book.subnets.items():
            told = used[name]
            within = len(one.pools & set(one.held))
            assert (told.size, told.pool_size) == (one.net.num_addresses, len(one.pools))
            assert (told.free, told.quarantined) == (len(one.free), len(one.resting - {*one.held}))
            assert (told.held, told.held_outside) == (within, len(one.held) - within)
        for name, pool in self.book.pools.items():
            told = used[name]
            free = sum(map(len, self.book.free_blocks(name)))
            size = sum(net.num_addresses for net in pool.nets)
            assert (told.size, told.free, told.held) == (size, free, size - free)

    def _uses(self, names: Sequence[str]) -> dict[str, Any]:
        if not names:
            return {}
        query = GetUtilisation(containers=tuple(names), scope=self.scope)
        return {told.name: told for told in self.desk.ask(query, ME).items}

    def _free(self, name: str) -> set[int]:
        found = self._every(
            lambda cursor: ListFree(container=name, scope=self.scope, cursor=cursor, limit=7)
        )
        listed = [v for one in found for v in range(one.range.first, one.range.last + 1)]
        assert len(listed) == len(set(listed))
        return set(listed)

    def _every(self, query: Callable[[str | None], Any]) -> list[Any]:
        page = self.desk.ask(query(None), ME)
        found = list(page.items)
        while page.next is not None:
            page = self.desk.ask(query(page.next), ME)
            found += page.items
        return found


def _told(ranges: Sequence[AddressRange]) -> list[Run]:
    return [(one.first, one.last) for one in ranges]


def _subnet_told(answer: Any) -> tuple[Any, Net, int | None, list[Run]]:
    gateway = None if answer.gateway is None else answer.gateway.value
    return answer.id, net_of(answer.prefix), gateway, _told(answer.pools)


def _facts(answer: Allocation) -> tuple[Any, ...]:
    return answer.id, answer.project, answer.identifier, answer.hostname


def _uuid(one: Subnet, address: Address, wanted: str | None) -> Any:
    """An allocation id as the model knows it: none, the holder's own, or a text of another."""
    holder = one.held.get(address.value)
    return holder.id if holder is not None and wanted == str(holder.id) else wanted


@pytest.fixture
def desk(database_url: str) -> Iterator[LocalDesk]:
    """An empty book with two owners, on each kind of database."""
    with open_book(database_url, create=True) as made:
        for owner in OWNERS:
            made.do(CreateProject(name=owner), ME)
        yield made


# What must have happened in each part: a test that meets no error shows nothing of them.
DONE = (
    "AllocateAddress AllocateAddresses AllocatePrefix Batch CreateSubnet CreateSubnetPool"
    " DeleteSubnet DeleteSubnetPool ReleaseAddress ReleaseAddresses ReleaseMatching ReleasePrefix"
    " UpdateAllocation UpdateAllocationPools"
)
CODES = (
    "address-taken identifier-taken idempotency-mismatch in-use invalid-value not-found overlap"
    " pool-exhausted stale-allocation"
)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_sequence_of_operations_is_as_a_naive_book_says(desk: LocalDesk, part: int) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    machine = type("BookMachine", (BookMachine,), {"desk": desk, "seen": seen})
    examples = EXAMPLES if desk.store.dialect.shown == "sqlite://" else EXAMPLES * 2 // 5
    profile = settings(
        max_examples=max(1, examples // PARTS),
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(part)(machine), settings=profile)
    if examples >= 300:
        assert set(DONE.split()) == {name for name, code in seen if code == "done"}
        assert {*CODES.split(), "done"} == {code for _, code in seen}
        assert seen.total() >= examples // PARTS * STEPS // 2
