"""One use case, one transaction: a command that fails has changed nothing.

Invariant: every command is refused, and stopped at its last row, with the book as it was.
"""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import text

from allotment import LocalDesk
from allotment.errors import Bug, StoreError
from allotment.model.access import Actor
from allotment.model.commands import CreateProject, RepairBook
from allotment.model.events import ResolveOperation, SealAudit
from allotment.model.queries import CheckBook, ListProjects
from conformance.dumps import Dumper
from conformance.transactions.commands import KINDS, REFUSED, fitting


def test_a_transaction_inside_a_transaction_is_refused(desk: LocalDesk, me: Actor) -> None:
    for outer in (desk.store.writing, desk.store.reading):
        with outer():
            for inner in (
                lambda: desk.do(CreateProject(name="p"), me),
                lambda: desk.ask(ListProjects(), me),
            ):
                with pytest.raises(Bug) as refusal:
                    inner()
                assert refusal.value.phase == "begin"
    assert desk.ask(ListProjects(), me).items == ()
    assert desk.do(CreateProject(name="p"), me).name == "p"


def test_there_is_a_refusal_of_every_kind_of_command() -> None:
    never = {RepairBook, ResolveOperation, SealAudit}
    assert {type(command) for command, _ in REFUSED} | never == KINDS
    assert {type(command) for command in fitting()} == KINDS


def test_a_command_that_is_refused_changes_nothing(
    book: LocalDesk, me: Actor, dump: Dumper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 1.0)
    before = dump(book)
    for command, kind in REFUSED:
        with pytest.raises(kind) as refusal:
            book.do(command, me)
        assert not isinstance(refusal.value, StoreError), command
        assert dump(book) == before, command
    assert book.ask(CheckBook(), me).clean


def refuse_events(desk: LocalDesk) -> None:
    """Let every command fail after all its work: its event, the last row, is not taken."""
    with desk.store.writing() as tx:
        if desk.store.dialect.concurrent:
            tx.run(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
                )
            )
            action = "FOR EACH ROW EXECUTE FUNCTION refuse()"
        else:
            action = "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        tx.run(text(f"CREATE TRIGGER refuse BEFORE INSERT ON event {action}"))


def test_a_command_whose_event_cannot_be_written_changes_nothing(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    before = dump(book)
    refuse_events(book)
    for number, command in enumerate(fitting()):
        if not command.journaled:
            continue
        keys = (None, f"k{number}") if command.takes_key else (None,)
        for key in keys:
            with pytest.raises(StoreError):
                book.do(msgspec.structs.replace(command, idempotency_key=key), me)
            assert dump(book) == before, command
