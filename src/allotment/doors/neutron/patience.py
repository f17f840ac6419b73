"""How long Neutron is told to ask again while the book is away.

Invariant: a short outage is waited for; in a long one no request of Neutron's waits for its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

AWAY_SECONDS_MAX: Final = 60.0


class Patience:
    """Since when every attempt has failed, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing_since: float | None = None

    def served(self) -> None:
        """The book has answered."""
        self._failing_since = None

    def is_over(self) -> bool:
        """Note a failure; whether asking again is too much to ask of anybody by now."""
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since > AWAY_SECONDS_MAX
