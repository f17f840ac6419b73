"""Faults of keyed commands: the same key twice at once, and a commit that comes late.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from allotment import Address, LocalDesk, Prefix, open_book
from allotment.errors import AllotmentError
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    DeleteProject,
    ReleaseAddress,
)
from conformance.callers import Caller, waiting


@pytest.mark.parametrize(
    "command",
    [
        CreateProject(name="x"),
        CreateSubnet(prefix=Prefix("10.1.0.0/24")),
        AllocateAddress(subnet="n", address=Address("10.0.0.9")),
        ReleaseAddress(subnet="n", address=Address("10.0.0.5")),
        DeleteProject(project="old"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_keyed_command_whose_commit_comes_late_gets_its_own_answer(
    wire: Any, postgres_url: str, me: Actor, command: Command[Any]
) -> None:
    """S8, D3: the second attempt meets the effect of the first, and takes it for a stranger's."""
    with open_book(wire.url) as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateProject(name="old"), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)
        desk.do(AllocateAddress(subnet="n", address=Address("10.0.0.5")), me)
        keyed = structs.replace(command, idempotency_key="k")
        wire.cut("late")
        caller = Caller(desk, keyed, me)
        waiting(postgres_url)
        wire.let_go()
        caller.join(40)
        assert not isinstance(caller.outcome, AllotmentError), repr(caller.outcome)
        assert desk.do(keyed, me) == caller.outcome


def test_one_key_from_many_at_once_has_one_answer_whatever_the_command(
    desk: LocalDesk, me: Actor
) -> None:
    for attempt in range(5):
        wish = CreateProject(name=f"p{attempt}", idempotency_key=f"k{attempt}")
        callers = [Caller(desk, wish, me) for _ in range(6)]
        for caller in callers:
            caller.join(40)
        outcomes = [caller.outcome for caller in callers]
        assert outcomes == [outcomes[0]] * 6, outcomes
