"""C5: the group commit in simulated threads and time: who leads, who is interrupted, whose batch
fails, is decided by one seed.

Invariant: what runs is the product's own class; only `threading` and `time` are not real.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from allotment.errors import Bug, CommitUnknown
from allotment.store import group_commit
from allotment.store.group_commit import LATER, GroupCommit
from faults.record import Record
from faults.simulated import Task, World

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"seeds": 400, "only_seed": -1},
    "long": {"seeds": 1_000_000, "only_seed": -1},
}
OWN_THREAD = "group-commit"
CALLERS_MAX = 10
SIMULATED = ("threading", "time", "BATCHES_LED_MAX", "BATCH_MAX")
REQUESTS_MAX = 4
LED_MAX, TOGETHER_MAX = 4, 6
"""At most: small bounds, so that the lead changes hands often."""


class StoreFails(Exception):
    """The store raises: the leader of the batch hears it as it is, the others that nobody knows."""


class Refused(Exception):
    """The outcome of an item that the store refuses."""


def run(record: Record, folder: Path) -> None:
    """Seed after seed; then a group that loses its lead, which must be found out."""
    options = record.options
    first = record.seed * 1_000_000
    seeds = range(first, first + options.seeds)
    if options.only_seed >= 0:
        seeds = range(options.only_seed, options.only_seed + 1)
    began = time.monotonic()
    for seed in seeds:
        run_of = Play(seed, GroupCommit)
        for finding in run_of.play():
            record.findings.append(f"{finding} (seed {seed})")
        record.counts.update(run_of.counts)
        record.counts["seeds"] += 1
        if record.counts["seeds"] % 20_000 == 0:
            record.say(f"{record.counts['seeds']} seeds")
    record.notes["seeds a second"] = round(len(seeds) / (time.monotonic() - began), 1)
    lost = sum(1 for seed in range(first, first + 30) if list(Play(seed, LosesTheLead).play()))
    record.counts["sabotaged seeds found"] = lost
    record.need(
        {
            "seeds": len(seeds),
            "answered": len(seeds),
            "refused": len(seeds) // 10,
            "put off": len(seeds) // 20,
            "interrupted": len(seeds) // 100,
            "batches that failed": len(seeds) // 100,
            "sabotaged seeds found": 8,
        }
    )


class LosesTheLead(GroupCommit[int]):
    """The control: a leader that leaves forgets to name another."""

    def _hand_over(self, own: Any) -> None:
        own.leads = False
        if not self._waiting:
            self._leading = False


class Play:
    """One run: some callers, some of whom are interrupted, and a store that sometimes fails."""

    def __init__(self, seed: int, kind: type[GroupCommit[int]]) -> None:
        self.world = World(seed)
        self.kind = kind
        self.counts: Counter[str] = Counter()
        self.served: Counter[int] = Counter()
        self.spoilt: set[int] = set()
        self.told: dict[int, list[Any]] = {}
        self.findings: list[str] = []
        self.led_by: Counter[str] = Counter()

    def play(self) -> Iterator[str]:
        """Everything that was wrong."""
        with self._inside():
            group = self.kind(self._serve)
            callers = self.world.chance.randint(1, CALLERS_MAX)
            tasks = [
                self.world.start(lambda n=n: self._call(group, n), f"caller {n}")
                for n in range(callers)
            ]
            self.world.start(lambda: self._interrupt(tasks), "interrupter")
            stuck = [task for task in self.world.run() if task.name != OWN_THREAD]
            if stuck:
                yield f"L1 {len(stuck)} of {callers} callers wait for ever"
                return
            last = self.world.start(lambda: self._close(group), "closer")
            if self.world.run():
                yield "L1 the group cannot be closed"
                return
            for task in (*tasks, last):
                if task.failure is not None:
                    yield f"E1 {task.name} ended with {type(task.failure).__name__}"
        for task in self.world.tasks:
            task.end()
        yield from self.findings
        for item, number in self.served.items():
            if number > 1:
                yield f"S8 item {item} was served {number} times"
        for item, outcomes in self.told.items():
            if len(outcomes) != 1:
                yield f"D3 item {item} was told {len(outcomes)} outcomes"

    @contextmanager
    def _inside(self) -> Iterator[None]:
        real = {name: getattr(group_commit, name) for name in SIMULATED}
        group_commit.BATCHES_LED_MAX = self.world.chance.randint(1, LED_MAX)
        group_commit.BATCH_MAX = self.world.chance.randint(1, TOGETHER_MAX)
        group_commit.threading = self.world.threading()  # type: ignore[assignment]  # simulated
        group_commit.time = self.world.time()  # type: ignore[assignment]  # simulated
        try:
            yield
        finally:
            for name, value in real.items():
                setattr(group_commit, name, value)

    def _call(self, group: GroupCommit[int], number: int) -> None:
        chance = self.world.chance
        for request in range(chance.randint(1, REQUESTS_MAX)):
            item = number * 100 + request
            if chance.random() < 0.3:
                self.told[item] = []
                group.submit_soon(item, lambda outcome, item=item: self._told(item, outcome))
                continue
            try:
                self._fits(item, group.submit(item))
            except KeyboardInterrupt:
                self.counts["interrupted"] += 1
            except (Refused, CommitUnknown, StoreFails) as error:
                self._fits(item, error)
            if chance.random() < 0.5:
                self.world.sleep(chance.uniform(0, 0.003))

    def _told(self, item: int, outcome: Any) -> None:
        self.told[item].append(outcome)
        self._fits(item, outcome)

    def _fits(self, item: int, outcome: Any) -> None:
        """Whether it is the item's own outcome."""
        if isinstance(outcome, CommitUnknown | StoreFails):
            self.counts["unknown"] += 1
            if item not in self.spoilt:
                told = f"E2 item {item} was told {outcome!r}, and its batch went well"
                self.findings.append(told)
        elif isinstance(outcome, Refused):
            self.counts["refused"] += 1
            if outcome.args != (item,):
                self.findings.append(f"D1 item {item} was told {outcome.args}'s refusal")
        else:
            self.counts["answered"] += 1
            if outcome != ("answer", item) or self.served[item] != 1:
                self.findings.append(f"D1 item {item} was told {outcome}")

    def _serve(self, items: Sequence[int]) -> list[Any]:
        chance = self.world.chance
        me = self.world.current.name
        self.led_by[me] += 1
        if len(items) > 1:
            self.counts["batches of several"] += 1
        if me.startswith("caller") and self.led_by[me] > REQUESTS_MAX * (LED_MAX + 2):
            self.findings.append(f"L4 {me} leads for ever")
        late = {item for item in items[1:] if chance.random() < 0.1}
        self.served.update(item for item in items if item not in late)
        self.counts["put off"] += len(late)
        try:
            self.world.sleep(chance.uniform(0, 0.002))
            if chance.random() < 0.05:
                raise StoreFails
        except BaseException:
            self.spoilt.update(items)
            self.counts["batches that failed"] += 1
            raise
        return [LATER if item in late else self._outcome(item) for item in items]

    def _outcome(self, item: int) -> Any:
        return Refused(item) if self.world.chance.random() < 0.2 else ("answer", item)

    def _interrupt(self, tasks: Sequence[Task]) -> None:
        chance = self.world.chance
        for _ in range(chance.randrange(4)):
            self.world.sleep(chance.uniform(0, 0.004))
            self.world.interrupt(chance.choice(tasks))

    def _close(self, group: GroupCommit[int]) -> None:
        """At the end the group serves as at the beginning; closed, it refuses."""
        try:
            self._fits(9_999, group.submit(9_999))
        except (Refused, CommitUnknown, StoreFails) as error:
            self._fits(9_999, error)
        group.close()
        try:
            group.submit_soon(10_000, lambda _: None)
        except Bug:
            return
        self.findings.append("L2 a closed group takes requests")
