"""Running a whole use case again, as long as that is safe and there is time.

Invariant: every retry is bounded by a deadline, and none can do a thing twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from allotment.errors import (
    AllotmentError,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    Overloaded,
    StoreError,
)
from allotment.model.commands import Command
from allotment.model.queries import Query
from allotment.operations.explain import LOOK_AGAIN, explain
from allotment.store.session import NeedsPatience

R = TypeVar("R")

DEADLINE_SECONDS = 30.0
LONG_DEADLINE_SECONDS = 3600.0
WHOLE_BOOK_SECONDS = 24 * 3600.0
BACKOFF_SECONDS = 0.01
BACKOFF_SECONDS_MAX = 0.5
MANY = 10
"""Attempts after which a pause is as long as it may be."""


def deadline_of(request: Command[Any] | Query[Any]) -> float:
    """When (monotonic seconds) the time for a request is over."""
    seconds = LONG_DEADLINE_SECONDS if request.takes_long else DEADLINE_SECONDS
    return time.monotonic() + (WHOLE_BOOK_SECONDS if request.reads_all else seconds)


def until_served(
    once: Callable[[bool], R], deadline: float, command: Command[Any] | None = None
) -> R:
    """Run the whole use case again while that is safe and there is time."""
    patient = False
    attempt = 0
    spent: Exception
    failure: AllotmentError
    while True:
        try:
            return once(patient)
        except NeedsPatience as signal:
            patient, spent = True, signal
            failure = Busy("others are at work on the same addresses; try again")
        except ConstraintFailed as error:
            assert command is not None, "a query writes nothing"
            spent, failure = error, explain(error, command)
            if error.constraint not in LOOK_AGAIN:
                raise failure from error
        except StoreError as error:
            spent = failure = error
            if not may_run_again(error, command):
                raise
        attempt += 1
        pause = longest_pause(attempt) * random.random()  # noqa: S311 - jitter, not a secret
        if time.monotonic() + pause > deadline:
            raise failure from spent
        time.sleep(pause)


def longest_pause(failed: int) -> float:
    """How many seconds it may be until another attempt, when so many have failed."""
    if failed < 2:
        return 0.0
    return min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** min(failed, MANY))


def may_run_again(error: StoreError, command: Command[Any] | None) -> bool:
    """Whether running the whole use case again cannot do it twice.

    After a lost commit only a keyed command may: its stored answer, if it committed, is found, or
    makes the second one wait for the first and then refuses it.
    """
    if isinstance(error, CommitUnknown):
        return command is None or command.idempotency_key is not None
    if isinstance(error, Overloaded) and error.state is None:
        return False  # our own connections are all in use: this request has waited already
    return error.retryable
