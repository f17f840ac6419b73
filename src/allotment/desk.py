"""The desk: where every command and query comes in, whatever the door.

Invariant: here alone transactions are begun and committed; nothing is served without a permit, and
every request ends by its deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from allotment.engine.access import Permit
from allotment.errors import (
    AllotmentError,
    Bug,
    CommitUnknown,
    DeadlineExceeded,
    Forbidden,
    InvalidValue,
    QuotaExceeded,
    StoreError,
    Unauthenticated,
)
from allotment.model import wire
from allotment.model.access import Actor, local_owner
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, Command
from allotment.model.events import SealAudit
from allotment.model.keys import check_keys
from allotment.model.queries import Query
from allotment.operations import at_once, audit_log, perform, registry
from allotment.operations.gate import Gate, sight_of
from allotment.operations.perform import Asked
from allotment.operations.registry import AGAIN
from allotment.operations.retries import DEADLINE_SECONDS, deadline_of, until_served
from allotment.reception import Reception
from allotment.store import journal, settings
from allotment.store.group_commit import GroupCommit
from allotment.store.session import NeedsPatience, Store

R = TypeVar("R")

ANSWERS_KEPT_SECONDS = 7 * 24 * 3600
RECORDED_SECONDS = 5.0
"""How long a refusal may take to be entered, after the deadline even: none goes unrecorded."""

UNRECORDED = frozenset(
    {"commit-unknown", "misconfigured", "not-primary", "overloaded", "schema-mismatch"}
    | {"store-corrupt", "store-full", "store-unavailable"}
)
"""Failures that leave no record: the database is not there to take it, or it may have been done."""
SEAL_SECONDS = 2.0
LEADERS = 2
"""Batches of hot commands under way at once: one is made ready while another one commits."""


SEALER = local_owner("system:sealer")


class Job(NamedTuple):
    """A command on its way, and when (monotonic seconds) its time is over."""

    asked: Asked
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


class PromptDesk(Desk, Protocol):
    """A desk that event loops may ask: it answers hot commands without keeping a thread waiting."""

    def do_soon(
        self, command: Command[R], actor: Actor, tell: Callable[[R | BaseException], None], /
    ) -> None:
        """As `LocalDesk.do_soon`."""
        ...

    def watch_groups(self, observe: Callable[[int], None]) -> None:
        """As `LocalDesk.watch_groups`."""
        ...


class LocalDesk:
    """The desk of a book in a database that this process reaches itself; thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._gate = Gate()
        leaders = LEADERS if store.dialect.concurrent else 1
        self._group: GroupCommit[Job] = GroupCommit(self._serve_group, leaders)
        self._reception = Reception(store, self._gate)
        self._wrote = False

    def close(self) -> None:
        """Enter who was here, seal what this desk has written, and close every connection."""
        self._group.close()
        self._reception.enter_uses()
        if self._wrote:
            self._wrote = False
            self.seal()
        self.store.close()

    def seal(self) -> None:
        """Seal what was committed; what the database refuses now, the next one to come seals."""
        job = Job(Asked(SEALER, SealAudit()), time.monotonic() + SEAL_SECONDS)
        with suppress(AllotmentError):
            self._alone(job)

    def __enter__(self) -> LocalDesk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def authenticate(self, bearer: str, source: Address | None = None) -> Actor:
        """The actor that a token stands for; what it may do is asked when it asks for something.

        `source` is the address it comes from, for tokens that are bound to some.

        Raises:
            Unauthenticated: it is no token, or not one that is valid now, from there.
            StoreError: the database failed.
        """
        return self._reception.authenticate(bearer, source)

    def recognise(self, bearer: str, source: Address | None = None) -> Actor | None:
        """As `authenticate`, of a token that was looked at just now, without the database.

        Returns:
            None where that is not known: `authenticate` finds out, and says why not.
        """
        return self._reception.recognise(bearer, source)

    def watch_groups(self, observe: Callable[[int], None]) -> None:
        """Tell somebody how many commands are served together, each time; it must not raise."""
        self._group.observe = observe

    def forget_answers(self) -> int:
        """Delete stored answers that nobody may ask for again; how many.

        Until then, asking again with the same idempotency key gets the first answer.
        """
        with self.store.writing(deadline=time.monotonic() + DEADLINE_SECONDS) as tx:
            return journal.forget(tx, tx.now - ANSWERS_KEPT_SECONDS * 1000)

    def cursor_key(self) -> bytes:
        """What cursors are signed with where they leave the house; the same in every process."""
        with self.store.reading(deadline=time.monotonic() + DEADLINE_SECONDS) as r:
            return settings.cursor_key(r)

    def do(self, command: Command[R], actor: Actor, /) -> R:
        """Carry a command out in one transaction.

        Raises:
            InvalidValue: a field breaks its rule.
            Unauthenticated, Forbidden: the actor is not known any more, or may not.
            AllotmentError: as the command says; nothing was changed, except after CommitUnknown.
        """
        if not isinstance(command, Command):
            raise InvalidValue("command", type(command).__name__, "commands are done")
        wire.check(actor)
        wire.check(command)
        check_keys(command)
        self._wrote |= command.journaled
        job = Job(Asked(actor, command), deadline_of(command))
        result: R
        if command.together:
            result = self._group.submit(job)
            return result
        try:
            result = self._alone(job)
        except AllotmentError as error:
            self._record_failures([(job.asked, error)])
            raise
        return result

    def do_soon(
        self, command: Command[R], actor: Actor, tell: Callable[[R | BaseException], None], /
    ) -> None:
        """Have a hot command carried out without waiting here: `tell` gets its answer or error.

        Raises:
            InvalidValue: a field breaks its rule, or the command is none that is served `together`.
        """
        if not command.together:
            raise InvalidValue("command", type(command).__name__, "served alone: do it")
        wire.check(actor)
        wire.check(command)
        check_keys(command)
        self._wrote = True
        self._group.submit_soon(Job(Asked(actor, command), deadline_of(command)), tell)

    def ask(self, query: Query[R], actor: Actor, /) -> R:
        """Answer a query from one snapshot.

        Raises:
            InvalidValue, Unauthenticated, Forbidden, AllotmentError: as `do`.
        """
        if not isinstance(query, Query):
            raise InvalidValue("query", type(query).__name__, "queries are asked")
        wire.check(actor)
        wire.check(query)
        deadline = deadline_of(query)

        sealed = not query.sealed

        def once(_patient: bool) -> Any:
            with self.store.reading(deadline=deadline) as r:
                rights = self._gate.rights(r, actor)
                permit = self._gate.permit(r, rights, query)
                if not sealed and not audit_log.is_sealed(r):
                    return AGAIN  # who may see the log, sees it up to now
                r.sight = sight_of(rights)
                return registry.answer(r, permit)

        try:
            answer = until_served(once, deadline)
            if answer is AGAIN:
                self.seal()
                sealed = True
                answer = until_served(once, deadline)
            found: R = answer
            return found
        except (Forbidden, Unauthenticated) as error:
            self._record_failures([(Asked(actor, query), error)])
            raise

    def _alone(self, job: Job, *, wait: bool = False) -> Any:
        """One command in a transaction of its own, until it is served or the deadline is over."""

        def once(patient: bool) -> Any:
            with self.store.writing(patient=patient or wait, deadline=job.deadline) as tx:
                return perform.perform_one(tx, self._gate, job.asked)

        return until_served(once, job.deadline, job.asked.request)

    def _record_failures(self, failures: Sequence[tuple[Asked, AllotmentError]]) -> None:
        """The events of what was refused or failed; where the database is away, none."""
        told = [one for one in failures if one[1].code not in UNRECORDED]
        if not told or time.monotonic() - self.store.away_at < RECORDED_SECONDS:
            return
        deadline = time.monotonic() + RECORDED_SECONDS
        with suppress(StoreError), self.store.writing(deadline=deadline) as tx:
            perform.record_failures(tx, told)

    def _serve_group(self, jobs: Sequence[Job]) -> list[Any]:
        """Hot commands: the plainest at once, the others in one transaction."""
        now = self.store.clock()
        permits = [self._plain_permit(job, now) for job in jobs]
        try:
            outcomes: list[Any] = list(at_once.allocate(self.store, permits, _latest(jobs)))
        except CommitUnknown as error:
            # What has a key is looked up by it; of the others nobody knows.
            keyed = [job.asked.request.idempotency_key is not None for job in jobs]
            outcomes = [
                error if permit is not None and not key else None
                for permit, key in zip(permits, keyed, strict=True)
            ]
        except StoreError:
            outcomes = [None] * len(jobs)  # the transaction's own retries see to it
        left = [place for place, outcome in enumerate(outcomes) if outcome is None]
        if left:
            served = self._serve_together([jobs[place] for place in left])
            for place, outcome in zip(left, served, strict=True):
                outcomes[place] = outcome
        return outcomes

    def _plain_permit(self, job: Job, now: int) -> Permit[AllocateAddress] | None:
        """A permit by what is known; whoever is refused by that is looked at in a transaction."""
        if job.deadline < time.monotonic():
            return None
        try:
            return self._gate.plain_permit(*job.asked, now)
        except AllotmentError:
            return None

    def _serve_together(self, jobs: Sequence[Job]) -> list[Any]:
        """Hot commands in one transaction; what cannot be served so is served alone."""
        if len(jobs) == 1 or _latest(jobs) < time.monotonic():
            return self._one_by_one(jobs)
        try:
            with self.store.writing(deadline=_latest(jobs)) as tx:
                outcomes = perform.perform_many(tx, self._gate, [job.asked for job in jobs])
        except CommitUnknown as error:
            # Only a keyed command can find out; the others are told that nobody knows.
            keyed = [job for job in jobs if _is_keyed(job)]
            found = iter(self._one_by_one(keyed))
            return [next(found) if _is_keyed(job) else error for job in jobs]
        except (StoreError, NeedsPatience, QuotaExceeded, AssertionError):
            # Somebody in the batch, or the database: one by one shows whom it concerns.
            return self._one_by_one(jobs)
        left = [job for job, outcome in zip(jobs, outcomes, strict=True) if outcome is AGAIN]
        late = iter(self._one_by_one(left, wait=True))
        return [next(late) if outcome is AGAIN else outcome for outcome in outcomes]

    def _one_by_one(self, jobs: Sequence[Job], *, wait: bool = False) -> list[Any]:
        """The outcomes of jobs that are each served alone."""
        outcomes = [self._caught(job, wait=wait) for job in jobs]
        pairs = zip(jobs, outcomes, strict=True)
        self._record_failures(
            [(job.asked, one) for job, one in pairs if isinstance(one, AllotmentError)]
        )
        return outcomes

    def _caught(self, job: Job, *, wait: bool = False) -> Any:
        """The outcome of a job served alone, as long as there is time for it."""
        if time.monotonic() > job.deadline:
            return DeadlineExceeded("the time for this request was over before its turn came")
        try:
            return self._alone(job, wait=wait)
        except AllotmentError as error:
            return error
        except AssertionError as error:
            bug = Bug(f"an invariant does not hold: {error}; run 'allotment check'")
            bug.__cause__ = error
            return bug


def _is_keyed(job: Job) -> bool:
    return job.asked.request.idempotency_key is not None


def _latest(jobs: Sequence[Job]) -> float:
    return max(job.deadline for job in jobs)
