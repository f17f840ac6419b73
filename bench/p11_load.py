"""P11: memory under load: the service as it is run, with 10^6 addresses held, on PostgreSQL.

Two workers, 64 connections, a minute (an hour: `--seconds 3600`).

Each answer is noted by the client; at the end no address was given twice, none that was answered is
missing, nothing went wrong, memory has not grown, `check` is clean and the audit verifies.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground import Bench, Book, Figure, Ground, checked, options
from p3_service import token_for
from wrk import Target, load

from allotment.bootstrap import local_owner, open_book
from allotment.model.commands import AllocateAddresses
from allotment.model.events import VerifyAudit

RESIDENT_MIB_MAX = 150.0
GROWTH_MAX = 1.15
PAGE_BYTES = 4096


def main() -> None:
    """Load, then prove."""
    sizes = options(
        __doc__, connections=(64, 16), seconds=(60.0, 4.0), workers=(2, 2), held=(1_000_000, 2_000)
    )
    bench = Bench(claim="P11", options=sizes)
    with Ground() as ground:
        book = ground.book("postgresql", "10.0.0.0/8")
        token = token_for(book)
        with open_book(book.url) as desk:
            fill = AllocateAddresses(subnet=book.subnet, count=sizes.held)
            desk.do(fill, local_owner())
        ground.settle()
        ledger = ground.directory / "ledger"
        with _served(book, sizes.workers) as (url, processes):
            target = Target(
                f"{url}/v1/subnets/{book.subnet}/allocations", token, sizes.connections, ledger
            )
            load(target, 3.0, "warm-up")
            memory = _Memory(processes)
            slot = load(target, sizes.seconds, "load")
            grown = memory.growth()
        lines = [
            line.split()
            for part in sorted(ground.directory.glob("ledger.*"))
            for line in part.read_text().splitlines()
        ]
        answered = Counter(address for status, address in lines if status == "201")
        twice = sum(1 for count in answered.values() if count > 1)
        bench.note("requests", f"{slot.rate:,.0f} per s, p99 {slot.p99_seconds * 1000:.1f} ms")
        bench.note("answers", f"{len(lines):,}, {slot.wrong} wrong, {twice} addresses twice")
        bench.add(_bounded("memory of a worker", "MiB", memory.last_mib, RESIDENT_MIB_MAX))
        bench.add(_bounded("memory at the end, of the first quarter's", "", grown, GROWTH_MAX))
        with open_book(book.url) as desk:
            report = checked(desk)
            proof = desk.ask(VerifyAudit(), local_owner())
        missing = len(answered) - (report.allocations - sizes.held)
        bench.note("check", f"clean; {report.allocations:,} held, {len(answered):,} answered")
        bench.note(
            "audit", f"{proof.events:,} events, {'intact' if proof.intact else 'NOT INTACT'}"
        )
        if slot.wrong or twice or missing > 0 or grown > GROWTH_MAX or not proof.intact:
            raise SystemExit("FAILED")
        bench.finish(ground)


def _bounded(name: str, unit: str, found: float, bound: float) -> Figure:
    return Figure(
        name=name,
        unit=unit,
        baseline_name="the bound",
        product=[found],
        baseline=[bound],
        reach=1.0,
        at_most=True,
    )


class _Memory:
    """What some processes hold, looked at every second."""

    def __init__(self, processes: list[int]) -> None:
        self._processes = processes
        self._seen: list[float] = []
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            try:
                held = [
                    int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE_BYTES
                    for one in self._processes
                ]
            except OSError:
                return
            self._seen.append(sum(held) / len(held) / 2**20)
            time.sleep(1.0)

    @property
    def last_mib(self) -> float:
        """The mean of the processes, at last."""
        return self._seen[-1]

    def growth(self) -> float:
        """The end as a share of the end of the first quarter."""
        return self._seen[-1] / self._seen[len(self._seen) // 4]


@contextmanager
def _served(book: Book, workers: int) -> Iterator[tuple[str, list[int]]]:
    """The service's URL and its workers."""
    words = [sys.executable, "-m", "allotment", "serve", "--port", "0", "--no-request-log"]
    words += ["--workers", str(workers), "--database", book.url]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        url = said.rpartition("listening on ")[2].strip()
        time.sleep(3.0)  # until each worker has opened the book
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield url, [int(one) for one in found if _is_worker(int(one))] or [process.pid]
    finally:
        process.terminate()
        process.wait(60)


def _is_worker(process: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


if __name__ == "__main__":
    main()
