"""C7: the primary of a highly available PostgreSQL dies or stands still, and a standby takes over.

Invariant: a paused primary comes back while the clients are at work: nothing that it might still
acknowledge may be lost, and no two nodes take writes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from faults import stage
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import children_of
from faults.record import Record
from faults.stage import ROOT
from faults.victims import until

sys.path.insert(0, str(ROOT / "deploy" / "ha"))

from cluster import HighlyAvailable

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"failovers": 2, "clients": 8, "port": 15430},
    "long": {"failovers": 100, "clients": 16, "port": 15430},
}
TAKEOVER_SECONDS_MAX = 120.0
SETTLE_SECONDS_MAX = 180.0
OUTAGE_SECONDS_MAX = 60.0


def run(record: Record, folder: Path) -> None:
    """Kill, pause, kill, ... then judge."""
    cluster = HighlyAvailable(folder / "ha", 3, record.options.port)
    try:
        cluster.up()
        pools = stage.build(cluster.url)
        with desks_at_work(record, folder, cluster.url, pools, pause_seconds=0.05) as crew:
            for number in range(record.options.failovers):
                _failover(record, cluster, crew, paused=number % 2 == 1)
                record.say(
                    f"{number + 1} failovers, {crew.acks} acknowledged,"
                    f" away for {record.recoveries[-1]:.1f} s"
                )
            time.sleep(2)
        events = history.read(crew.ledgers)
        record.take(judge(events, rows.read(cluster.libpq_url)))
    finally:
        cluster.down()
    failovers = record.options.failovers
    record.need(
        {
            "failovers": failovers,
            "leaders killed": failovers // 2,
            "leaders paused": failovers // 2,
            "acknowledged": failovers * 20,
        }
    )


def _failover(record: Record, cluster: HighlyAvailable, crew: Crew, *, paused: bool) -> None:
    leader = cluster.leader()
    if leader is None:
        record.findings.append("L1 there is no leader")
        return
    time.sleep(record.chance.uniform(0.2, 1.5))
    began = time.monotonic()
    everybody = _everybody(cluster, leader)
    for pid in everybody:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP if paused else signal.SIGKILL)
    record.counts["leaders paused" if paused else "leaders killed"] += 1
    if until(lambda: cluster.leader() not in (None, leader), TAKEOVER_SECONDS_MAX, pause=0.2):
        record.counts["failovers"] += 1
    else:
        record.findings.append("L1 nobody took over")
    if crew.works_again(TAKEOVER_SECONDS_MAX) is None:
        record.findings.append("L1 nothing was served after a failover")
    record.recoveries.append(time.monotonic() - began)
    if paused:
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    else:
        cluster.processes[f"node-{leader}"].wait()
        cluster.start_node(leader)
    if not until(cluster.settled, SETTLE_SECONDS_MAX, pause=0.3):
        record.findings.append("L1 the former leader did not become a standby")


def _everybody(cluster: HighlyAvailable, node: int) -> list[int]:
    """Patroni of a node, its PostgreSQL, and every backend."""
    postmaster = cluster.postmaster(node)
    return [cluster.processes[f"node-{node}"].pid, postmaster, *children_of(postmaster)]
