"""Random sequences of all operations, each answer compared with what a naive book says.

Invariant: after every command the book and the model agree: the same answer where only one is
right, an allowed one elsewhere, an error of the right kind without effect otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from allotment import Address, LocalDesk, open_book
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateProject,
    Method,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    UpdateAllocation,
)
from allotment.model.results import AddressPlacement, Allocation
from model.draws import ME, OWNERS, address_placements, identifiers, owners, picks
from model.forest_machine import ForestMachine
from model.machine import facts
from model.naive_book import NaiveBook
from model.naive_terms import Holder, Plan, Subnet

# For a book in memory; a file and a server, which are slower, get a quarter of it.
EXAMPLES = int(os.environ.get("ALLOTMENT_EXAMPLES", "240"))
STEPS = 40
PARTS = 2  # machines of their own, so that workers share the examples of one database
TURNS_MAX = 5


class BookMachine(ForestMachine):
    """All steps: those of the forest, of addresses, asking again, and several at once."""

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
        self.step(command, plan, facts)

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


def _uuid(one: Subnet, address: Address, wanted: str | None) -> Any:
    """An allocation id as the model knows it: none, the holder's own, or a text of another."""
    holder = one.held.get(address.value)
    return holder.id if holder is not None and wanted == str(holder.id) else wanted


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> Random:
    """What random placement throws, for each example from the same beginning."""
    made = Random()
    monkeypatch.setattr("allotment.operations.allocations.secrets.randbelow", made.randrange)
    return made


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


def played(desk: LocalDesk, dice: Random, part: int, examples: int) -> list[tuple[str, str, Any]]:
    """What was done, how it ended and at which address, in order."""
    trace: list[tuple[str, str, Any]] = []
    machine = type("BookMachine", (BookMachine,), {"desk": desk, "dice": dice, "trace": trace})
    profile = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(part)(machine), settings=profile)
    return trace


@pytest.mark.parametrize("part", range(PARTS))
def test_every_sequence_of_operations_is_as_a_naive_book_says(
    desk: LocalDesk, dice: Random, part: int
) -> None:
    examples = EXAMPLES if desk.store.dialect.shown == "sqlite://" else EXAMPLES // 4
    trace = played(desk, dice, part, max(1, examples // PARTS))
    if examples < 240:
        return
    assert len(trace) >= examples // PARTS * STEPS // 2
    for turn in range(1, TURNS_MAX):  # what is rare may not have come yet
        if not missing(trace):
            break
        trace += played(desk, dice, part + turn * PARTS, examples // PARTS)
    assert not missing(trace)
    assert {code for _, code, _ in trace} == {*CODES.split(), "done"}


def missing(trace: Sequence[tuple[str, str, Any]]) -> set[str]:
    """What a test has to meet to show anything of it, and has not."""
    met = {code for _, code, _ in trace} | {name for name, code, _ in trace if code == "done"}
    return {*DONE.split(), *CODES.split(), "done"} - met


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
def test_the_same_sequences_are_answered_alike(desk: LocalDesk, dice: Random) -> None:
    """What fails once can be played again, with nothing left to chance."""
    assert played(desk, dice, 0, 12) == played(desk, dice, 0, 12)
