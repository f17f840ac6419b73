"""The event of each command: of what was done, and of what was refused.

Invariant: each command has one event, alone and in a group, which says what became of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from allotment import LocalDesk
from allotment.errors import AllotmentError, IdempotencyMismatch, Unauthenticated
from allotment.model import wire
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, Command, CreateProject, ReleaseAddress
from allotment.model.events import ResolveOperation
from allotment.model.grants import GetQuota
from allotment.model.queries import CheckBook, GetStatus, ListProjects
from allotment.operations.perform import Asked
from allotment.operations.retries import deadline_of
from allotment.store import schema
from allotment.teller import Job
from conformance.dumps import Dumper
from conformance.transactions.commands import REFUSED, address, fitting


@contextmanager
def one_event_each(
    book: LocalDesk, actor: Actor, expected: Sequence[tuple[Command[Any], str]]
) -> Iterator[None]:
    """Meanwhile each of these commands gets one event, with its outcome; no others do."""
    columns = schema.event.c
    query = select(columns.id, columns.actor, columns.outcome, columns.command)
    with book.store.reading() as r:
        seen = max((row.id for row in r.run(query)), default=0)
    yield
    with book.store.reading() as r:
        rows = r.run(query.where(columns.id > seen).order_by(columns.id)).all()
    assert {row.actor for row in rows} <= {actor.name}
    told = sorted((row.command, row.outcome) for row in rows)
    assert told == sorted((wire.encode(command).decode(), code) for command, code in expected)


def test_each_command_that_is_refused_has_one_event_that_says_why(
    book: LocalDesk, me: Actor
) -> None:
    for command, kind in REFUSED:
        with pytest.raises(kind) as refusal:
            book.do(command, me)
        code = refusal.value.code
        with one_event_each(book, me, [(command, code)]), pytest.raises(kind):
            book.do(command, me)
        keyed = command
        if command.takes_key:
            keyed = msgspec.structs.replace(command, idempotency_key="k")
        with one_event_each(book, me, [(keyed, code)]), pytest.raises(kind):
            book.do(keyed, me)


def test_a_key_used_for_something_else_has_an_event_that_says_so(
    book: LocalDesk, me: Actor
) -> None:
    for first in (CreateProject(name="a"), AllocateAddress(subnet="n")):
        book.do(msgspec.structs.replace(first, idempotency_key=type(first).__name__), me)
        for other in (CreateProject(name="b"), AllocateAddress(subnet="n", hostname="x")):
            keyed = msgspec.structs.replace(other, idempotency_key=type(first).__name__)
            with (
                one_event_each(book, me, [(keyed, "idempotency-mismatch")]),
                pytest.raises(IdempotencyMismatch),
            ):
                book.do(keyed, me)


GROUP: list[tuple[Command[Any], str]] = [
    (AllocateAddress(subnet="n"), "done"),
    (AllocateAddress(subnet="n", address=address(5)), "address-taken"),
    (ReleaseAddress(subnet="n", address=address(8)), "done"),
    (ReleaseAddress(subnet="n", address=address(99)), "not-found"),
    (AllocateAddress(subnet="n", owner="j", idempotency_key="new"), "done"),
    (AllocateAddress(subnet="n", hostname="other", idempotency_key="old"), "idempotency-mismatch"),
    (AllocateAddress(subnet="n", idempotency_key="fenced"), "operation-fenced"),
    (AllocateAddress(subnet="n", owner="nobody"), "not-found"),
]
OVER_QUOTA = [(AllocateAddress(subnet="n", owner="void", hostname=f"h{n}"), n) for n in range(7)]


def serve_crowd(book: LocalDesk, jobs: list[Job]) -> list[Any]:
    return book._teller.serve_crowd(jobs)


def outcome_of(answer: object) -> str:
    return answer.code if isinstance(answer, AllotmentError) else "done"


def test_each_command_of_a_group_has_one_event_whatever_became_of_the_others(
    book: LocalDesk, me: Actor
) -> None:
    book.do(AllocateAddress(subnet="n", idempotency_key="old"), me)
    book.do(ResolveOperation(key="fenced"), me)
    before = book.ask(GetStatus(), me).allocations
    jobs = [Job(Asked(me, command), deadline_of(command)) for command, _ in GROUP]
    with one_event_each(book, me, GROUP):
        assert [outcome_of(one) for one in serve_crowd(book, jobs)] == [code for _, code in GROUP]
    assert book.ask(GetStatus(), me).allocations == before + 1
    assert book.ask(CheckBook(), me).clean


def test_a_group_that_goes_over_a_quota_has_one_event_for_each_command(
    book: LocalDesk, me: Actor
) -> None:
    """It is served again one by one, so that as many are done as the limit allows."""
    wanted = [(command, "done" if n < 5 else "quota-exceeded") for command, n in OVER_QUOTA]
    jobs = [Job(Asked(me, command), deadline_of(command)) for command, _ in wanted]
    with one_event_each(book, me, wanted):
        assert [outcome_of(one) for one in serve_crowd(book, jobs)] == [code for _, code in wanted]
    assert book.ask(GetQuota(project="void"), me).addresses_used == 5


def test_what_was_too_late_to_be_served_has_an_event(book: LocalDesk, me: Actor) -> None:
    late = [(AllocateAddress(subnet="n", hostname=f"h{n}"), "deadline-exceeded") for n in range(2)]
    jobs = [Job(Asked(me, command), time.monotonic() - 1.0) for command, _ in late]
    with one_event_each(book, me, late):
        for job in jobs:
            assert [outcome_of(one) for one in serve_crowd(book, [job])] == ["deadline-exceeded"]


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a group"])
def test_whoever_may_not_has_an_event_of_it_and_nothing_else(
    book: LocalDesk, me: Actor, dump: Dumper, alone: bool
) -> None:
    viewer, stranger = Actor(name="token:t"), Actor(name="token:nobody")
    before = dump(book)
    hot = AllocateAddress(subnet="n")
    for actor, command, code in (
        (viewer, hot, "forbidden"),
        (viewer, CreateProject(name="x"), "forbidden"),
        (stranger, hot, "unauthenticated"),
        (stranger, CreateProject(name="x"), "unauthenticated"),
    ):
        with one_event_each(book, actor, [(command, code)] * (1 if alone else 2)):
            if command is hot and not alone:
                jobs = [Job(Asked(actor, hot), deadline_of(hot))] * 2
                assert [outcome_of(one) for one in serve_crowd(book, jobs)] == [code] * 2
                continue
            for _ in range(1 if alone else 2):
                with pytest.raises(AllotmentError) as refusal:
                    book.do(command, actor)
                assert refusal.value.code == code
        assert dump(book) == before
    with (
        one_event_each(book, stranger, [(ListProjects(), "unauthenticated")]),  # type: ignore[list-item]
        pytest.raises(Unauthenticated),
    ):
        book.ask(ListProjects(), stranger)


def test_each_command_that_has_an_effect_has_one_event(book: LocalDesk, me: Actor) -> None:
    def events() -> list[tuple[str, str]]:
        query = text("SELECT actor, command FROM event WHERE outcome = 'done' ORDER BY id")
        with book.store.reading() as r:
            return [(row[0], row[1]) for row in r.run(query)]

    for command in fitting():
        before = events()
        book.do(command, me)
        after = events()
        assert len(after) == len(before) + command.journaled, command
        if not command.journaled:
            continue
        assert after[-1][0] == me.name
        assert f'"{type(command).__name__}"' in after[-1][1]
    before = events()
    book.ask(GetStatus(), me)
    assert events() == before, "a query writes nothing"
