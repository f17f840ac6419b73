"""C1: PostgreSQL and all its backends are killed, over and over, while clients work.

Invariant: the clients are never told that there is a campaign; they go on as programs do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults import stage
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import kill_all, left_behind, server
from faults.record import Record
from postgres_cluster import Cluster

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"kills": 40, "clients": 8},  # one kill in eight meets a COMMIT that was done
    "long": {"kills": 1_000, "clients": 32},
}
RECOVERY_SECONDS_MAX = 60.0
ANSWERS_BEFORE_A_KILL = 25
"""Of which nine in ten are changes."""
HASTY_OF_TEN = 1
"""Kills after which the next comes before anybody need have been served again."""


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
        with desks_at_work(record, folder, url, pools) as crew:
            told = 0
            while record.counts["kills"] < record.options.kills:
                _killed_at_work(record, cluster, crew)
                if record.counts["kills"] // 50 > told:
                    told = record.counts["kills"] // 50
                    record.say(f"{record.counts['kills']} kills, {crew.acks} acknowledged")
            time.sleep(1)
        record.findings += left_behind(cluster.url())
        record.say(f"judging {crew.acks} acknowledged requests")
        events = history.read(crew.ledgers)
        record.take(judge(events, rows.read(cluster.url())))
    kills = record.options.kills
    record.need(
        {
            "kills": kills,
            "acknowledged": kills * 20,
            "unknown, done": max(1, kills // 100),
            "unknown, not done": max(1, kills // 100),
        }
    )


def _killed_at_work(record: Record, cluster: Cluster, crew: Crew) -> None:
    """One kill, or two in a row; then everybody works for a while."""
    time.sleep(record.chance.uniform(0.05, 0.5))
    began = time.monotonic()
    _kill(record, cluster)
    if record.chance.random() * 10 < HASTY_OF_TEN:
        served = crew.acks
        time.sleep(record.chance.uniform(0, 0.3))
        if crew.acks == served:
            record.counts["kills before anybody was served again"] += 1
        _kill(record, cluster)
    if crew.works_again(RECOVERY_SECONDS_MAX) is None:
        record.findings.append(f"L1 nothing was served within {RECOVERY_SECONDS_MAX} s of a kill")
    record.recoveries.append(time.monotonic() - began)
    if crew.works_again(RECOVERY_SECONDS_MAX, ANSWERS_BEFORE_A_KILL) is None:
        record.findings.append(f"L1 hardly anything was served {RECOVERY_SECONDS_MAX} s long")


def _kill(record: Record, cluster: Cluster) -> None:
    record.counts["processes killed"] += kill_all(cluster)
    record.counts["kills"] += 1
    cluster.start()
