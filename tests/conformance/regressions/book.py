"""A book with one subnet, asked and told in the fewest words.

Invariant: what meets in one group met in it for certain: a leader is kept busy until all wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from allotment import Address, Prefix, local_owner, open_book
from allotment.errors import AllotmentError, NotFound, StaleAllocation
from allotment.model.commands import AllocateAddress, Command, CreateAddressScope, CreateSubnet
from allotment.model.queries import CheckBook, GetAllocation, GetSubnet, ListAllocations, Query
from allotment.model.results import Allocation
from allotment.store import directory
from allotment.store.directory import SUBNET

R = TypeVar("R")
ME = local_owner()


class Book:
    """A desk with one scope `s` and one subnet `n` (10.0.0.0/28) in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.desk = open_book(url, create=True)

    def do(self, command: Command[R]) -> R:
        return self.desk.do(command, ME)

    def ask(self, query: Query[R]) -> R:
        return self.desk.ask(query, ME)

    def found(self) -> Book:
        """Make the scope and the subnet."""
        self.do(CreateAddressScope(name="s"))
        self.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"))
        return self

    def holder(self, address: str) -> Allocation:
        return self.ask(GetAllocation(subnet="n", address=Address(address)))

    def held(self) -> int:
        return len(self.ask(ListAllocations(subnet="n")).items)

    def tried(self, command: Command[R]) -> R | None:
        """The answer, or nothing when another came first."""
        try:
            return self.do(command)
        except (NotFound, StaleAllocation):
            return None

    def assert_clean(self) -> None:
        report = self.ask(CheckBook())
        assert report.faults == ()

    def in_one_group(
        self, commands: Sequence[Command[Any]], meanwhile: Callable[[], object] = lambda: None
    ) -> list[Any]:
        """Answers and errors of hot commands that a leader, kept busy, finds waiting together."""
        self.desk._group._leaders = 1  # or another one would serve them meanwhile
        waiting = self.desk._group._waiting
        with ThreadPoolExecutor(len(commands) + 1) as crew:
            with self._leader_kept_busy(crew):
                asked = []
                for count, command in enumerate(commands, start=1):
                    asked.append(crew.submit(self.do, command))
                    while len(waiting) < count:
                        assert not asked[-1].done(), "it was to wait"
                meanwhile()
            return [one.exception() or one.result() for one in asked]

    @contextmanager
    def _leader_kept_busy(self, crew: ThreadPoolExecutor) -> Iterator[None]:
        """Keep a locked subnet, and a leader that waits for it and then is refused."""
        unheld = AllocateAddress(subnet="n", address=Address("192.0.2.1"))
        subnet = self.ask(GetSubnet(subnet="n"))
        waiting = self.desk._group._waiting
        with suppress(_RolledBack), self.desk.store.writing() as tx:
            directory.lock(tx, SUBNET, subnet.id, exclusive=True)
            leader = crew.submit(self.do, unheld)
            while waiting or not self.desk._group._leading:
                assert not leader.done(), "it was to wait"
            yield
            raise _RolledBack
        assert isinstance(leader.exception(), AllotmentError)


class _RolledBack(Exception):
    """Ends a transaction that was opened for its lock only."""
