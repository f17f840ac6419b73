"""A client's own record of what it asked and what it heard.

Invariant: a line is on the disk before the request is sent, and another after its answer came;
times are of the one monotonic clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any


class Ledger:
    """One file, written by many threads, which share its syncs."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers: Iterator[int] = count()
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        self._written = self._synced = 0

    def close(self) -> None:
        """End the file."""
        os.close(self._file)

    # Any: whatever JSON holds.
    def call(self, op: str, **asked: Any) -> str:
        """Enter that something is about to be asked; the name it goes by."""
        name = f"{self.name}.{next(self._numbers)}"
        self.enter(n=name, op=op, t=monotonic(), **asked)
        return name

    def heard(self, name: str, code: str, got: Any = None) -> None:
        """Enter the answer: `ok`, an error's code, or `unknown`."""
        self.enter(n=name, t=monotonic(), code=code, got=got)

    def enter(self, **facts: Any) -> None:
        """Append a line and see it on the disk; whoever waits for the disk syncs for all."""
        line = json.dumps(facts, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            os.write(self._file, line)
            self._written += 1
            mine = self._written
        if self._synced >= mine:
            return
        with self._syncing:
            if self._synced < mine:
                upto = self._written
                os.fdatasync(self._file)
                self._synced = upto
