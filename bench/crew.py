"""Clients that work at the same time: in processes of their own, or in threads of this one.

Invariant: all begin at one moment of one clock and the slot lasts until the last one ends, so a
late or slow client lowers the figure and never raises it.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

START_SECONDS = 0.2


class Slot(NamedTuple):
    """What some clients did together."""

    units: int
    seconds: float

    @property
    def rate(self) -> float:
        """Per second."""
        return self.units / self.seconds


class Client(Protocol):
    """Somebody who can do several kinds of work, one unit at a time."""

    def job(self, kind: str) -> Callable[[], None]:
        """The unit of work of this kind."""
        ...

    def finish(self) -> object:
        """Close everything; what the parent verifies afterwards."""
        ...


def work(once: Callable[[], None], start: float, seconds: float) -> tuple[int, float]:
    """Do units from `start` on until the time is over; how many, and when the last one ended."""
    time.sleep(max(0.0, start - time.monotonic()))
    until = start + seconds
    count = 0
    while True:
        once()
        count += 1
        now = time.monotonic()
        if now >= until:
            return count, now


def _slot(done: Sequence[tuple[int, float]], start: float) -> Slot:
    return Slot(sum(count for count, _ in done), max(end for _, end in done) - start)


class Crew:
    """Client processes, started once (spawned, so that nothing is shared), told what to do."""

    def __init__(self, size: int, client: Callable[..., Client], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection[Any, Any]] = []
        self._processes = []
        for place in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve, args=(theirs, client, place, *arguments), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._answers(self._pipes)

    def slot(self, kind: str, width: int, seconds: float) -> Slot:
        """Let the first `width` clients work at once."""
        some = self._pipes[:width]
        for pipe in some:
            pipe.send(("ready", kind))
        self._answers(some)  # the barrier: everybody is there and has a connection
        start = time.monotonic() + START_SECONDS
        for pipe in some:
            pipe.send(("work", start, seconds))
        return _slot(self._answers(some), start)

    def finish(self) -> list[Any]:
        """What each client has to show; the processes end."""
        for pipe in self._pipes:
            pipe.send(("finish",))
        shown = self._answers(self._pipes)
        for process in self._processes:
            process.join()
        return shown

    def _answers(self, pipes: Sequence[Connection[Any, Any]]) -> list[Any]:
        answers = [pipe.recv() for pipe in pipes]
        for answer in answers:
            if isinstance(answer, str):
                raise SystemExit(f"a client failed:\n{answer}")
        return answers


def _serve(
    pipe: Connection[Any, Any], make: Callable[..., Client], place: int, *arguments: Any
) -> None:
    """The life of a client process; a text as answer is a failure."""
    try:
        client = make(place, *arguments)
        pipe.send(None)
        once: Callable[[], None] = lambda: None  # noqa: E731 - until the first word comes
        while True:
            word, *rest = pipe.recv()
            if word == "ready":
                once = client.job(*rest)
                pipe.send(None)
            elif word == "work":
                pipe.send(work(once, *rest))
            else:
                pipe.send(client.finish())
                return
    except EOFError:
        return  # the parent is gone
    except Exception:  # noqa: BLE001 - the parent raises it
        pipe.send(traceback.format_exc())


def threads_slot(jobs: Sequence[Callable[[], None]], seconds: float) -> Slot:
    """Let a thread for each job work at once."""
    done: list[tuple[int, float]] = []
    failures: list[str] = []
    gate = threading.Event()
    start = 0.0

    def run(once: Callable[[], None]) -> None:
        gate.wait()
        try:
            done.append(work(once, start, seconds))
        except Exception:  # noqa: BLE001 - raised below, in the thread that asked
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    start = time.monotonic() + START_SECONDS
    gate.set()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} threads failed; the first:\n{failures[0]}")
    return _slot(done, start)
