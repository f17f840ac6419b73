"""C10: histories of many clients under faults: one order explains every answer.

Invariant: each address, and each pool as a counter, is an object of its own; threads keep to few
pools, so that an order can be sought through the whole history.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from faults import stage
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import kill_all, left_behind, server
from faults.record import Record
from faults.victims import until
from postgres_cluster import Cluster

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"operations": 1_000, "clients": 16, "seconds_max": 90, "kill_seconds": 5},
    "long": {"operations": 1_000_000, "clients": 32, "seconds_max": 14_400, "kill_seconds": 60},
}
DISTURB_SECONDS = 0.4


def run(record: Record, folder: Path) -> None:
    """Until there are enough operations: backends are ended, the server is killed now and then."""
    options = record.options
    with server(folder) as cluster:
        url = cluster.url()
        pools = stage.build(url, small=max(2, options.clients // 4), large=False)
        disturbance = Disturbance(record, cluster)
        with desks_at_work(record, folder, url, pools, apart=True) as crew:
            disturbance.start()
            try:
                _until_enough(record, cluster, crew, disturbance)
            finally:
                disturbance.stop()
        record.findings += left_behind(url)
        events = history.read(crew.ledgers)
        record.say(f"looking for orders of {len(events)} operations")
        began = time.monotonic()
        record.take(judge(events, rows.read(url), counters=True))
        record.notes["judged in, s"] = round(time.monotonic() - began, 1)
        record.counts["operations"] = len(events)
    if record.counts["histories left open"]:
        record.findings.append("S7 for some histories no order was found in the time there was")
    record.need(
        {
            "operations": options.operations,
            "backends ended": 3,
            "histories ordered": 20,
            "take: pool-exhausted": options.operations // 1000,
            "count: ok": options.operations // 1000,
        }
    )


def _until_enough(record: Record, cluster: Cluster, crew: Crew, disturbance: Disturbance) -> None:
    end = time.monotonic() + record.options.seconds_max
    kill_at = time.monotonic() + record.options.kill_seconds
    told = 0
    while crew.answers < record.options.operations and time.monotonic() < end:
        time.sleep(0.2)
        if crew.answers // 50_000 > told:
            told = crew.answers // 50_000
            record.say(f"{crew.answers} answered")
        if time.monotonic() > kill_at:
            with disturbance.paused:
                began = time.monotonic()
                kill_all(cluster)
                cluster.start()
                record.counts["kills"] += 1
                if crew.works_again(60) is None:
                    record.findings.append("L1 nothing was served after a kill")
                record.recoveries.append(time.monotonic() - began)
            kill_at = time.monotonic() + record.options.kill_seconds


class Disturbance:
    """Ends a backend at random, again and again."""

    def __init__(self, record: Record, cluster: Cluster) -> None:
        self._record = record
        self._cluster = cluster
        self._chance = random.Random(record.seed + 1)
        self._over = threading.Event()
        self.paused = threading.Lock()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(self._chance.uniform(0, 2 * DISTURB_SECONDS)):
            with self.paused:
                self._end_one()

    def _end_one(self) -> None:
        try:
            with psycopg.connect(self._cluster.url(), autocommit=True) as conn:
                found = conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <>"
                    " pg_backend_pid() AND backend_type = 'client backend'"
                    " ORDER BY random() LIMIT 1"
                ).fetchall()
                self._record.counts["backends ended"] += len(found)
        except psycopg.Error:
            until(lambda: self._over.is_set(), 0.2)
