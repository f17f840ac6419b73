"""The desk: where every command and query comes in, whatever the door.

Invariant: nothing is served without a permit, and every request ends by its deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from allotment.errors import (
    AllotmentError,
    Forbidden,
    InvalidValue,
    Unauthenticated,
)
from allotment.model import wire
from allotment.model.access import Actor, local_owner
from allotment.model.address import Address
from allotment.model.commands import Command
from allotment.model.events import SealAudit
from allotment.model.keys import check_keys
from allotment.model.queries import Query
from allotment.operations import audit_log, registry
from allotment.operations.gate import Gate, sight_of
from allotment.operations.perform import Asked
from allotment.operations.registry import AGAIN
from allotment.operations.retries import DEADLINE_SECONDS, deadline_of, until_served
from allotment.reception import Reception
from allotment.store import journal, settings
from allotment.store.group_commit import GroupCommit
from allotment.store.session import Store
from allotment.teller import Job, Teller

R = TypeVar("R")

ANSWERS_KEPT_SECONDS = 7 * 24 * 3600
SEAL_SECONDS = 2.0
SEALER = local_owner("system:sealer")


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
        self._teller = Teller(store, self._gate)
        self._group: GroupCommit[Job] = GroupCommit(self._teller.serve_crowd)
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
            self._teller.alone(job)

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
        result: R = self._group.submit(job) if command.together else self._teller.serve(job)
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
            self._teller.record([(Asked(actor, query), error)], deadline)
            raise
