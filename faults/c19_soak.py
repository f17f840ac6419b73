"""C19: clients work for hours while the server is killed every half minute: nothing grows.

Invariant: memory and open files are compared between the second quarter of the run and its last:
what a program needs once, it has by then.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from faults import stage
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import kill_all, left_behind, server
from faults.record import Record

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"minutes": 2, "clients": 8, "kill_seconds": 15},
    "long": {"minutes": 480, "clients": 32, "kill_seconds": 30},
}
SAMPLE_SECONDS = 2.0
GROWTH_MAX = 1.15
FILES_MORE_MAX = 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def run(record: Record, folder: Path) -> None:
    """Work, sample, kill; then judge."""
    options = record.options
    samples: list[tuple[int, int]] = []
    with server(folder) as cluster:
        url = cluster.url()
        pools = stage.build(url)
        with desks_at_work(record, folder, url, pools, pause_seconds=0.02) as crew:
            end = time.monotonic() + options.minutes * 60
            kill_at = time.monotonic() + options.kill_seconds
            while time.monotonic() < end:
                time.sleep(SAMPLE_SECONDS)
                samples.append(_sample(crew))
                if time.monotonic() > kill_at:
                    began = time.monotonic()
                    kill_all(cluster)
                    cluster.start()
                    if crew.works_again(60) is None:
                        record.findings.append("L1 nothing was served after a kill")
                    record.recoveries.append(time.monotonic() - began)
                    record.counts["kills"] += 1
                    kill_at = time.monotonic() + options.kill_seconds
        record.findings += left_behind(url)
        record.take(judge(history.read(crew.ledgers), rows.read(url)))
    _compare(record, samples)
    record.need({"kills": 2, "acknowledged": options.minutes * 60})


def _sample(crew: Crew) -> tuple[int, int]:
    """The resident memory and the open files of all clients' processes."""
    memory = files = 0
    for victim in crew.victims:
        with suppress(OSError):
            pages = Path(f"/proc/{victim.pid}/statm").read_text().split()[1]
            memory += int(pages) * PAGE_BYTES
            files += len(os.listdir(f"/proc/{victim.pid}/fd"))
    return memory, files


def _compare(record: Record, samples: list[tuple[int, int]]) -> None:
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [statistics.median(one[0] for one in part) for part in (early, late)]
    files = [statistics.median(one[1] for one in part) for part in (early, late)]
    record.notes["memory, MiB, second quarter and last"] = [round(one / 2**20, 1) for one in memory]
    record.notes["open files, second quarter and last"] = files
    if memory[1] > memory[0] * GROWTH_MAX:
        grown = f"{memory[0] / 2**20:.0f} to {memory[1] / 2**20:.0f} MiB"
        record.findings.append(f"L2 memory grows: {grown}")
    if files[1] > files[0] + FILES_MORE_MAX:
        record.findings.append(f"L2 open files grow: {files[0]} to {files[1]}")
