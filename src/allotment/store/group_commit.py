"""Many callers, few transactions: whoever finds nobody leading leads, and serves those who wait.

Invariant: every item that is submitted gets exactly one outcome, whatever happens to its leader;
a caller alone is its own leader, with no delay and no other thread.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from allotment.errors import Bug, CommitUnknown

Item = TypeVar("Item")
Outcome = Any  # Any: an answer or an exception
LATER: Final = object()
"""The outcome of an item that could not be served now: it waits again, before all the others."""

BATCH_MAX = 512
BATCHES_LED_MAX = 8
LEAD_SECONDS_MAX = 0.1
"""Who came longer ago and was served passes the lead on: others may have much more time left."""
SHARE_WAITING = 2
"""A batch begins when as many wait as half the last one had."""
GATHER_CROWD = 4
GATHER_TRIES = 4
GATHER_SECONDS = 0.0002


class _Ticket(Generic[Item]):
    """One caller's item and the place its outcome comes to; with `tell`, nobody waits there.

    One who leads is not in the queue: its item is the first of its first batch.
    """

    __slots__ = ("done", "item", "leads", "leads_until", "outcome", "tell", "wake")

    def __init__(self, item: Item, tell: Callable[[Outcome], None] | None = None) -> None:
        self.item = item
        self.outcome: Outcome = None
        self.done = False
        self.leads = False
        self.leads_until = time.monotonic() + LEAD_SECONDS_MAX
        self.tell = tell
        self.wake: threading.Lock | None = None


class GroupCommit(Generic[Item]):
    """Serves submitted items in batches, through `serve`: an outcome for each, in their order.

    `observe` is told the size of each batch; it must be quick and not raise.

    `serve` must not raise for one item's sake; what it raises goes to every item of the batch. It
    may put items off (LATER), but not all of them.
    """

    def __init__(self, serve: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        self._serve = serve
        self._waiting: deque[_Ticket[Item]] = deque()
        self._mutex = threading.Lock()
        self._leading = False
        self._crowd = 0
        self.observe: Callable[[int], None] = lambda _size: None
        self._called = threading.Condition(self._mutex)
        self._is_needed = False
        self._thread: threading.Thread | None = None
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
            if not self._leading:
                self._leading = True
                self._call()

    def _call(self) -> None:
        """Let the group's own thread lead (the mutex is held)."""
        self._is_needed = True
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._lead_when_called, name="group-commit", daemon=True
            )
            self._thread.start()
        self._called.notify()

    def close(self) -> None:
        """End the group's own thread, when it has served what it was called for."""
        with self._mutex:
            self._over = True
            thread = self._thread
            self._called.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _lead_when_called(self) -> None:
        try:
            while self._is_called():
                nobody: _Ticket[Item] = _Ticket(None)  # type: ignore[arg-type]  # never served
                nobody.done = nobody.leads = True
                nobody.leads_until = math.inf
                try:
                    self._lead(nobody)
                finally:
                    with self._mutex:
                        if nobody.leads:
                            self._hand_over(nobody)
        finally:
            with self._mutex:
                self._thread = None

    def _is_called(self) -> bool:
        """Wait until a leader is called for; False: none will be any more."""
        with self._mutex:
            while not self._is_needed:
                if self._over:
                    return False
                self._called.wait()
            self._is_needed = False
            return True

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
            if not self._leading:
                self._leading = ticket.leads = True
            else:
                ticket.wake = threading.Lock()
                ticket.wake.acquire()
                self._waiting.append(ticket)

    def _leave(self, ticket: _Ticket[Item]) -> None:
        """Go without an answer (an interrupt): nobody waits for one who is gone."""
        with self._mutex:
            ticket.done = True  # or it would be put back, if its batch puts it off
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if ticket.leads:
                self._hand_over(ticket)

    def _lead(self, own: _Ticket[Item]) -> None:
        """Serve batches until the own item is served and a few more, then pass the lead on."""
        served = 0
        while batch := self._next_batch(own, stop=own.done and self._has_led(own, served)):
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

    def _has_led(self, own: _Ticket[Item], served: int) -> bool:
        return served >= BATCHES_LED_MAX or time.monotonic() > own.leads_until

    def _next_batch(self, own: _Ticket[Item], *, stop: bool) -> list[_Ticket[Item]]:
        """What is waiting, up to the bound; nothing when the lead has been given up."""
        if not stop:
            self._gather()
        with self._mutex:
            batch = [] if own.done else [own]
            if stop or not (batch or self._waiting):
                self._hand_over(own)
                return []
            others = min(len(self._waiting), BATCH_MAX - len(batch))
            batch += [self._waiting.popleft() for _ in range(others)]
            self._crowd = len(batch)
            return batch

    def _gather(self) -> None:
        """Let those that the last batch set free ask again: they are on their way together.

        Nobody waits who was alone in the last batch.
        """
        for _ in range(GATHER_TRIES):
            if SHARE_WAITING * len(self._waiting) >= self._crowd or self._crowd < GATHER_CROWD:
                return
            time.sleep(GATHER_SECONDS)

    def _hand_over(self, own: _Ticket[Item]) -> None:
        """Make the first one waiting the leader, or nobody (the mutex is held)."""
        own.leads = False
        if not self._waiting:
            self._leading = False
        elif self._waiting[0].tell is not None:
            self._call()
        else:
            heir = self._waiting.popleft()
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
            assert any(one is not LATER for one in found), "somebody was served"
            outcomes = found
        except BaseException as error:
            cause = type(error).__name__
            raise
        finally:
            late = []
            for place, ticket in enumerate(batch):
                ticket.outcome = _unknown(cause) if outcomes is None else outcomes[place]
                if ticket.outcome is LATER:
                    late.append(ticket)
                    continue
                ticket.done = True
                if ticket.tell is not None:
                    ticket.tell(ticket.outcome)
                if ticket.wake is not None and not ticket.leads:
                    ticket.wake.release()
            if late:
                self._wait_again(late)

    def _wait_again(self, late: Sequence[_Ticket[Item]]) -> None:
        """Put those who were not served back where they were; a leader keeps its own item."""
        with self._mutex:
            self._waiting.extendleft(
                ticket for ticket in reversed(late) if not (ticket.leads or ticket.done)
            )


def _unknown(cause: str) -> CommitUnknown:
    return CommitUnknown(
        f"the caller that led this request's group failed ({cause}):"
        " what became of it is not known",
        phase="commit",
    )
