"""Serves commands: one by itself, or a crowd of hot ones together.

Invariant: a crowd is served by the deadline of whoever of it is first to run out of time; who could
not be served by then and has time left waits for another turn, so that nobody waits for the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from allotment.engine.access import Permit
from allotment.errors import (
    AllotmentError,
    Bug,
    CommitUnknown,
    DeadlineExceeded,
    QuotaExceeded,
    StoreError,
)
from allotment.model.commands import AllocateAddress
from allotment.operations import at_once, perform
from allotment.operations.gate import Gate
from allotment.operations.perform import Asked
from allotment.operations.registry import AGAIN
from allotment.operations.retries import may_run_again, until_served
from allotment.store.group_commit import LATER
from allotment.store.session import NeedsPatience, Store

TURN_SECONDS = 1.0
"""Whose time is over sooner gets no turn beside others: the crowd would be cut off with it, before
a connection is made even."""
RECORDED_SECONDS = 5.0
"""How long a refusal may take to be entered."""
LATE_SECONDS = 0.2
"""How long after the deadline it may be."""
UNRECORDED = frozenset(
    {"commit-unknown", "misconfigured", "not-primary", "overloaded", "schema-mismatch"}
    | {"store-corrupt", "store-full", "store-unavailable"}
)
"""Failures that leave no record: the database is not there to take it, or it may have been done."""


class Job(NamedTuple):
    """A command on its way, and when (monotonic seconds) its time is over."""

    asked: Asked
    deadline: float

    @property
    def is_keyed(self) -> bool:
        """Whether it may be asked again without being done twice."""
        return self.asked.request.idempotency_key is not None


class Teller:
    """Carries out what was asked; thread-safe."""

    def __init__(self, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    def serve(self, job: Job) -> Any:
        """One command; what it failed of is entered.

        Raises:
            AllotmentError: nothing was changed, except after CommitUnknown.
        """
        try:
            return self.alone(job)
        except AssertionError as error:
            failure: AllotmentError = _bug(error)
        except AllotmentError as error:
            failure = error
        self.record([(job.asked, failure)], job.deadline)
        raise failure

    def alone(self, job: Job, *, until: float | None = None, wait: bool = False) -> Any:
        """One command in a transaction of its own, until it is served or the time is over."""
        deadline = job.deadline if until is None else until

        def once(patient: bool) -> Any:
            with self._store.writing(patient=patient or wait, deadline=deadline) as tx:
                return perform.perform_one(tx, self._gate, job.asked)

        return until_served(once, deadline, job.asked.request)

    def record(self, failures: Sequence[tuple[Asked, AllotmentError]], deadline: float) -> None:
        """The events of what was refused or failed; where the database is away, none."""
        told = [one for one in failures if one[1].code not in UNRECORDED]
        now = time.monotonic()
        if not told or now - self._store.away_at < RECORDED_SECONDS:
            return
        deadline = min(now + RECORDED_SECONDS, max(now, deadline) + LATE_SECONDS)
        with suppress(StoreError), self._store.writing(deadline=deadline) as tx:
            perform.record_failures(tx, told)

    def serve_crowd(self, jobs: Sequence[Job]) -> list[Any]:
        """The outcome of each hot command; LATER for those that are to wait for another turn."""
        deadlines = [job.deadline for job in jobs]
        first, last_call = min(deadlines), time.monotonic()
        if max(deadlines) > last_call + TURN_SECONDS:
            last_call += TURN_SECONDS
        if first >= last_call:
            return self._serve_live(jobs, first)
        # Whose time is over is told so at once; the others have a turn of their own.
        outcomes = [LATER if deadline >= last_call else _over() for deadline in deadlines]
        self._record(jobs, outcomes, first)
        return outcomes

    def _serve_live(self, jobs: Sequence[Job], until: float) -> list[Any]:
        """The plainest at once, the others in one transaction."""
        now = self._store.clock()
        permits = [self._plain_permit(job, now) for job in jobs]
        try:
            outcomes: list[Any] = list(at_once.allocate(self._store, permits, until))
        except CommitUnknown as error:
            # What has a key is looked up by it; of the others nobody knows.
            outcomes = [
                error if permit is not None and not job.is_keyed else None
                for permit, job in zip(permits, jobs, strict=True)
            ]
        except StoreError:
            outcomes = [None] * len(jobs)  # the transaction's own retries see to it
        except AssertionError as error:
            # It may have been done or not: whoever was to be served at once is not served again.
            outcomes = [None if permit is None else _bug(error) for permit in permits]
            self._record(jobs, outcomes, until)
        left = [place for place, outcome in enumerate(outcomes) if outcome is None]
        if left:
            served = self._serve_together([jobs[place] for place in left], until)
            for place, outcome in zip(left, served, strict=True):
                outcomes[place] = outcome
        return outcomes

    def _plain_permit(self, job: Job, now: int) -> Permit[AllocateAddress] | None:
        """A permit by what is known; whoever is refused by that is looked at in a transaction."""
        try:
            return self._gate.plain_permit(*job.asked, now)
        except AllotmentError:
            return None

    def _serve_together(self, jobs: Sequence[Job], until: float) -> list[Any]:
        """Hot commands in one transaction; what cannot be served so is served alone."""
        if len(jobs) == 1 or until < time.monotonic():
            return self._one_by_one(jobs, until)
        try:
            with self._store.writing(deadline=until) as tx:
                outcomes = perform.perform_many(tx, self._gate, [job.asked for job in jobs])
        except CommitUnknown as error:
            # Only a keyed command can find out; the others are told that nobody knows.
            found = iter(self._one_by_one([job for job in jobs if job.is_keyed], until))
            return [next(found) if job.is_keyed else error for job in jobs]
        except (StoreError, NeedsPatience, QuotaExceeded, AssertionError):
            # Somebody in the crowd, or the database: one by one shows whom it concerns.
            return self._one_by_one(jobs, until)
        left = [job for job, outcome in zip(jobs, outcomes, strict=True) if outcome is AGAIN]
        late = iter(self._one_by_one(left, until, wait=True))
        return [next(late) if outcome is AGAIN else outcome for outcome in outcomes]

    def _one_by_one(self, jobs: Sequence[Job], until: float, *, wait: bool = False) -> list[Any]:
        """The outcomes of jobs that are each served alone."""
        outcomes = [self._caught(job, until, wait=wait) for job in jobs]
        self._record(jobs, outcomes, until)
        return outcomes

    def _record(self, jobs: Sequence[Job], outcomes: Sequence[Any], deadline: float) -> None:
        pairs = zip(jobs, outcomes, strict=True)
        failures = [(job.asked, one) for job, one in pairs if isinstance(one, AllotmentError)]
        self.record(failures, deadline)

    def _caught(self, job: Job, until: float, *, wait: bool) -> Any:
        """The outcome of a job served alone, as long as the crowd has time for it."""
        if time.monotonic() > until:
            return _over_or_later(job, _over())
        try:
            return self.alone(job, until=until, wait=wait)
        except AllotmentError as error:
            again = isinstance(error, StoreError) and may_run_again(error, job.asked.request)
            return _over_or_later(job, error) if again else error
        except AssertionError as error:
            return _bug(error)


def _bug(error: AssertionError) -> Bug:
    bug = Bug(f"an invariant does not hold: {error}; run 'allotment check'")
    bug.__cause__ = error
    return bug


def _over() -> DeadlineExceeded:
    return DeadlineExceeded("the time for this request was over before its turn came")


def _over_or_later(job: Job, error: AllotmentError) -> Any:
    """What to say to one whom the crowd had no time for."""
    return LATER if job.deadline - time.monotonic() > TURN_SECONDS else error
