"""The room of threads in which the desk is asked, and the line in front of it.

Invariant: what is inside, what waits and how long is bounded; whoever comes to a full room is told
at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, TypeVar

from allotment.errors import Overloaded

T = TypeVar("T")


class _Errand(NamedTuple):
    """Something to do, and who waits for it; whoever takes the turn does it, or gives it up."""

    work: Callable[[], Any]  # Any: whatever it gives back
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Future[Any]  # Any: as above
    turn: Lock

    def give_up(self) -> None:
        """Nothing was begun, and nothing will be."""
        if self.turn.acquire(blocking=False) and not self.waiting.done():
            self.waiting.set_exception(Overloaded("no thread was free in time", phase="begin"))


class Room:
    """So many threads, and so many places to wait for one.

    The threads never keep the process: one that is busy when the time to stop is over ends with
    it, and its transaction with the connection.
    """

    def __init__(
        self, threads: int, waiting_max: int, long_max: int, wait_seconds: float = 5.0
    ) -> None:
        self._size = threads
        self._wait_seconds = wait_seconds
        self._places = threads + waiting_max
        self._long_places = long_max
        self._line: SimpleQueue[_Errand | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._given_up = False
        self.inside = 0
        self.long_inside = 0

    async def run(self, work: Callable[[], T], *, long: bool = False) -> T:
        """Do something in a thread; `long`: it may take minutes.

        Raises:
            Overloaded: the line is full, or the wait in it was too long.
        """
        with self.place(long=long):
            loop = asyncio.get_running_loop()
            waiting: asyncio.Future[T] = loop.create_future()
            errand = _Errand(work, loop, waiting, Lock())
            self._line.put(errand)
            bound = loop.call_later(self._wait_seconds, errand.give_up)
            if len(self._threads) < min(self.inside, self._size):
                self._threads.append(Thread(target=self._serve, daemon=True, name="desk"))
                self._threads[-1].start()
            try:
                return await waiting
            finally:
                bound.cancel()

    @contextlib.contextmanager
    def place(self, *, long: bool = False) -> Iterator[None]:
        """A place in the line, with or without a thread.

        Raises:
            Overloaded: the line is full.
        """
        if self.inside >= self._places or (long and self.long_inside >= self._long_places):
            raise Overloaded("too many requests are waiting", phase="begin")
        self.inside += 1
        self.long_inside += long
        try:
            yield
        except asyncio.CancelledError:
            self._given_up = True
            raise
        finally:
            self.inside -= 1
            self.long_inside -= long

    def close(self) -> bool:
        """Let the threads end; whether they have done all that they were given."""
        for _ in self._threads:
            self._line.put(None)
        if self._given_up:  # the time to stop was over: the work goes on, for nobody
            return False
        for thread in self._threads:
            thread.join()
        return True

    def _serve(self) -> None:
        while (errand := self._line.get()) is not None:
            if not errand.turn.acquire(blocking=False):
                continue  # given up
            found = error = None
            try:
                found = errand.work()
            except BaseException as raised:  # noqa: BLE001 - whoever waits hears of it
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                errand.loop.call_soon_threadsafe(_tell, errand.waiting, found, error)


def _tell(waiting: asyncio.Future[Any], found: object, error: BaseException | None) -> None:
    if waiting.done():  # given up
        return
    if error is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(found)
