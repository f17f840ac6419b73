"""The room of threads in which the desk is asked, and the line in front of it.

Invariant: what is inside and what waits is bounded; whoever comes to a full room is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from allotment.errors import Overloaded

T = TypeVar("T")


class Room:
    """So many threads, and so many places to wait for one."""

    def __init__(self, threads: int, waiting_max: int, long_max: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="desk")
        self._places = threads + waiting_max
        self._long_places = long_max
        self.inside = 0
        self.long_inside = 0

    async def run(self, work: Callable[[], T], *, long: bool = False) -> T:
        """Do something in a thread; `long`: it may take minutes.

        Raises:
            Overloaded: the line is full.
        """
        if self.inside >= self._places or (long and self.long_inside >= self._long_places):
            raise Overloaded("too many requests are waiting", phase="begin")
        self.inside += 1
        self.long_inside += long
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self.inside -= 1
            self.long_inside -= long

    def close(self) -> None:
        """Let the threads end when they have done what they were given."""
        self._threads.shutdown(wait=True)
