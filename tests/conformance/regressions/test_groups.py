"""Faults of commands that meet in one group, and of what the database does to a group.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from allotment import Address, Prefix
from allotment.errors import AddressTaken, AllotmentError, CommitUnknown
from allotment.model.commands import AllocateAddress, CreateSubnet, Method
from allotment.model.results import Allocation
from conformance.regressions.book import Book
from postgres_server import PostgresServer


def test_a_named_address_that_the_group_took_for_another_is_taken(book: Book) -> None:
    anything, named = book.in_one_group(
        [
            AllocateAddress(subnet="n"),
            AllocateAddress(subnet="n", address=Address("10.0.0.2")),
        ]
    )
    got = {str(one.address) for one in (anything, named) if isinstance(one, Allocation)}
    refused = [one for one in (anything, named) if isinstance(one, AllotmentError)]
    assert "10.0.0.2" in got
    assert all(isinstance(one, AddressTaken) for one in refused)
    book.assert_clean()


@pytest.mark.parametrize("address", ["10.0.0.9", "10.0.0.1"], ids=["inside", "outside the pools"])
def test_the_second_to_name_an_address_in_a_group_hears_that_it_is_taken(
    book: Book, address: str
) -> None:
    wish = AllocateAddress(subnet="n", address=Address(address))
    first, second = book.in_one_group([wish, wish])
    assert isinstance(first, Allocation)
    assert isinstance(second, AddressTaken)
    book.assert_clean()


def test_two_of_a_group_with_one_interface_get_two_stable_addresses(book: Book) -> None:
    book.do(CreateSubnet(prefix=Prefix("2001:db8::/64"), name="wide"))
    wish = AllocateAddress(subnet="wide", method=Method.STABLE_PRIVATE, interface="eth0")
    alone = AllocateAddress(subnet="wide", method=Method.STABLE_PRIVATE, interface="eth1")
    first, second = book.in_one_group([wish, wish])
    one_by_one = book.do(alone), book.do(alone)
    assert one_by_one[0].address != one_by_one[1].address
    assert isinstance(first, Allocation)
    assert isinstance(second, Allocation)
    assert first.address != second.address


def test_a_group_whose_commit_was_lost_is_not_done_again(wire: Any, postgres_url: str) -> None:
    Book(postgres_url).found().desk.close()
    book = Book(wire.url)
    try:
        wire.cut("after", "after")  # the event of the leader that was refused, then the group
        outcomes = book.in_one_group([AllocateAddress(subnet="n") for _ in range(4)])
        assert wire.cuts == 2, "the test did not cut anything"
        assert [type(one) for one in outcomes] == [CommitUnknown] * 4
        assert book.held() == 4
        book.assert_clean()
    finally:
        book.desk.close()


def test_a_keyed_command_of_a_group_whose_commit_was_lost_gets_its_answer(
    wire: Any, postgres_url: str
) -> None:
    Book(postgres_url).found().desk.close()
    book = Book(wire.url)
    try:
        wire.cut("after")
        wishes = [AllocateAddress(subnet="n", idempotency_key=f"k{n}") for n in range(4)]
        outcomes = book.in_one_group(wishes)
        assert wire.cuts == 1, "the test did not cut anything"
        assert sorted(str(one.address) for one in outcomes) == [f"10.0.0.{n}" for n in range(2, 6)]
        assert book.held() == 4
    finally:
        book.desk.close()


def test_every_one_of_a_group_is_answered_within_the_deadline_of_one(
    postgres_url: str, postgres_server: PostgresServer, impatient: float
) -> None:
    book = Book(postgres_url).found()
    try:
        begun = monotonic()
        wishes = [AllocateAddress(subnet="n") for _ in range(8)]
        outcomes = book.in_one_group(wishes, lambda: _close(postgres_url, postgres_server))
        took = monotonic() - begun
        assert all(isinstance(one, AllotmentError) for one in outcomes)
        assert took < 2 * impatient + 1
    finally:
        book.desk.close()


def _close(url: str, server: PostgresServer) -> None:
    """Take a database away from its users."""
    name = make_url(url).database
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
