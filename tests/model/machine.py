"""A real book beside the naive one: how a step is made, and how the two are compared.

Invariant: each answer is held against the plan of the naive book before it is entered there; at
the end of an example the two books are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine
from msgspec import structs

from allotment import Address, LocalDesk
from allotment.errors import AllotmentError
from allotment.model.commands import Command, CreateAddressScope, DeleteAddressScope
from allotment.model.queries import (
    CheckBook,
    GetUtilisation,
    ListAllocations,
    ListFree,
    ListPrefixAllocations,
)
from allotment.model.results import Allocation
from model.draws import ME, NO_ID, net_of, numbers
from model.naive_book import NaiveBook
from model.naive_terms import Plan, Subnet


class Machine(RuleBasedStateMachine):
    """One address scope of a real book, beside the naive one.

    Each example begins with the same dice: random placement would else take other addresses when
    hypothesis plays an example again, and what can be drawn next would depend on them.
    """

    desk: LocalDesk
    dice: Random
    trace: list[tuple[str, str, Any]]

    def __init__(self) -> None:
        super().__init__()
        self.book = NaiveBook()
        self.scope = f"scope {next(numbers)}"
        self.names = count()
        self.dice.seed(0)
        self.answered: list[tuple[Command[Any], Any]] = []
        self.past_ids: list[str] = [NO_ID]
        self.desk.do(CreateAddressScope(name=self.scope), ME)

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
                self.trace.append((type(command).__name__, error.code, None))
                return None
            raise AssertionError(f"{command}: {error!r}, due: {due or 'an answer'}") from error
        assert not due, f"{command}: {answer}, due: {due}"
        self.trace.append((type(command).__name__, "done", getattr(answer, "address", None)))
        return answer

    def subnet(self, pick: int) -> Subnet:
        every = list(self.book.subnets.values())
        return every[pick % len(every)]

    def pool(self, pick: int) -> str:
        return list(self.book.pools)[pick % len(self.book.pools)]

    def name(self, noun: str) -> str:
        return f"{noun} {next(self.names)}"

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
        shown = {(one.subnet_id, one.address.value): facts(one) for one in listed}
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


def facts(answer: Allocation) -> tuple[Any, ...]:
    return answer.id, answer.project, answer.identifier, answer.hostname
