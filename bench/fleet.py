"""A fleet of Allotment, simulated event by event: hosts, worker processes, a database, its disk.

Clients ask, wait for the answer and ask again (closed), or come at random whatever happens (open).
A request costs a worker's interpreter `door` seconds, then waits in the worker's group; a leader
takes all that wait, at most `BATCH_MAX`, as the group commit does: the interpreter works `client`
seconds on the batch, the database `server`, and then the log is synced, one sync for all that are
ready for it. An interpreter does one thing at a time; a host and the database do as many as they
have cores.

Invariant: what comes in goes out once; nobody works faster than the service times say.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

BATCH_MAX = 512


class Line(NamedTuple):
    """Seconds of work that a batch takes: so much at once, so much for each in it."""

    fixed: float
    each: float

    def of(self, size: int) -> float:
        """For a batch of that size."""
        return self.fixed + self.each * size


@dataclass(frozen=True, kw_only=True)
class Times:
    """Measured service times, in seconds."""

    door: float
    client: Line
    server: Line
    sync: float
    network: float = 0.0
    """There and back, between a worker and the database."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What there is of everything; `shared`: the database is on the (one) host of the workers."""

    workers: int
    connections: int
    host_cores: float = 1e9
    database_cores: float = 1e9
    shared: bool = False
    databases: int = 1
    rate: float | None = None
    """Requests a second that come, whatever happens; None: each connection asks again at once."""


class Outcome(NamedTuple):
    """What came of it, per second, in seconds, and how busy each part was."""

    rate: float
    mean: float
    p99: float
    batch: float
    interpreters: float
    hosts: float
    database: float


class Cores:
    """Work is done in the order it comes, as much at a time as there are cores."""

    def __init__(self, simulation: Simulation, count: float) -> None:
        self._simulation = simulation
        self._slots = max(1, round(count))
        self._slower = self._slots / count if count < 1e9 else 1.0
        self._free = self._slots
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.busy = 0.0

    def work(self, seconds: float, done: Callable[[], None]) -> None:
        """Begin as soon as a core is free."""
        if not self._free:
            self._waiting.append((seconds, done))
            return
        self._free -= 1
        self._begin(seconds, done)

    def _begin(self, seconds: float, done: Callable[[], None]) -> None:
        seconds *= self._slower
        self.busy += seconds

        def end() -> None:
            if self._waiting:
                self._begin(*self._waiting.popleft())
            else:
                self._free += 1
            done()

        self._simulation.after(seconds, end)


class Interpreter:
    """One thing at a time, in order; it is held while its work waits for a core of the host."""

    def __init__(self, simulation: Simulation, host: Cores) -> None:
        self._simulation = simulation
        self._host = host
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self._held = False
        self.busy = 0.0

    def work(self, seconds: float, done: Callable[[], None]) -> None:
        """When all before is done, and a core is free."""
        if self._held:
            self._waiting.append((seconds, done))
            return
        self._held = True
        began = self._simulation.now

        def end() -> None:
            self.busy += self._simulation.now - began
            self._held = False
            if self._waiting:
                self.work(*self._waiting.popleft())
            done()

        self._host.work(seconds, end)


@dataclass
class Worker:
    """A process: one interpreter, one group commit."""

    simulation: Simulation
    host: Cores
    database: Database
    _interpreter: Interpreter = field(init=False)
    _group: deque[int] = field(default_factory=deque)
    _leading: bool = False

    def __post_init__(self) -> None:
        self._interpreter = Interpreter(self.simulation, self.host)

    @property
    def busy(self) -> float:
        """Seconds that its interpreter was held."""
        return self._interpreter.busy

    def ask(self, request: int) -> None:
        """A request comes through the door, and joins the group."""

        def joined() -> None:
            self._group.append(request)
            self._lead()

        self._interpreter.work(self.simulation.times.door, joined)

    def _lead(self) -> None:
        if self._leading or not self._group:
            return
        self._leading = True
        size = min(len(self._group), BATCH_MAX)
        batch = [self._group.popleft() for _ in range(size)]
        self.simulation.batches.append(size)

        def answered() -> None:
            self._leading = False
            for request in batch:
                self.simulation.answered(request)
            self._lead()

        seconds = self.simulation.times.client.of(size)
        self._interpreter.work(seconds, lambda: self.database.commit(size, answered))


class Database:
    """Cores, and a log that syncs one group of commits at a time."""

    def __init__(self, simulation: Simulation, cores: Cores) -> None:
        self._simulation = simulation
        self.cores = cores
        self._ready: list[Callable[[], None]] = []
        self._syncing = False

    def commit(self, size: int, done: Callable[[], None]) -> None:
        """Work on a batch, then sync it, with whatever else is ready by then."""
        times = self._simulation.times

        def executed() -> None:
            self._ready.append(done)
            self._sync()

        self._simulation.after(
            times.network, lambda: self.cores.work(times.server.of(size), executed)
        )

    def _sync(self) -> None:
        if self._syncing or not self._ready:
            return
        self._syncing = True
        some, self._ready = self._ready, []

        def synced() -> None:
            self._syncing = False
            for done in some:
                done()
            self._sync()

        self._simulation.after(self._simulation.times.sync, synced)


class Simulation:
    """One run of a fleet."""

    def __init__(self, fleet: Fleet, times: Times, seed: int = 1) -> None:
        self.times = times
        self.batches: list[int] = []
        self._fleet = fleet
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._seed = random.Random(seed)
        self._asked: dict[int, float] = {}
        self._spans: list[tuple[float, float]] = []
        self._hosts = Cores(self, fleet.host_cores)
        databases = [
            Database(self, self._hosts if fleet.shared else Cores(self, fleet.database_cores))
            for _ in range(fleet.databases)
        ]
        self._databases = databases
        self._workers = [
            Worker(self, self._hosts, databases[place % len(databases)])
            for place in range(fleet.workers)
        ]
        self._next = 0

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Something happens then."""
        self._order += 1
        heapq.heappush(self._events, (self.now + seconds, self._order, act))

    def answered(self, request: int) -> None:
        """An answer goes out; where clients wait for it, the next request comes."""
        self._spans.append((self.now, self.now - self._asked.pop(request)))
        if self._fleet.rate is None:
            self._come()

    def run(self, seconds: float) -> Outcome:
        """So long; the first fifth is not counted."""
        if self._fleet.rate is None:
            for _ in range(self._fleet.connections):
                self.after(self._seed.random() * 0.01, self._come)
        else:
            for at in self._arrivals(self._fleet.rate, seconds):
                self.after(at, self._come)
        while self._events and self._events[0][0] <= seconds:
            self.now, _, act = heapq.heappop(self._events)
            act()
        counted = sorted(span for at, span in self._spans if at > seconds / 5)
        assert counted, "nothing was answered"
        assert len(set(self._asked)) + len(self._spans) == self._next, "each goes out once"
        slots = self._fleet.database_cores * self._fleet.databases
        return Outcome(
            rate=len(counted) / (seconds * 0.8),
            mean=sum(counted) / len(counted),
            p99=counted[int(len(counted) * 0.99)],
            batch=sum(self.batches) / len(self.batches),
            interpreters=sum(one.busy for one in self._workers) / seconds / len(self._workers),
            hosts=self._hosts.busy / seconds / self._fleet.host_cores,
            database=sum(one.cores.busy for one in self._databases) / seconds / slots,
        )

    def _arrivals(self, rate: float, seconds: float) -> Iterator[float]:
        at = 0.0
        while (at := at + self._seed.expovariate(rate)) < seconds:
            yield at

    def _come(self) -> None:
        request = self._next
        self._next += 1
        self._asked[request] = self.now
        self._workers[request % len(self._workers)].ask(request)
