"""C1: PostgreSQL and all its backends are killed, over and over, while clients work.

Invariant: the clients are never told that there is a campaign; they go on as programs do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.access import Actor
from faults import stage
from faults.crew import Crew, Plan
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import kill_all, left_behind, server
from faults.record import Record
from faults.victims import until
from postgres_cluster import Cluster

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"kills": 10, "clients": 8},
    "long": {"kills": 1_000, "clients": 32},
}
RECOVERY_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Terms:
    """What differs in a control: how the book is reached, and what is done to it first."""

    options: str = ""
    prepare: Callable[[str], object] = lambda _: None


def run(record: Record, folder: Path, terms: Terms = Terms()) -> None:
    """Kill as often as wanted, then judge."""
    with server(folder) as cluster:
        url = cluster.url() + terms.options
        pools = stage.build(url)
        terms.prepare(cluster.url())
        plan = Plan(
            folder=folder,
            pools=pools,
            seed=record.seed,
            processes=2,
            threads=max(1, record.options.clients // 2),
            open_desk=partial(desk_at, url),
        )
        crew = Crew(plan)
        try:
            until(lambda: crew.acks > 20, RECOVERY_SECONDS_MAX, pause=0.05)
            for number in range(record.options.kills):
                _one_kill(record, cluster, crew)
                if number % 50 == 49:
                    record.say(f"{number + 1} kills, {crew.acks} acknowledged")
            time.sleep(1)
            record.findings += crew.finish()
        finally:
            crew.kill()
        record.findings += left_behind(cluster.url())
        record.say(f"judging {crew.acks} acknowledged requests")
        events = history.read(crew.ledgers)
        record.take(judge(events, rows.read(cluster.url())))
    kills = record.options.kills
    record.need(
        {
            "kills": kills,
            "acknowledged": kills * 8,
            "unknown, done": max(1, kills // 100),
            "unknown, not done": max(1, kills // 100),
        }
    )


def desk_at(url: str, _number: int) -> tuple[LocalDesk, Actor]:
    """A desk of its own, and the owner of the book."""
    return open_book(url), local_owner()


def _one_kill(record: Record, cluster: Cluster, crew: Crew) -> None:
    time.sleep(record.chance.uniform(0.05, 0.5))
    began = time.monotonic()
    record.counts["processes killed"] += kill_all(cluster)
    record.counts["kills"] += 1
    cluster.start()
    if crew.works_again(RECOVERY_SECONDS_MAX) is None:
        record.findings.append(f"L1 nothing was served within {RECOVERY_SECONDS_MAX} s of a kill")
    record.recoveries.append(time.monotonic() - began)
