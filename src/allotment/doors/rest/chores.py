"""What the service does beside serving, now and then, in a thread of its own.

Invariant: a chore that fails is told once and tried again; it keeps neither a request nor the end
of the process waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from allotment.errors import AllotmentError

FORGET_SECONDS: Final = 3600.0

_log = structlog.get_logger("allotment.chores")


class Chore:
    """Something that is done every so often, as long as the service runs."""

    def __init__(self, name: str, work: Callable[[], object], every_seconds: float) -> None:
        self.name = name
        self._work = work
        self._every_seconds = every_seconds
        self._over = threading.Event()
        self._failing = False

    def start(self) -> None:
        """Begin; the first time is at once."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Do it no more."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._once()
            self._over.wait(self._every_seconds)

    def _once(self) -> None:
        try:
            self._work()
            self._failing = False
        except AllotmentError as error:
            if not self._failing and not self._over.is_set():
                _log.warning("a chore failed", chore=self.name, code=error.code)
            self._failing = True
