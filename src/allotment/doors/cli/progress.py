"""How far long work has come, on the standard error of a person at a terminal.

Invariant: a program never sees it, and the standard output stays clean.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_up = False  # one bar at a time: what is asked within longer work has none of its own

Advance = Callable[[int, int | None], None]
"""Called with how much is done, and of how much, if that is known."""


def _nobody_looks(_done: int, _total: int | None) -> None:
    """Where there is no terminal."""


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A bar while the block runs; it only moves until somebody says how much there is."""
    global _up
    if _up or not sys.stderr.isatty():
        yield _nobody_looks
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(title, total=None)
        _up = True
        try:
            yield lambda done, total: bars.update(task, completed=done, total=total)
        finally:
            _up = False


def title_of(request: type) -> str:
    """What a command or query is called while it is waited for: `allocate addresses`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", request.__name__).lower()
