"""Races on PostgreSQL, each made certain by acting between two statements.

Invariant: whoever comes first, each test's claim holds: the fix may be a lock or a second look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import structs
from psycopg.pq.abc import PGresult
from sqlalchemy import event

from allotment import Address, AddressRange, LocalDesk, Prefix
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    Command,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    ReleaseAddress,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
    UpdateAllocationPools,
)
from allotment.model.queries import ListPrefixAllocations
from allotment.model.results import Allocation
from allotment.store.postgres_connection import Statement, TimedConnection
from conformance.regressions.book import Book


@contextmanager
def just_before(desk: LocalDesk, beginning: str, meanwhile: Callable[[], object]) -> Iterator[None]:
    """Let another desk act at the moment when this one first sends such a statement.

    It is waited for, unless this desk holds a lock that keeps it out: then it acts afterwards.
    """
    others: list[Future[object]] = []

    def interleave(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(beginning) and not others:
            others.append(pool.submit(meanwhile))
            wait(others, timeout=1)

    together = TimedConnection.together

    def noticed(
        conn: TimedConnection, statements: Sequence[Statement], *, commit: bool = False
    ) -> list[PGresult]:
        for statement in statements:
            interleave(conn, None, statement.text)
        return together(conn, statements, commit=commit)

    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedConnection, "together", noticed)
        event.listen(desk.store.dialect.engine, "before_cursor_execute", interleave)
        try:
            yield
        finally:
            event.remove(desk.store.dialect.engine, "before_cursor_execute", interleave)
    assert others, f"no statement began with {beginning!r}"
    others[0].result()


def test_a_late_release_never_frees_the_next_owners_address(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    old = mine.do(AllocateAddress(subnet="n", address=address))
    release = ReleaseAddress(subnet="n", address=address, allocation_id=str(old.id))

    def next_owner() -> None:
        theirs.tried(release)
        theirs.do(AllocateAddress(subnet="n", address=address, hostname="next"))

    with just_before(mine.desk, "WITH gone AS (DELETE FROM allocation", next_owner):
        mine.tried(release)
    assert mine.holder("10.0.0.5").hostname == "next"
    mine.assert_clean()


def test_a_late_update_never_changes_the_next_owners_address(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    old = mine.do(AllocateAddress(subnet="n", address=address))

    def next_owner() -> None:
        theirs.do(ReleaseAddress(subnet="n", address=address))
        theirs.do(AllocateAddress(subnet="n", address=address, hostname="next"))

    update = UpdateAllocation(
        subnet="n", address=address, allocation_id=str(old.id), hostname="mine"
    )
    with just_before(mine.desk, "UPDATE allocation", next_owner):
        mine.tried(update)
    assert mine.holder("10.0.0.5").hostname == "next"


def test_a_late_release_never_frees_the_next_owners_prefix(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    prefix = Prefix("10.9.0.0/28")
    mine.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    old = mine.do(AllocatePrefix(pool="pool", prefix=prefix))
    release = ReleasePrefix(pool="pool", prefix=prefix, allocation_id=str(old.id))

    def next_owner() -> None:
        theirs.tried(release)
        theirs.do(AllocatePrefix(pool="pool", prefix=prefix, identifier="next"))

    with just_before(mine.desk, "DELETE FROM prefix_allocation", next_owner):
        mine.tried(release)
    held = mine.ask(ListPrefixAllocations(pool="pool")).items
    assert [one.identifier for one in held] == ["next"]
    mine.assert_clean()


def test_releasing_all_of_an_owner_never_frees_what_is_anothers_by_now(
    two: tuple[Book, Book],
) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    mine.do(CreateProject(name="old"))
    mine.do(CreateProject(name="new"))
    mine.do(AllocateAddress(subnet="n", address=address, owner="old"))

    def next_owner() -> None:
        theirs.tried(ReleaseAddress(subnet="n", address=address))
        theirs.do(AllocateAddress(subnet="n", address=address, owner="new"))

    with just_before(mine.desk, "WITH gone AS (DELETE FROM allocation", next_owner):
        mine.do(ReleaseMatching(owner="old"))
    assert mine.holder("10.0.0.5").project == "new"
    mine.assert_clean()


def test_an_address_released_by_two_at_once_returns_to_the_free_space_once(
    two: tuple[Book, Book],
) -> None:
    mine, theirs = two
    mine.do(CreateProject(name="old"))
    for last in (5, 6, 7):
        mine.do(AllocateAddress(subnet="n", address=Address(f"10.0.0.{last}"), owner="old"))
    counts = []

    def the_other() -> None:
        released = theirs.tried(ReleaseAddress(subnet="n", address=Address("10.0.0.6")))
        counts.append(released.count if released else 0)

    with just_before(mine.desk, "WITH gone AS (DELETE FROM allocation", the_other):
        counts.append(mine.do(ReleaseMatching(owner="old")).count)
    assert sum(counts) == 3
    mine.assert_clean()


@pytest.mark.parametrize("kind", ["prefix", "subnet"])
def test_two_halves_given_back_at_once_are_one_whole_again(
    two: tuple[Book, Book], kind: str
) -> None:
    mine, theirs = two
    mine.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    releases: list[Command[Any]] = []
    for half in ("10.9.0.0/25", "10.9.0.128/25"):
        if kind == "prefix":
            mine.do(AllocatePrefix(pool="pool", prefix=Prefix(half)))
            releases.append(ReleasePrefix(pool="pool", prefix=Prefix(half)))
        else:
            mine.do(CreateSubnet(scope="s", prefix=Prefix(half), ranges=()))
            releases.append(DeleteSubnet(subnet=half))
    with just_before(mine.desk, "INSERT INTO free_extent", lambda: theirs.do(releases[1])):
        mine.do(releases[0])
    made = mine.do(AllocatePrefix(pool="pool", length=24))
    assert made.prefix == Prefix("10.9.0.0/24")


def test_one_identifier_holds_one_address_of_a_group_of_subnets(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    mine.do(CreateSubnet(prefix=Prefix("10.0.1.0/28"), name="second"))
    mine.do(UpdateAllocationPools(subnet="n", ranges=(AddressRange("10.0.0.5-10.0.0.5"),)))
    wish = AllocateAddress(subnet="n", fallbacks=("second",), identifier="one")
    answers: list[Allocation] = []

    def the_other() -> None:
        answers.append(theirs.do(wish))

    keyed = structs.replace(wish, idempotency_key="key")
    with just_before(mine.desk, "INSERT INTO idempotency", the_other):
        answers.append(mine.do(keyed))
    assert len({one.id for one in answers}) == 1
