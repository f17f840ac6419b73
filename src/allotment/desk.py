"""The desk: where every command and query comes in, whatever the door.

Invariant: here alone transactions are begun, retried and committed; nothing is served without a
permit, and every retry is bounded by a deadline.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from allotment.engine.access import Permit, authorize, owner_rights
from allotment.errors import (
    AllotmentError,
    Bug,
    Busy,
    CommitUnknown,
    ConstraintFailed,
    DeadlineExceeded,
    InvalidValue,
    Overloaded,
    StoreError,
)
from allotment.model import wire
from allotment.model.access import Actor, local_owner
from allotment.model.commands import Batch, Command
from allotment.model.events import ListAudit, ListEvents, SealAudit
from allotment.model.limits import BATCH_MAX
from allotment.model.queries import Query
from allotment.operations import at_once, perform, registry
from allotment.operations.explain import LOOK_AGAIN, explain
from allotment.operations.registry import AGAIN
from allotment.store.group_commit import GroupCommit
from allotment.store.session import NeedsPatience, Store

R = TypeVar("R")

DEADLINE_SECONDS = 30.0
LONG_DEADLINE_SECONDS = 3600.0
SEAL_SECONDS = 2.0
BACKOFF_SECONDS = 0.01
BACKOFF_SECONDS_MAX = 0.5


SEALER = local_owner("system:sealer")


class Job(NamedTuple):
    """A permitted command on its way, and when (monotonic seconds) its time is over."""

    permit: Permit[Any]  # Any: whatever it answers
    deadline: float


class Desk(Protocol):
    """What a door talks to: a book, wherever it is."""

    def do(self, command: Command[R], actor: Actor, /) -> R:
        """Carry a command out, all of it or nothing; raises AllotmentError."""
        ...

    def ask(self, query: Query[R], actor: Actor, /) -> R:
        """Answer a query from one snapshot; raises AllotmentError."""
        ...

    def close(self) -> None:
        """Give back what the desk holds; it is not used again."""
        ...


class LocalDesk:
    """The desk of a book in a database that this process reaches itself; thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._group: GroupCommit[Job] = GroupCommit(self._serve_group)
        self._wrote = False

    def close(self) -> None:
        """Seal what this desk has written, and close every connection."""
        if self._wrote:
            self.seal()
        self.store.close()

    def seal(self) -> None:
        """Seal what was committed; what the database refuses now, the next one to come seals."""
        job = Job(authorize(owner_rights(SEALER), SealAudit()), time.monotonic() + SEAL_SECONDS)
        with suppress(AllotmentError):
            self._alone(job, ())

    def __enter__(self) -> LocalDesk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, command: Command[R], actor: Actor, /) -> R:
        """Carry a command out in one transaction.

        Raises:
            InvalidValue: a field breaks its rule.
            Forbidden: the actor may not.
            AllotmentError: as the command says; nothing was changed, except after CommitUnknown.
        """
        if not isinstance(command, Command):
            raise InvalidValue("command", type(command).__name__, "commands are done")
        wire.check(actor)
        wire.check(command)
        job = Job(authorize(owner_rights(actor), command), _deadline(command))
        result: R
        if registry.is_hot(type(command)):
            result = self._group.submit(job)
        else:
            result = self._alone(job, _parts(job.permit))
        self._wrote |= command.journaled
        return result

    def ask(self, query: Query[R], actor: Actor, /) -> R:
        """Answer a query from one snapshot.

        Raises:
            InvalidValue, Forbidden, AllotmentError: as `do`.
        """
        if not isinstance(query, Query):
            raise InvalidValue("query", type(query).__name__, "queries are asked")
        wire.check(actor)
        wire.check(query)
        permit = authorize(owner_rights(actor), query)
        if isinstance(query, ListEvents | ListAudit):
            self.seal()
        deadline = _deadline(query)

        def once(_patient: bool) -> R:
            with self.store.reading(deadline=deadline) as r:
                answer: R = registry.answer(r, permit)
            return answer

        return _until_served(once, deadline)

    def _alone(self, job: Job, parts: Sequence[Permit[Any]], *, wait: bool = False) -> Any:
        """One command in a transaction of its own, until it is served or the deadline is over."""

        def once(patient: bool) -> Any:
            with self.store.writing(patient=patient or wait, deadline=job.deadline) as tx:
                return perform.perform_one(tx, job.permit, parts)

        return _until_served(once, job.deadline, job.permit.request)

    def _serve_group(self, jobs: Sequence[Job]) -> list[Any]:
        """Hot commands: the plainest at once, the others in one transaction."""
        try:
            permits = [job.permit for job in jobs]
            outcomes: list[Any] = at_once.allocate(self.store, permits, _latest(jobs))
        except CommitUnknown as error:
            unknown = [at_once.is_plain(job.permit.request) for job in jobs]
            outcomes = [error if lost else None for lost in unknown]
        except StoreError:
            outcomes = [None] * len(jobs)  # the transaction's own retries see to it
        left = [place for place, outcome in enumerate(outcomes) if outcome is None]
        if left:
            served = self._serve_together([jobs[place] for place in left])
            for place, outcome in zip(left, served, strict=True):
                outcomes[place] = outcome
        return outcomes

    def _serve_together(self, jobs: Sequence[Job]) -> list[Any]:
        """Hot commands in one transaction; what cannot be served so is served alone."""
        if len(jobs) == 1:
            return [self._caught(jobs[0])]
        try:
            with self.store.writing(deadline=_latest(jobs)) as tx:
                outcomes = perform.perform_many(tx, [job.permit for job in jobs])
        except CommitUnknown as error:
            # Only a keyed command can find out; the others are told that nobody knows.
            return [
                self._caught(job) if job.permit.request.idempotency_key else error for job in jobs
            ]
        except (StoreError, NeedsPatience, AssertionError):
            # Somebody in the batch, or the database: one by one shows whom it concerns.
            return [self._caught(job) for job in jobs]
        return [
            self._caught(job, wait=True) if outcome is AGAIN else outcome
            for job, outcome in zip(jobs, outcomes, strict=True)
        ]

    def _caught(self, job: Job, *, wait: bool = False) -> Any:
        """The outcome of a job served alone, as long as there is time for it."""
        if time.monotonic() > job.deadline:
            return DeadlineExceeded("the time for this request was over before its turn came")
        try:
            return self._alone(job, (), wait=wait)
        except AllotmentError as error:
            return error
        except AssertionError as error:
            bug = Bug(f"an invariant does not hold: {error}; run 'allotment check'")
            bug.__cause__ = error
            return bug


def _latest(jobs: Sequence[Job]) -> float:
    return max(job.deadline for job in jobs)


def _deadline(request: Command[Any] | Query[Any]) -> float:
    """When (monotonic seconds) the time for a request is over."""
    seconds = LONG_DEADLINE_SECONDS if request.takes_long else DEADLINE_SECONDS
    return time.monotonic() + seconds


def _parts(permit: Permit[Any]) -> list[Permit[Any]]:
    """The permits of a batch's commands, each of which the actor must be allowed."""
    batch = permit.request
    if not isinstance(batch, Batch):
        return []
    if not 1 <= len(batch.commands) <= BATCH_MAX:
        raise InvalidValue("commands", len(batch.commands), f"a batch has 1 to {BATCH_MAX}")
    parts = []
    for place, command in enumerate(_commands(batch)):
        if isinstance(command, Batch) or command.idempotency_key is not None:
            rule = "a part of a batch is no batch, and has no idempotency key of its own"
            raise InvalidValue(f"commands[{place}]", type(command).__name__, rule)
        wire.check(command)
        parts.append(authorize(permit.rights, command))
    return parts


def _commands(batch: Batch) -> tuple[Command[Any], ...]:
    return batch.commands


def _until_served(
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
            if not _may_run_again(error, command):
                raise
        attempt += 1
        pause = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2 ** min(attempt, 10))
        pause *= random.random() if attempt > 1 else 0  # noqa: S311 - jitter, not a secret
        if time.monotonic() + pause > deadline:
            raise failure from spent
        time.sleep(pause)


def _may_run_again(error: StoreError, command: Command[Any] | None) -> bool:
    """Whether running the whole use case again cannot do it twice.

    After a lost commit only a keyed command may: its stored answer, if it committed, is found, or
    makes the second one wait for the first and then refuses it.
    """
    if isinstance(error, CommitUnknown):
        return command is None or command.idempotency_key is not None
    if isinstance(error, Overloaded) and error.state is None:
        return False  # our own connections are all in use: this request has waited already
    return error.retryable
