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

from allotment.errors import Bug, CommitUnknown

Item = TypeVar("Item")
Outcome = Any  # Any: an answer or an exception

BATCH_MAX = 512
BATCHES_LED_MAX = 8
GATHER_CROWD = 4
GATHER_TRIES = 4
GATHER_SECONDS = 0.0002


class _Ticket(Generic[Item]):
    """One caller's item and the place its outcome comes to; with `tell`, nobody waits there."""

    __slots__ = ("done", "item", "leads", "outcome", "tell", "wake")

    def __init__(self, item: Item, tell: Callable[[Outcome], None] | None = None) -> None:
        self.item = item
        self.outcome: Outcome = None
        self.done = False
        self.leads = False
        self.tell = tell
        self.wake: threading.Lock | None = None


class GroupCommit(Generic[Item]):
    """Serves submitted items in batches, through `serve`: an outcome for each, in their order.

    `observe` is told the size of each batch; it must be quick and not raise.

    `serve` must not raise for one item's sake; what it raises goes to every item of the batch.
    """

    def __init__(self, serve: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        self._serve = serve
        self._waiting: deque[_Ticket[Item]] = deque()
        self._mutex = threading.Lock()
        self._led = False
        self._crowd = 0
        self.observe: Callable[[int], None] = lambda _size: None
        self._called = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._calls = 0
        self._over = False

    def submit_soon(self, item: Item, tell: Callable[[Outcome], None]) -> None:
        """Have the item served by a thread of the group's own, which hands its outcome to `tell`.

        For callers that cannot wait, as in an event loop; `tell` must be quick and not raise.

        Raises:
            Bug: the group is closed, so that nobody would come to serve it.
        """
        ticket = _Ticket(item, tell)
        with self._mutex:
            if self._over:
                raise Bug("the desk was asked after it was closed")
            self._waiting.append(ticket)
            if not self._led:
                self._led = True
                self._call()

    def _call(self) -> None:
        """Let the group's own thread lead (the mutex is held)."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._lead_when_called, daemon=True)
            self._thread.name = "group-commit"
            self._thread.start()
        self._calls += 1
        self._called.release()

    def close(self) -> None:
        """End the group's own thread, when it has served what it was called for."""
        with self._mutex:
            self._over = True
            thread, self._thread = self._thread, None
        self._called.release()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _lead_when_called(self) -> None:
        while True:
            self._called.acquire()
            with self._mutex:
                if not self._calls:  # it is over
                    return
                self._calls -= 1
            nobody: _Ticket[Item] = _Ticket(None)  # type: ignore[arg-type]  # it is never served
            try:
                self._lead(nobody)
            except Exception:  # noqa: BLE001 - whose requests it concerns has been told
                with self._mutex:
                    self._hand_over(nobody)

    def submit(self, item: Item) -> Outcome:
        """Wait for the item's outcome, leading the group when nobody does; raises its error."""
        ticket = _Ticket(item)
        try:
            self._enqueue(ticket)
            if ticket.wake is not None:
                ticket.wake.acquire()
            if ticket.leads:
                self._lead(ticket)
        except BaseException:
            self._leave(ticket)
            raise
        if isinstance(ticket.outcome, BaseException):
            raise ticket.outcome
        return ticket.outcome

    def _enqueue(self, ticket: _Ticket[Item]) -> None:
        """Wait in the queue, or lead it."""
        with self._mutex:
            if self._led:
                ticket.wake = threading.Lock()
                ticket.wake.acquire()
            else:
                self._led = ticket.leads = True
            self._waiting.append(ticket)

    def _leave(self, ticket: _Ticket[Item]) -> None:
        """Go without an answer (an interrupt): nobody waits for one who is gone."""
        with self._mutex:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if ticket.leads:
                self._hand_over(ticket)

    def _lead(self, own: _Ticket[Item]) -> None:
        """Serve batches until the own item is served and a few more, then pass the lead on."""
        served = 0
        while batch := self._next_batch(own, stop=own.done and served >= BATCHES_LED_MAX):
            answered = own.done
            try:
                self._serve_batch(batch)
            except Exception:  # it concerns others, who were told: our own answer stands
                if not answered:
                    raise
                with self._mutex:
                    self._hand_over(own)
                return
            served += 1

    def _next_batch(self, own: _Ticket[Item], *, stop: bool) -> list[_Ticket[Item]]:
        """What is waiting, up to the bound; nothing when the lead has been given up."""
        if not stop:
            self._gather()
        with self._mutex:
            if stop or not self._waiting:
                self._hand_over(own)
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

    def _hand_over(self, own: _Ticket[Item]) -> None:
        """Make the first one waiting the leader, or nobody (the mutex is held)."""
        own.leads = False
        if not self._waiting:
            self._led = False
        elif (heir := self._waiting[0]).tell is not None:
            self._call()
        else:
            heir.leads = True
            assert heir.wake is not None
            heir.wake.release()

    def _serve_batch(self, batch: Sequence[_Ticket[Item]]) -> None:
        outcomes: Sequence[Outcome] | None = None
        cause = ""
        self.observe(len(batch))
        try:
            found = self._serve([ticket.item for ticket in batch])
            assert len(found) == len(batch), "an outcome for each item"
            outcomes = found
        except BaseException as error:
            cause = type(error).__name__
            raise
        finally:
            for place, ticket in enumerate(batch):
                ticket.outcome = _unknown(cause) if outcomes is None else outcomes[place]
                ticket.done = True
                if ticket.tell is not None:
                    ticket.tell(ticket.outcome)
                if ticket.wake is not None and not ticket.leads:
                    ticket.wake.release()


def _unknown(cause: str) -> CommitUnknown:
    return CommitUnknown(
        f"the caller that led this request's group failed ({cause}):"
        " what became of it is not known",
        phase="commit",
    )
