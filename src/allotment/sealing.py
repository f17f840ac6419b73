"""The sealer: a thread that seals the audit while the service runs.

Invariant: it ends when it is told to, and no failure of the database ends it before.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from allotment.desk import SEALER, Desk
from allotment.errors import AllotmentError
from allotment.model.events import SealAudit

EVERY_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


class Sealer:
    """Seals what was committed, every half second; one a process is enough.

    Several processes of one book may each have one: they take turns.
    """

    def __init__(self, desk: Desk, every_seconds: float = EVERY_SECONDS) -> None:
        self._desk = desk
        self._every_seconds = every_seconds
        self._mutex = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False

    def __enter__(self) -> Sealer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin; nothing, if it is at work already."""
        with self._mutex:
            if self.running:
                return
            self._over.clear()
            self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Seal once more and end; returns when it has."""
        with self._mutex:
            self._over.set()
            if self._thread is not None:
                self._thread.join()
                self._thread = None

    def _run(self) -> None:
        while not self._over.wait(self._every_seconds):
            self._seal()
        self._seal()

    def _seal(self) -> None:
        """Once; where there was more than fits into one transaction, the next time goes on."""
        try:
            self._desk.do(SealAudit(), SEALER)
        except AllotmentError as error:
            if not self._failing:
                _log.warning("the audit is not being sealed: %s", error.code)
            self._failing = True
            return
        if self._failing:
            _log.warning("the audit is being sealed again")
        self._failing = False
