"""What a book refuses of its owner: a refusal says what is wrong, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from allotment import LocalDesk, local_owner, open_book
from allotment.errors import AllotmentError
from allotment.model.access import Actor
from allotment.model.queries import Query
from conformance.dumps import Dump, dump
from conformance.refusals import BOOK, REFUSALS, Refusal


@pytest.fixture(scope="module")
def book(module_url: str) -> Iterator[LocalDesk]:
    """One book for all of them: none changes it."""
    with open_book(module_url, create=True) as desk:
        for command in BOOK:
            desk.do(command, local_owner())
        yield desk


@pytest.fixture(scope="module")
def untouched(book: LocalDesk) -> Dump:
    """The book's rows, before anybody is refused."""
    return dump(book)


def answer(desk: LocalDesk, request: Any, actor: Actor) -> Any:
    """What a command or a query is answered with (Any: whatever it asks for)."""
    return desk.ask(request, actor) if isinstance(request, Query) else desk.do(request, actor)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_is_refused_says_why_and_changes_nothing(
    book: LocalDesk, untouched: Dump, me: Actor, refusal: Refusal
) -> None:
    with pytest.raises(AllotmentError) as caught:
        answer(book, refusal.request, me)
    assert type(caught.value) is refusal.error, caught.value
    assert {name: caught.value.facts[name] for name in refusal.facts} == refusal.facts
    assert dump(book) == untouched
