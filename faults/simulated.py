"""Threads, locks and time that are simulated: one thread runs at a time, and a seed says which.

Invariant: the same seed gives the same run; time passes only when nobody can go on.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any


class Task:
    """A thread of the simulation."""

    def __init__(self, world: World, work: Callable[[], object], name: str) -> None:
        self.world = world
        self.name = name
        self.baton = threading.Semaphore(0)
        self.over = False
        self.interrupted = False
        self.waits_for: SimLock | None = None
        self.failure: BaseException | None = None
        self.thread: SimThread | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.baton.acquire()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the run is judged by it
            self.failure = error
        self.over = True
        self.world.turn.release()

    def join(self) -> None:
        """Wait, in the simulation, until it is over."""
        while not self.over:
            self.world.sleep(0.001)

    def end(self) -> None:
        """Wait, in truth, until its thread is gone."""
        self._thread.join()


class World:
    """Who runs, who waits, and what time it is."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.turn = threading.Semaphore(0)
        self.tasks: list[Task] = []
        self.steps = 0
        self._ready: list[Task] = []
        self._sleeping: list[tuple[float, int, Task]] = []
        self._numbers = count()
        self._current: Task | None = None

    @property
    def current(self) -> Task:
        """Whoever runs now."""
        assert self._current is not None
        return self._current

    def start(self, work: Callable[[], object], name: str) -> Task:
        """Let another thread begin."""
        task = Task(self, work, name)
        self.tasks.append(task)
        self._ready.append(task)
        return task

    def run(self, steps_max: int = 100_000) -> list[Task]:
        """Go on until nobody can; who is not over then."""
        while self.steps < steps_max:
            if not self._ready:
                if not self._sleeping:
                    break
                self.now, _, task = heapq.heappop(self._sleeping)
                self._ready.append(task)
            place = self.chance.randrange(len(self._ready))
            self._ready[place], self._ready[-1] = self._ready[-1], self._ready[place]
            self._current = self._ready.pop()
            self.steps += 1
            self._current.baton.release()
            self.turn.acquire()
        return [task for task in self.tasks if not task.over]

    def pause(self) -> None:
        """Somebody else may run now."""
        self._ready.append(self.current)
        self._let_go()

    def sleep(self, seconds: float) -> None:
        """Wait for simulated time to pass."""
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._numbers), self.current))
        self._let_go()

    def wait(self) -> None:
        """Wait until somebody wakes this thread."""
        self._let_go()

    def wake(self, task: Task) -> None:
        """Let one that waits go on."""
        self._ready.append(task)

    def interrupt(self, task: Task) -> bool:
        """Interrupt a thread that waits for a lock; whether it did."""
        lock = task.waits_for
        if lock is None or task.over:
            return False
        task.interrupted = True
        lock.give_up(task)
        self._ready.append(task)
        return True

    def _let_go(self) -> None:
        me = self.current
        self.turn.release()
        me.baton.acquire()
        if me.interrupted:
            me.interrupted = False
            raise KeyboardInterrupt

    def threading(self) -> SimpleNamespace:
        """What stands in the place of the module `threading`."""
        return SimpleNamespace(
            Lock=lambda: SimLock(self, 1),
            Semaphore=lambda value=1: SimLock(self, value),
            Condition=lambda lock: SimCondition(self, lock),
            Thread=lambda target, name, daemon=True: SimThread(self, target, name),
            current_thread=lambda: self.current.thread or self.current,
        )

    def time(self) -> SimpleNamespace:
        """What stands in the place of the module `time`."""
        return SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)


class SimLock:
    """A lock, or a semaphore."""

    def __init__(self, world: World, value: int) -> None:
        self._world = world
        self._value = value
        self._waiting: deque[Task] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; waits for as long as it takes."""
        assert blocking
        assert timeout == -1
        self._world.pause()
        while self._value == 0:
            me = self._world.current
            self._waiting.append(me)
            me.waits_for = self
            try:
                self._world.wait()
            finally:
                me.waits_for = None
        self._value -= 1
        return True

    def release(self) -> None:
        """Give it back; one of those who wait may try."""
        self._value += 1
        if self._waiting:
            place = self._world.chance.randrange(len(self._waiting))
            self._waiting.rotate(-place)
            self._world.wake(self._waiting.popleft())

    def give_up(self, task: Task) -> None:
        """A thread waits no more."""
        self._waiting.remove(task)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: Any) -> None:
        self.release()


class SimCondition:
    """A condition of a lock."""

    def __init__(self, world: World, lock: SimLock) -> None:
        self._world = world
        self._lock = lock
        self._waiting: deque[Task] = deque()

    def wait(self) -> None:
        """Give the lock back until somebody notifies."""
        self._waiting.append(self._world.current)
        self._lock.release()
        self._world.wait()
        self._lock.acquire()

    def notify(self) -> None:
        """Let one of those who wait go on."""
        if self._waiting:
            self._world.wake(self._waiting.popleft())

    def notify_all(self) -> None:
        """Let all go on."""
        while self._waiting:
            self.notify()


class SimThread:
    """A thread that the code under test starts."""

    def __init__(self, world: World, target: Callable[[], object], name: str) -> None:
        self._world = world
        self._target = target
        self._task: Task | None = None
        self.name = name

    def start(self) -> None:
        """Begin."""
        self._task = self._world.start(self._target, self.name)
        self._task.thread = self

    def join(self) -> None:
        """Wait until it is over."""
        assert self._task is not None
        self._task.join()
