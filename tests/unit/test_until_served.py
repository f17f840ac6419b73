"""What is run again, how, and when it ends: whatever the database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from allotment.errors import (
    AllotmentError,
    AlreadyExists,
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    Deadlock,
    Overloaded,
    StoreError,
    StoreFull,
)
from allotment.model.commands import Command, CreateProject
from allotment.model.results import Project
from allotment.operations.retries import longest_pause, may_run_again, until_served
from allotment.store.session import NeedsPatience

PLAIN = CreateProject(name="p")
KEYED = CreateProject(name="p", idempotency_key="k")


class UseCase:
    """A use case that ends so, one time after the other, and remembers how it was run."""

    def __init__(self, *ends: Exception) -> None:
        self._ends: Iterator[Exception] = iter(ends)
        self.patient: list[bool] = []

    def __call__(self, patient: bool) -> str:
        self.patient.append(patient)
        for end in self._ends:
            raise end
        return "done"


def soon() -> float:
    return time.monotonic() + 20.0


def test_who_met_locked_rows_waits_for_them_from_then_on() -> None:
    case = UseCase(Deadlock("no"), NeedsPatience(), Busy("no"))
    assert until_served(case, soon(), PLAIN) == "done"
    assert case.patient == [False, False, True, True]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (NeedsPatience, Busy),
        (lambda: ConstraintFailed("allocation_pkey"), Busy),
        (lambda: Deadlock("no"), Deadlock),
        (lambda: CommitUnknown("lost"), CommitUnknown),
    ],
    ids=["locked rows", "a race", "a deadlock", "lost commits"],
)
def test_what_does_not_pass_is_told_when_the_time_is_over(
    end: Callable[[], Exception], told: type[AllotmentError]
) -> None:
    case = UseCase(*(end() for _ in range(1_000)))
    with pytest.raises(told):
        until_served(case, time.monotonic() + 0.1, KEYED)
    assert 1 < len(case.patient) < 100, "with a pause that grows"


def test_the_first_time_again_comes_at_once() -> None:
    began = time.monotonic()
    for _ in range(50):
        assert until_served(UseCase(Deadlock("no")), soon(), PLAIN) == "done"
    assert time.monotonic() - began < 0.5


def test_nobody_waits_beyond_the_deadline_to_be_told() -> None:
    left = []
    for _ in range(5):
        deadline = time.monotonic() + 0.1
        with pytest.raises(Deadlock):
            until_served(UseCase(*(Deadlock("no") for _ in range(1_000))), deadline, PLAIN)
        left.append(deadline - time.monotonic())
    assert max(left) > 0, "a pause that would end too late is not begun"


def test_a_pause_begins_with_the_second_failure_and_doubles_up_to_half_a_second() -> None:
    pauses = [longest_pause(failed) for failed in range(1, 9)]
    assert pauses == pytest.approx([0, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5])
    assert longest_pause(100_000) == 0.5


@pytest.mark.parametrize(
    ("constraint", "told"), [("project_name_once", AlreadyExists), ("unheard_of", Bug)]
)
def test_a_constraint_that_no_race_violates_is_explained_at_once(
    constraint: str, told: type[AllotmentError]
) -> None:
    case = UseCase(ConstraintFailed(constraint))
    with pytest.raises(told):
        until_served(case, soon(), PLAIN)
    assert case.patient == [False]


@pytest.mark.parametrize(
    ("error", "command", "again"),
    [
        (CommitUnknown("lost"), PLAIN, False),
        (CommitUnknown("lost"), KEYED, True),
        (CommitUnknown("lost"), None, True),
        (Overloaded("no connection of ours is free"), PLAIN, False),
        (Overloaded("the server has no more", state="53300"), PLAIN, True),
        (StoreFull("full"), KEYED, False),
        (Busy("later"), PLAIN, True),
    ],
)
def test_only_what_cannot_be_done_twice_is_run_again(
    error: StoreError, command: Command[Project] | None, again: bool
) -> None:
    assert may_run_again(error, command) is again
    case = UseCase(error)
    if again:
        assert until_served(case, soon(), command) == "done"
    else:
        with pytest.raises(type(error)) as raised:
            until_served(case, soon(), command)
        assert raised.value is error
    assert len(case.patient) == 1 + again
