"""Identifiers: the name that a caller gives to what it holds.

Invariant: an identifier has one allocation in its container, for as long as that is held.
"""

from __future__ import annotations

from allotment import Address, LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, AllocatePrefix, ReleaseMatching
from allotment.model.queries import ListAllocations
from conformance.callers import Caller
from conformance.transactions.commands import address


def test_an_identifier_gets_its_allocation_again(book: LocalDesk, me: Actor) -> None:
    wish = AllocateAddress(subnet="n", identifier="port-1")
    first = book.do(wish, me)
    assert book.do(wish, me) == first
    assert book.do(AllocateAddress(subnet="n", identifier="five"), me).address == address(5)
    held = AllocatePrefix(pool="p", length=24, identifier="sixteen")
    assert book.do(held, me).prefix == Prefix("10.0.16.0/24")


def test_an_identifier_is_its_containers_own_and_ends_with_its_allocation(
    book: LocalDesk, me: Actor
) -> None:
    there = book.do(AllocateAddress(subnet="void", identifier="five"), me)
    assert there.address == Address("10.9.0.2")
    before = book.do(AllocateAddress(subnet="n", identifier="five"), me)
    book.do(ReleaseMatching(subnet="n", identifier="five"), me)
    after = book.do(AllocateAddress(subnet="n", identifier="five"), me)
    assert after.id != before.id


def test_one_identifier_from_many_at_once_has_one_allocation(book: LocalDesk, me: Actor) -> None:
    wish = AllocateAddress(subnet="n", identifier="port-1")
    outcomes = [caller.result() for caller in [Caller(book, wish, me) for _ in range(8)]]
    assert outcomes == [outcomes[0]] * 8, outcomes
    assert len(book.ask(ListAllocations(identifier="port-1"), me).items) == 1
