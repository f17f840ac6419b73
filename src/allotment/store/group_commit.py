"""Many callers, one transaction: whoever finds no leader becomes it and serves what is waiting.

Invariant: every item that is submitted gets exactly one outcome, whatever happens to the leader;
a caller alone is its own leader, with no delay and no other thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from allotment.errors import CommitUnknown

Item = TypeVar("Item")
Outcome = Any  # Any: an answer or an exception

BATCH_MAX = 512
BATCHES_LED_MAX = 8
GATHER_CROWD = 4
GATHER_TRIES = 4
GATHER_SECONDS = 0.0002


class _Ticket(Generic[Item]):
    """One caller's item and the place its outcome comes to."""

    __slots__ = ("done", "item", "leads", "outcome", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.outcome: Outcome = None
        self.done = False
        self.leads = False
        self.wake: threading.Lock | None = None


class GroupCommit(Generic[Item]):
    """Serves submitted items in batches, through `serve`: an outcome for each, in their order.

    `serve` must not raise for one item's sake; what it raises goes to every item of the batch.
    """

    def __init__(self, serve: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        self._serve = serve
        self._waiting: deque[_Ticket[Item]] = deque()
        self._mutex = threading.Lock()
        self._led = False
        self._crowd = 0

    def submit(self, item: Item) -> Outcome:
        """Wait for the item's outcome, leading the group when nobody does; raises its error."""
        ticket = _Ticket(item)
        with self._mutex:
            self._waiting.append(ticket)
            if not self._led:
                self._led = True
                ticket.leads = True
            else:
                ticket.wake = threading.Lock()
                ticket.wake.acquire()
        if not ticket.leads:
            assert ticket.wake is not None
            ticket.wake.acquire()
        if ticket.leads:
            self._lead(ticket)
        if isinstance(ticket.outcome, BaseException):
            raise ticket.outcome
        return ticket.outcome

    def _lead(self, own: _Ticket[Item]) -> None:
        """Serve batches until the own item is served and a few more, then pass the lead on."""
        served = 0
        try:
            while True:
                batch = self._next_batch(stop=own.done and served >= BATCHES_LED_MAX)
                if not batch:
                    return
                self._serve_batch(batch)
                served += 1
        except BaseException:
            self._pass_on()
            raise

    def _next_batch(self, *, stop: bool) -> list[_Ticket[Item]]:
        """What is waiting, up to the bound; nothing when the lead has been given up."""
        if not stop:
            self._gather()
        with self._mutex:
            if stop or not self._waiting:
                self._hand_over()
                return []
            self._crowd = min(len(self._waiting), BATCH_MAX)
            return [self._waiting.popleft() for _ in range(self._crowd)]

    def _gather(self) -> None:
        """Let those that the last batch set free ask again: they are on their way together.

        Nobody waits who was alone in the last batch.
        """
        for _ in range(GATHER_TRIES):
            if 2 * len(self._waiting) >= self._crowd or self._crowd < GATHER_CROWD:
                return
            time.sleep(GATHER_SECONDS)

    def _pass_on(self) -> None:
        with self._mutex:
            self._hand_over()

    def _hand_over(self) -> None:
        """Make the first one waiting the leader, or nobody (the mutex is held)."""
        if self._waiting:
            heir = self._waiting[0]
            heir.leads = True
            assert heir.wake is not None
            heir.wake.release()
        else:
            self._led = False

    def _serve_batch(self, batch: Sequence[_Ticket[Item]]) -> None:
        outcomes: Sequence[Outcome] = ()
        failure: BaseException | None = None
        try:
            outcomes = self._serve([ticket.item for ticket in batch])
            assert len(outcomes) == len(batch), "an outcome for each item"
        except BaseException as error:
            failure = CommitUnknown(
                f"the caller that led this request's group failed ({type(error).__name__}):"
                " what became of it is not known",
                phase="commit",
            )
            raise
        finally:
            for place, ticket in enumerate(batch):
                ticket.outcome = outcomes[place] if failure is None else failure
                ticket.done = True
                if ticket.wake is not None and not ticket.leads:
                    ticket.wake.release()
