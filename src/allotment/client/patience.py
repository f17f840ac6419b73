"""How long and how often a request is tried.

Invariant: every wait ends before the deadline, finding out about a lost attempt included, and no
two clients wait alike.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any, Final

from allotment.model.command import Command
from allotment.model.queries import Query

PAUSE_SECONDS: Final = 0.1
PAUSE_SECONDS_MAX: Final = 5.0
GRACE_SECONDS: Final = 1.0
"""A server that answers at the deadline itself is still heard."""
FIND_OUT_SECONDS_MAX: Final = 5.0
FIND_OUT_SHARE: Final = 6
"""Of the time of a request: the last sixth of it, and no more than 5 s."""


@dataclass(frozen=True)
class Patience:
    """The time for a request: usual, for what `takes_long` or `reads_all`, and for a server never
    reached yet.
    """

    seconds: float = 30.0
    long_seconds: float = 3600.0
    whole_book_seconds: float = 24 * 3600.0
    first_seconds: float = 3.0

    def for_request(self, request: Command[Any] | Query[Any]) -> float:  # Any: whatever it answers
        """The seconds that a request may take."""
        if request.reads_all:
            return self.whole_book_seconds
        return self.long_seconds if request.takes_long else self.seconds


USUAL: Final = Patience()
HURRIED: Final = Patience(seconds=2.0, long_seconds=2.0, whole_book_seconds=2.0, first_seconds=0.5)


class Course:
    """One request's attempts, until its time is over.

    Once an attempt was lost, the last of the time is kept for finding out what became of it.
    """

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.attempts = 0
        self._to_find_out = min(FIND_OUT_SECONDS_MAX, seconds / FIND_OUT_SHARE)
        self._kept = 0.0

    @property
    def seconds_left(self) -> float:
        """How long an answer may take still."""
        return max(0.0, self.deadline - self._kept - time.monotonic()) + GRACE_SECONDS

    def shorten(self, seconds: float) -> None:
        """Let it end earlier: so many seconds from now, at the latest."""
        self.deadline = min(self.deadline, time.monotonic() + seconds)

    def keep_time_to_find_out(self) -> None:
        """Let the attempts end earlier than the time."""
        self._kept = self._to_find_out

    def finding_out(self) -> Course:
        """What is left of the time, for a question about a lost attempt."""
        return Course(self.deadline - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether there is no time left at all."""
        return time.monotonic() >= self.deadline

    def pause(self, told_seconds: float = 0.0) -> bool:
        """Wait before another attempt, at least as long as the server says; False: no time is left.

        Full jitter: clients that failed together do not come back together.
        """
        self.attempts += 1
        bound = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2 ** min(self.attempts, 10))
        seconds = told_seconds + random.uniform(0, bound)  # noqa: S311 - jitter, not a secret
        if time.monotonic() + seconds > self.deadline - self._kept:
            return False
        time.sleep(seconds)
        return True
