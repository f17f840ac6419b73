"""A person at a terminal sees that long work goes on; a program sees nothing of it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest


def run(path: Path, *words: str) -> tuple[str, str]:
    """What a command writes to its standard output, and to the terminal on its standard error."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "allotment", "--database", f"sqlite:///{path}", *words]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        timeout=60,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return done.stdout.decode(), shown.decode()


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (("check",), "check book"),
        (("allocate", "n", "--count", "5000"), "allocate addresses"),
        (("forget", "--before", "2026-01-01", "--yes"), "forget periods"),
    ],
)
def test_long_work_shows_that_it_goes_on(
    tmp_path: Path, words: tuple[str, ...], title: str
) -> None:
    path = tmp_path / "book.db"
    run(path, "scope", "create", "s")
    run(path, "subnet", "create", "10.0.0.0/16", "--name", "n")
    written, shown = run(path, *words)
    assert title in shown
    assert title not in written


def test_short_work_shows_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "book.db", "scope", "create", "s")[1] == ""
