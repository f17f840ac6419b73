"""Processes that are made to be killed.

Invariant: a victim is a fork of a process that has opened no book; it ends by a signal or with the
code it says, never back in its parent's code.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FAILED = 70


class Victim:
    """A running fork."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.code: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = FAILED
            try:
                work()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else FAILED
                if isinstance(end.code, str):
                    sys.stderr.write(f"{end.code}\n")
            except BaseException:  # noqa: BLE001 - it is told by the exit code and the trace
                with suppress(ValueError, OSError):
                    traceback.print_exc()
            finally:
                with suppress(ValueError, OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)

    def kill(self) -> int:
        """Kill it outright; how it ended (-9: by us)."""
        if self.code is not None:
            return self.code
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit code, once it has ended; a signal's number negated."""
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def ended_quietly(self) -> bool:
        """Whether it has ended; `code` then says how."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None


def silenced() -> None:
    """Say nothing from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def until(condition: Callable[[], bool], seconds: float, *, pause: float = 0.001) -> bool:
    """Wait until something is so; whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def grown(path: Path, size: int) -> bool:
    """Whether a file is longer than it was."""
    return path.exists() and path.stat().st_size > size
