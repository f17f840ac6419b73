"""Faults of what one request asks, without any race.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

import pytest

from allotment import Address, Prefix
from allotment.errors import AllotmentError, IdentifierTaken
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    CreateSubnet,
    CreateSubnetPool,
    UpdateAllocation,
    UpdateSubnetPool,
)
from allotment.model.queries import ListAllocations
from conformance.regressions.book import Book


def test_a_tag_given_twice_in_an_update_is_one_tag(book: Book, impatient: float) -> None:
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.5")))
    changed = book.do(
        UpdateAllocation(subnet="n", address=Address("10.0.0.5"), tags=("b", "a", "b"))
    )
    assert changed.tags == ("a", "b")


def test_an_identifier_of_another_allocation_is_refused_at_once(
    book: Book, impatient: float
) -> None:
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.5"), identifier="mine"))
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.6")))
    with pytest.raises(IdentifierTaken):
        book.do(UpdateAllocation(subnet="n", address=Address("10.0.0.6"), identifier="mine"))


def test_an_allocation_id_means_the_same_in_either_case(book: Book) -> None:
    held = book.do(AllocateAddress(subnet="n"))
    spelled = str(held.id).upper()
    command = UpdateAllocation(
        subnet="n", address=held.address, allocation_id=spelled, hostname="web"
    )
    assert book.do(command).hostname == "web"


def test_an_identified_prefix_is_not_the_answer_to_a_request_for_another_prefix(
    book: Book,
) -> None:
    book.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    book.do(AllocatePrefix(pool="pool", prefix=Prefix("10.9.0.0/28"), identifier="x"))
    with pytest.raises(AllotmentError):
        book.do(AllocatePrefix(pool="pool", prefix=Prefix("10.9.0.16/28"), identifier="x"))


def test_adopting_a_prefix_whose_identifier_is_known_is_refused_at_once(
    book: Book, impatient: float
) -> None:
    book.do(CreateSubnetPool(name="above", prefixes=(Prefix("10.9.0.0/20"),)))
    book.do(CreateSubnetPool(name="below", prefixes=(Prefix("10.9.0.0/24"),)))
    book.do(AllocatePrefix(pool="above", prefix=Prefix("10.9.1.0/28"), identifier="x"))
    book.do(AllocatePrefix(pool="below", prefix=Prefix("10.9.0.0/28"), identifier="x"))
    more = (Prefix("10.9.0.0/24"), Prefix("10.9.1.0/24"))
    with pytest.raises(IdentifierTaken):
        book.do(UpdateSubnetPool(pool="below", prefixes=more))


@pytest.mark.parametrize(
    "first",
    ["2001:db8::7000:0:0:1", "2001:db8::7fff:ffff:ffff:fffe", "2001:db8::ffff:ffff:ffff:fff0"],
)
def test_a_run_may_begin_anywhere_in_a_64(book: Book, first: str) -> None:
    book.do(CreateSubnet(prefix=Prefix("2001:db8::/64"), name="wide"))
    made = book.do(AllocateAddresses(subnet="wide", first=Address(first), count=4, tags=("run",)))
    held = book.ask(ListAllocations(subnet="wide", tag="run")).items
    assert [one.address.value for one in held] == [Address(first).value + n for n in range(4)]
    assert [one.id.int for one in held] == [made.first_id.int + n for n in range(4)]
