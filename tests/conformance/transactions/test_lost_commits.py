"""A commit of which nobody hears: before it was done, after it, and late.

Invariant: with a key it is done exactly once; without one, it is said that nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError, CommitUnknown
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.queries import CheckBook, GetStatus
from conformance.callers import Caller, waiting

COMMANDS: list[Command[Any]] = [
    AllocateAddress(subnet="n"),
    AllocateAddress(subnet="n", address=Address("10.0.0.9")),
    AllocateAddresses(subnet="n", count=3),
    CreateProject(name="x"),
    Batch(commands=(CreateProject(name="x"), AllocateAddress(subnet="n"))),
]


def kind_of(command: Command[Any]) -> str:
    return type(command).__name__


def effects(desk: LocalDesk, me: Actor) -> int:
    status = desk.ask(GetStatus(), me)
    return status.allocations + status.projects


def effect_of(command: Command[Any]) -> int:
    return {AllocateAddresses: 3, Batch: 2}.get(type(command), 1)


@pytest.fixture
def wired(wire: Any, me: Actor) -> Any:
    """A desk whose wire to PostgreSQL can be cut."""
    with open_book(wire.url) as made:
        made.do(CreateAddressScope(name="s"), me)
        made.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)
        yield made


@pytest.mark.parametrize("command", COMMANDS, ids=kind_of)
@pytest.mark.parametrize(("cut", "happened"), [("before", 0), ("after", 1)])
def test_a_lost_commit_without_a_key_is_said_to_be_unknown(
    wire: Any, wired: LocalDesk, me: Actor, command: Command[Any], cut: Any, happened: int
) -> None:
    wire.cut(cut)
    with pytest.raises(CommitUnknown) as unknown:
        wired.do(command, me)
    assert wire.cuts == 1
    assert unknown.value.phase == "commit"
    assert unknown.value.__cause__ is not None
    assert effects(wired, me) == happened * effect_of(command)
    assert wired.ask(CheckBook(), me).clean


@pytest.mark.parametrize("command", COMMANDS, ids=kind_of)
@pytest.mark.parametrize(
    "cuts", [("before",), ("after",), ("before", "before"), ("before", "after")], ids=repr
)
def test_a_lost_commit_with_a_key_is_done_exactly_once(
    wire: Any, wired: LocalDesk, me: Actor, command: Command[Any], cuts: Sequence[Any]
) -> None:
    keyed = msgspec.structs.replace(command, idempotency_key="k")
    wire.cut(*cuts)
    answer = wired.do(keyed, me)
    assert wire.cuts == len(cuts)
    assert effects(wired, me) == effect_of(command)
    assert wired.do(keyed, me) == answer
    assert effects(wired, me) == effect_of(command)
    assert wired.ask(CheckBook(), me).clean


@pytest.mark.parametrize("command", COMMANDS[:1] + COMMANDS[2:3], ids=kind_of)
def test_a_commit_that_comes_late_is_waited_for_and_never_done_twice(
    wire: Any, wired: LocalDesk, postgres_url: str, me: Actor, command: Command[Any]
) -> None:
    """The client lost its connection; the server commits while the desk asks a second time."""
    keyed = msgspec.structs.replace(command, idempotency_key="k")
    wire.cut("late")
    caller = Caller(wired, keyed, me)
    waiting(postgres_url)
    wire.let_go()
    answer = caller.result()
    assert not isinstance(answer, AllotmentError), answer
    assert effects(wired, me) == effect_of(command)
    assert wired.do(keyed, me) == answer
    assert wired.ask(CheckBook(), me).clean


def test_an_unknown_commit_is_not_made_known_by_guessing(
    wire: Any, wired: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keyed command too ends so when its time is over; asking again later resolves it."""
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.3)
    keyed = AllocateAddress(subnet="n", idempotency_key="k")
    wire.cut(*["before"] * 1000)
    with pytest.raises(CommitUnknown):
        wired.do(keyed, me)
    wire.heal()
    assert 1 < wire.cuts < 100
    wired.do(keyed, me)
    assert effects(wired, me) == 1
