"""`allotment serve` beside a Neutron, which can be killed and started again where it was.

Invariant: it keeps its port, its book and its token, however often it is killed.
"""

from __future__ import annotations

import signal
from pathlib import Path

from doors.rest.process import Process


class BookService:
    """A service that keeps a book in a file."""

    def __init__(self, folder: Path) -> None:
        self._options = ["--database", f"sqlite:///{folder}/book.db", "--no-request-log"]
        self._process = Process(*self._options, "--create")
        self.url, self.kills = self._process.url, 0
        self._options += ["--port", str(self._process.port)]
        self.token_file = folder / "token"
        self.token_file.write_text(self._process.token, "ascii")

    def kill(self) -> None:
        """End it without a warning, whatever it is doing."""
        assert self._process.stop(signal.SIGKILL) == -signal.SIGKILL
        self._give_up()
        self.kills += 1

    def start(self) -> None:
        """Start it again."""
        self._process = Process(*self._options)

    def close(self) -> None:
        """End it in order."""
        assert self._process.stop() == 0, self._process.logged()
        self._give_up()

    def _give_up(self) -> None:
        assert self._process.process.stdout is not None
        self._process.process.stdout.close()
        self._process.log.close()
