"""The desk itself: who cannot wait, who watches, and what it keeps between requests."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError, IdempotencyMismatch, InvalidValue, NotFound
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    ReleaseAddress,
)
from allotment.model.queries import CheckBook, GetSubnet
from allotment.model.results import Allocation, Released
from conformance.dumps import Dumper

WEEK_SECONDS = 604_800


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """A scope `s` and a subnet `n`."""
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"), me)
    return desk


def told(desk: LocalDesk, command: Any, actor: Actor) -> Any:
    """What one who does not wait is told."""
    answer: Future[Any] = Future()
    desk.do_soon(command, actor, answer.set_result)
    return answer.result(30)


def test_one_who_does_not_wait_is_told_the_answer_or_the_error(book: LocalDesk, me: Actor) -> None:
    held = told(book, AllocateAddress(subnet="n"), me)
    assert isinstance(held, Allocation)
    released = told(book, ReleaseAddress(subnet="n", address=held.address), me)
    assert isinstance(released, Released)
    assert isinstance(told(book, AllocateAddress(subnet="nowhere"), me), NotFound)
    with pytest.raises(InvalidValue, match="subnet"):
        book.do_soon(AllocateAddress(subnet=7), me, lambda _: None)  # type: ignore[arg-type]
    assert book.ask(CheckBook(), me).allocations == 0


def test_who_watches_is_told_how_many_are_served_together(book: LocalDesk, me: Actor) -> None:
    sizes: list[int] = []
    book.watch_groups(sizes.append)
    for _ in range(3):
        book.do(AllocateAddress(subnet="n"), me)
    book.do(CreateProject(name="served alone"), me)
    assert sizes == [1, 1, 1]


@pytest.mark.parametrize("name", ["n", "id"], ids=["in a transaction", "at once"])
def test_an_answer_is_kept_for_a_week_and_then_forgotten(
    book: LocalDesk, me: Actor, name: str
) -> None:
    subnet = str(book.ask(GetSubnet(subnet="n"), me).id) if name == "id" else name
    wish = AllocateAddress(subnet=subnet, idempotency_key="k")
    now = book.store.clock()
    book.store.clock = lambda: now
    first = book.do(wish, me)
    book.store.clock = lambda: now + WEEK_SECONDS * 1000
    assert book.forget_answers() == 0
    assert book.do(wish, me) == first
    with pytest.raises(IdempotencyMismatch):
        book.do(AllocateAddress(subnet=subnet, hostname="h", idempotency_key="k"), me)
    book.store.clock = lambda: now + WEEK_SECONDS * 1000 + 1
    assert (book.forget_answers(), book.forget_answers()) == (1, 0)
    again = book.do(wish, me)
    assert again.address == Address("10.0.0.3"), "nobody knows of the first any more"


def test_cursors_are_signed_alike_by_every_desk_of_a_book_and_of_no_other(
    database_url: str, me: Actor
) -> None:
    with open_book(database_url, create=True) as one, open_book("sqlite://") as other:
        key = one.cursor_key()
        assert len(key) >= 16
        assert other.cursor_key() != key
        if database_url != "sqlite://":
            with open_book(database_url) as again:
                assert again.cursor_key() == key


@pytest.mark.parametrize("method", ["do", "ask"])
def test_a_command_is_done_and_a_query_is_asked(
    book: LocalDesk, me: Actor, dump: Dumper, method: str
) -> None:
    wrong = CheckBook() if method == "do" else CreateProject(name="p")
    before = dump(book)
    with pytest.raises(AllotmentError) as refused:
        getattr(book, method)(wrong, me)
    assert refused.value.facts["value"] == repr(type(wrong).__name__)
    assert dump(book) == before
