"""Answers that come from another thread to those who wait in the event loop.

Invariant: each promise is kept once, in the loop that made it; however many are kept together, the
loop is woken once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Answer = Any  # Any: what a command answers, or the error it ended with


class Promises:
    """The promises of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._kept: deque[tuple[asyncio.Future[Answer], Answer]] = deque()
        self._woken = False

    def make(self) -> tuple[asyncio.Future[Answer], Callable[[Answer], None]]:
        """A promise, and what keeps it: to be called once, from any thread."""
        promise: asyncio.Future[Answer] = self.loop.create_future()

        def keep(answer: Answer) -> None:
            self._kept.append((promise, answer))
            if not self._woken:
                self._woken = True
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    self.loop.call_soon_threadsafe(self._tell)

        return promise, keep

    def _tell(self) -> None:
        self._woken = False  # before the look: what comes after it wakes the loop again
        while self._kept:
            promise, answer = self._kept.popleft()
            if not promise.done():  # whoever waited may have gone
                promise.set_result(answer)
