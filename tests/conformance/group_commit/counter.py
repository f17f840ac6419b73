"""A counter where words are served in capitals, batch by batch, as a test lets them.

Invariant: no test sleeps to be right; every queue is seen to be as long as the test needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from allotment.store.group_commit import BATCH_MAX, LATER, GroupCommit

SECONDS_MAX = 20.0


class Counter:
    """Serves words in capitals, batch by batch, each when it is let; notes who served what."""

    def __init__(self) -> None:
        self.group: GroupCommit[str] = GroupCommit(self._serve)
        self.batches: list[list[str]] = []
        self.leaders: list[str] = []
        self.put_off: list[str] = []
        self.fails: Callable[[Sequence[str]], None] = lambda _: None
        self._entered = threading.Semaphore(0)
        self._let = threading.Semaphore(0)
        self._open = False
        self._crew = ThreadPoolExecutor(BATCH_MAX * 2)

    def _serve(self, words: Sequence[str]) -> list[object]:
        self.batches.append(list(words))
        self.leaders.append(threading.current_thread().name)
        self._entered.release()
        if not self._open:
            assert self._let.acquire(timeout=SECONDS_MAX)
        self.fails(words)
        return [self._outcome(word) for word in words]

    def _outcome(self, word: str) -> object:
        if word in self.put_off:
            self.put_off.remove(word)
            return LATER
        return KeyError(word) if word.startswith("bad") else word.upper()

    def ask(self, word: str) -> Future[object]:
        """Submit a word from a thread of its own."""
        asked = len(self.group._waiting) + len(self.batches)
        future = self._crew.submit(self._submit, word)
        while len(self.group._waiting) + len(self.batches) == asked and not future.done():
            pass
        return future

    def _submit(self, word: str) -> object:
        threading.current_thread().name = word
        return self.group.submit(word)

    def batch_begun(self) -> None:
        """Wait until a batch is being served."""
        assert self._entered.acquire(timeout=SECONDS_MAX)

    def let_one(self) -> None:
        """Let the batch that is being served go on."""
        self._let.release()

    def let_all(self) -> None:
        """Let every batch go on from now."""
        self._open = True
        self._let.release(2)

    def close(self) -> None:
        self.let_all()
        self._crew.shutdown()


@contextmanager
def someone_served(counter: Counter) -> Iterator[Future[object]]:
    """While `first` is being served; afterwards everybody is."""
    first = counter.ask("first")
    counter.batch_begun()
    yield first
    counter.let_all()
