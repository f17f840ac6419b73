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

CHANGES = ("take", "give")


class Growth:
    """What has come to a ledger that somebody else writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._changes = 0
        self._asked: set[str] = set()

    def changes(self) -> int:
        """How many changes were acknowledged in it so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            facts = json.loads(line)
            if facts.get("op") in CHANGES:
                self._asked.add(facts["n"])
            elif facts.get("code") == "ok" and facts["n"] in self._asked:
                self._changes += 1
        return self._changes


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
