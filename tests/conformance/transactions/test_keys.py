"""Idempotency keys: one key of one actor, one effect and one answer.

Invariant: a key asked again does nothing, whoever asks at once; for another request it is refused.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from allotment import LocalDesk, open_book
from allotment.errors import AllotmentError, IdempotencyMismatch, InvalidValue
from allotment.model.access import Actor, local_owner
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    DeleteProject,
    ReleaseAddress,
    ReleaseMatching,
)
from allotment.model.queries import GetStatus
from conformance.callers import Caller
from conformance.dumps import Dumper
from conformance.transactions.commands import KINDS, address, fitting


def test_a_key_asked_again_gets_the_first_answer_and_does_nothing(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    done = []
    for number, command in enumerate(fitting()):
        if not command.takes_key:
            book.do(command, me)
            continue
        keyed = msgspec.structs.replace(command, idempotency_key=f"key-{number}")
        first = book.do(keyed, me)
        after = dump(book)
        assert book.do(keyed, me) == first, command
        assert dump(book) == after, command
        done.append((keyed, first))
    for keyed, first in done:
        assert book.do(keyed, me) == first, "and it still does when the book has moved on"
    assert {type(keyed) for keyed, _ in done} == {kind for kind in KINDS if kind.takes_key}


def test_a_key_is_refused_where_no_answer_is_kept(book: LocalDesk, me: Actor, dump: Dumper) -> None:
    before = dump(book)
    for command in fitting():
        if not command.takes_key:
            with pytest.raises(InvalidValue) as refusal:
                book.do(msgspec.structs.replace(command, idempotency_key="k"), me)
            assert refusal.value.facts["field"] == "idempotency_key"
    assert dump(book) == before
    assert [kind for kind in KINDS if not kind.takes_key], "there are some"


def test_a_key_is_stored_with_its_effect_once(book: LocalDesk, me: Actor, dump: Dumper) -> None:
    keyed = CreateProject(name="x", idempotency_key="k")
    book.do(keyed, me)
    rows = dump(book)["idempotency"]
    assert [(row[0], row[1]) for row in rows] == [(me.name, "k")]


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (CreateProject(name="a"), CreateProject(name="b")),
        (CreateProject(name="a"), CreateAddressScope(name="a")),
        (CreateProject(name="a"), AllocateAddress(subnet="n")),
        (AllocateAddress(subnet="n"), AllocateAddress(subnet="n", hostname="x")),
        (AllocateAddress(subnet="n"), ReleaseAddress(subnet="n", address=address(5))),
        (AllocateAddress(subnet="n"), CreateProject(name="a")),
        (
            Batch(commands=(CreateProject(name="a"),)),
            Batch(commands=(CreateProject(name="a"), CreateProject(name="b"))),
        ),
    ],
)
def test_a_key_used_for_something_else_is_refused_and_nothing_is_done(
    book: LocalDesk, me: Actor, dump: Dumper, first: Command[Any], other: Command[Any]
) -> None:
    book.do(msgspec.structs.replace(first, idempotency_key="k"), me)
    before = dump(book)
    with pytest.raises(IdempotencyMismatch):
        book.do(msgspec.structs.replace(other, idempotency_key="k"), me)
    assert dump(book) == before


def test_keys_belong_to_their_actor(book: LocalDesk) -> None:
    one, other = local_owner("one"), local_owner("other")
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    assert book.do(wish, one).id != book.do(wish, other).id
    with_another_body = AllocateAddress(subnet="n", hostname="x", idempotency_key="k")
    assert book.do(with_another_body, local_owner("third")).hostname == "x"


def test_a_key_is_not_spent_on_what_was_refused(book: LocalDesk, me: Actor) -> None:
    for wish, repair in (
        (AllocateAddress(subnet="n", address=address(5), idempotency_key="hot"), None),
        (CreateProject(name="j", idempotency_key="cold"), None),
    ):
        with pytest.raises(AllotmentError):
            book.do(wish, me)
        assert repair is None
    book.do(ReleaseMatching(owner="j"), me)
    book.do(DeleteProject(project="j"), me)
    again = AllocateAddress(subnet="n", address=address(5), idempotency_key="hot")
    assert book.do(again, me).address == address(5)
    assert book.do(CreateProject(name="j", idempotency_key="cold"), me).name == "j"


@pytest.mark.parametrize("callers", [2, 8])
def test_one_key_from_many_at_once_has_one_effect(book: LocalDesk, me: Actor, callers: int) -> None:
    before = book.ask(GetStatus(), me).allocations
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    outcomes = [caller.result() for caller in [Caller(book, wish, me) for _ in range(callers)]]
    assert outcomes == [outcomes[0]] * callers, outcomes
    assert not isinstance(outcomes[0], AllotmentError)
    assert book.ask(GetStatus(), me).allocations == before + 1


def test_one_key_from_several_processes_desks_has_one_effect(
    small: LocalDesk, postgres_url: str, me: Actor
) -> None:
    desks = [open_book(postgres_url) for _ in range(4)]
    wish = AllocateAddress(subnet="n", idempotency_key="k")
    outcomes = [caller.result() for caller in [Caller(one, wish, me) for one in desks]]
    for one in desks:
        one.close()
    assert outcomes == [outcomes[0]] * 4, outcomes
    assert small.ask(GetStatus(), me).allocations == 1


def test_a_keyed_batch_is_answered_part_by_part_again(book: LocalDesk, me: Actor) -> None:
    wish = Batch(
        commands=(
            AllocateAddress(subnet="n"),
            AllocateAddresses(subnet="n", count=2),
            CreateProject(name="x"),
        ),
        idempotency_key="k",
    )
    first = book.do(wish, me)
    again = book.do(wish, me)
    assert first == again
    assert [type(part) for part in again] == [type(part) for part in first]
