"""S5: how far a fleet goes: service times measured here, a simulation fed with them, its error.

Service times are processor time, which a busy machine changes less than the clock: of the client
and of its database backends for groups of several sizes (a straight line is laid through them), of
a thread that asks, of the service's worker for a request over HTTP. The simulation (fleet.py) is
held against what P1, P2 and P3 recorded on this machine; one factor, by which the 8 clients of P1
come out right, stands for how much slower it is now. (They fill the cores. A lone client waits most
of the time to be woken, which is no processor's time.) Then it is asked about fleets that are not
here.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import curves
import psycopg
from crew import threads_slot
from fleet import Fleet, Line, Simulation, Times
from ground import ROOT, Bench, Book, Figure, Ground, checked, options
from p2_threads import allocator
from p3_service import token_for
from p11_load import _served
from s1_wal_and_bloat import Groups
from wrk import Target, load

from allotment.bootstrap import open_book

RESULTS = ROOT / "bench" / "results"
TICKS = os.sysconf("SC_CLK_TCK")
REACH = 1.25
"""How far a prediction may be from what was measured."""
SIMULATED_SECONDS = 4.0
ANCHOR = "P1, 8 client processes"
FITS = 4
"""How often the factor is made better."""
SYNCS = "SELECT wal_sync, wal_sync_time FROM pg_stat_wal"
BACKENDS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def main() -> None:
    """Measure, compare, ask."""
    sizes = options(
        __doc__, groups=([1, 8, 64, 256], [1, 16]), seconds=(6.0, 0.5), threads=(64, 8),
        connections=(64, 8),
    )  # fmt: skip
    bench = Bench(claim="S5", options=sizes)
    with Ground() as ground:
        with psycopg.connect(ground.server.admin_url, autocommit=True) as conn:
            conn.execute("ALTER SYSTEM SET track_wal_io_timing = on")
            conn.execute("SELECT pg_reload_conf()")
        book = ground.book("postgresql", "10.0.0.0/8")
        times = _lines(bench, book)
        doors = {"none": 0.0, "thread": _of_a_thread(bench, book, times)}
        doors["request"] = _of_a_request(bench, book, times)
        with open_book(book.url) as desk:
            bench.note("check", f"clean; {checked(desk).allocations} addresses")
        if not sizes.quick:
            _asked(bench, _validated(bench, times, doors))
        bench.finish(ground)


# --- service times


def _spent(processes: Sequence[int]) -> float:
    """Seconds of processor time of some processes, so far."""
    total = 0
    for one in processes:
        with suppress(OSError):  # it has gone
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def _backends(url: str) -> list[int]:
    with psycopg.connect(url, autocommit=True) as conn:
        return [pid for (pid,) in conn.execute(BACKENDS).fetchall()]


def _syncs(url: str) -> tuple[int, float]:
    time.sleep(1.2)  # until the backends have told their figures
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(SYNCS).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def _lines(bench: Bench, book: Book) -> Times:
    """What a group costs its client and its backend, by its size; and a sync of the log."""
    client: list[tuple[int, float]] = []
    server: list[tuple[int, float]] = []
    with open_book(book.url) as desk:
        groups = Groups(desk, book.subnet)
        groups.take(8, keyed=True)
        backends = _backends(book.url)
        before = _syncs(book.url)
        for size in bench.options.groups:
            began, theirs, count = time.process_time(), _spent(backends), 0
            until = time.monotonic() + bench.options.seconds * 2
            while time.monotonic() < until:
                groups.take(size, keyed=True)
                count += 1
            client.append((size, (time.process_time() - began) / count))
            server.append((size, (_spent(backends) - theirs) / count))
    after = _syncs(book.url)
    sync = (after[1] - before[1]) / max(1, after[0] - before[0]) / 1000
    times = Times(door=0.0, client=_fitted(client), server=_fitted(server), sync=sync)
    bench.note("ms of the client, by size", {n: round(one * 1000, 3) for n, one in client})
    bench.note("ms of the database, by size", {n: round(one * 1000, 3) for n, one in server})
    bench.note("a sync of the log, ms", round(sync * 1000, 3))
    return times


def _fitted(points: Sequence[tuple[int, float]]) -> Line:
    """A line that is right, relatively, at the smallest and the largest."""
    (small, low), (large, high) = points[0], points[-1]
    each = (high - low) / (large - small)
    return Line(max(low - each * small, 0.0), each)


def _of_a_thread(bench: Bench, book: Book, times: Times) -> float:
    """Seconds that a thread costs its process beside its share of a group."""
    with open_book(book.url) as desk:
        batches: list[int] = []
        desk.watch_groups(batches.append)
        jobs = [allocator(desk, book.subnet, [])] * bench.options.threads
        threads_slot(jobs, 0.3)
        batches.clear()
        began = time.process_time()
        slot = threads_slot(jobs, bench.options.seconds)
        spent = time.process_time() - began
    return _beside(bench, "a thread", (spent, slot.units), statistics.fmean(batches), times)


def _of_a_request(bench: Bench, book: Book, times: Times) -> float:
    """Seconds that a request over HTTP costs its worker beside its share of a group."""
    token = token_for(book)
    with _served(book, 1) as (url, serving):
        target = Target(
            f"{url}/v1/subnets/{book.subnet}/allocations", token, bench.options.connections
        )
        load(target, 1.0, "warm-up")
        commits, began = _commits(book.url), _spent(serving)
        slot = load(target, bench.options.seconds, "load")
        spent, units = _spent(serving) - began, slot.rate * bench.options.seconds
        mean = max(1.0, units / max(1, _commits(book.url) - commits))
    return _beside(bench, "a request over HTTP", (spent, units), mean, times)


def _beside(bench: Bench, what: str, cost: tuple[float, float], mean: float, times: Times) -> float:
    each = cost[0] / cost[1]
    door = max(0.0, each - times.client.of(round(mean)) / mean)
    told = {"all": round(each * 1e3, 3), "beside": round(door * 1e3, 3), "group": round(mean, 1)}
    bench.note(f"ms of the client's processor, {what}", told)
    return door


def _commits(url: str) -> int:
    time.sleep(1.2)  # until the backends have told their figures
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


# --- held against what was reached


def _points() -> dict[str, tuple[Fleet, str, float, float]]:
    """What was measured on this machine: the fleet, the door, the rate, a sync in seconds."""
    found: dict[str, tuple[Fleet, str, float, float]] = {}
    for claim, door in (("p1", "none"), ("p2", "thread"), ("p3", "request")):
        record = json.loads((RESULTS / f"{claim}.json").read_text())
        machine = record["surroundings"]["machine"]
        for one in record["figures"]:
            if one["unit"] != "per s":
                continue
            count = int(one["name"].split()[0]) if claim != "p3" else 64
            fleet = Fleet(
                workers=count if claim == "p1" else 1,
                connections=count,
                host_cores=machine["cores"],
                shared=True,
            )
            place = f"{record['claim']}, {one['name']}"
            found[place] = fleet, door, one["product_median"], machine["fdatasync_ms"] / 1000
    return found


def _validated(bench: Bench, times: Times, doors: dict[str, float]) -> Times:
    """One factor makes the rate at `ANCHOR` right; with it the other points are predicted."""
    points = _points()
    speed = 1.0

    def predicted(fleet: Fleet, door: str, sync: float) -> float:
        known = _faster(replace(times, door=doors[door]), speed, sync)
        return Simulation(fleet, known).run(SIMULATED_SECONDS).rate

    fleet, door, rate, sync = points.pop(ANCHOR)
    for _ in range(FITS):
        speed *= predicted(fleet, door, sync) / rate
    bench.note("the processor then, beside now: work took", f"{speed:.2f} of the time ({ANCHOR})")
    for name, (fleet, door, measured, sync) in points.items():
        bench.add(_compared(name, predicted(fleet, door, sync), measured))
    return _faster(replace(times, door=doors["request"]), speed, sync)


def _faster(times: Times, speed: float, sync: float) -> Times:
    def line(one: Line) -> Line:
        return Line(one.fixed * speed, one.each * speed)

    client, server = line(times.client), line(times.server)
    return replace(times, door=times.door * speed, client=client, server=server, sync=sync)


def _compared(name: str, predicted: float, measured: float) -> Figure:
    """The larger of the two beside the smaller: the ratio is the error."""
    return Figure(
        name=f"error of the simulation, {name}",
        unit="per s",
        baseline_name="the smaller of predicted and measured",
        product=[max(predicted, measured)],
        baseline=[min(predicted, measured)],
        reach=REACH,
        at_most=True,
        notes={"predicted": round(predicted), "measured": round(measured)},
    )


# --- what is not here


def _asked(bench: Bench, times: Times) -> None:
    """Curves over workers, over the database's cores, and over databases."""
    times = replace(times, network=0.0003)
    bench.note("service times", {name: getattr(times, name) for name in times.__annotations__})
    by_workers: dict[str, list[tuple[float, float]]] = {}
    for cores in (2, 4, 8, 16):
        line = by_workers.setdefault(f"database of {cores} cores", [])
        for workers in (1, 2, 4, 8, 16, 24, 32):
            line.append((workers, _at_most(times, workers, cores, 1)))
    bench.note("per s, by workers", by_workers)
    by_databases: dict[str, list[tuple[float, float]]] = {}
    for cores in (4, 16):
        line = by_databases.setdefault(f"databases of {cores} cores", [])
        for databases in (1, 2, 4, 8):
            line.append((databases, _at_most(times, 8 * databases, cores, databases)))
    bench.note("per s, by databases with 8 workers each", by_databases)
    waits: dict[str, list[tuple[float, float]]] = {}
    most = _at_most(times, 4, 8, 1)
    for share in (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        fleet = Fleet(workers=4, connections=0, database_cores=8, rate=most * share)
        found = Simulation(fleet, times).run(SIMULATED_SECONDS)
        waits.setdefault("mean", []).append((share * 100, found.mean * 1000))
        waits.setdefault("p99", []).append((share * 100, found.p99 * 1000))
    bench.note(f"ms, 4 workers, by load (100 % is {most:,.0f} per s)", waits)
    charts: dict[str, tuple[Any, str, str]] = {
        "workers": (by_workers, "worker processes", "allocations per second"),
        "databases": (by_databases, "databases (8 workers each)", "allocations per second"),
        "waits": (waits, "load, % of what 4 workers can", "milliseconds"),
    }
    for name, (lines, across, up) in charts.items():
        path = ROOT / "docs" / "charts" / f"fleet-{name}.svg"
        path.write_text(curves.chart(lines, across, up))


def _at_most(times: Times, workers: int, cores: int, databases: int) -> float:
    fleet = Fleet(
        workers=workers, connections=64 * workers, database_cores=cores, databases=databases
    )
    return round(Simulation(fleet, times).run(1.5).rate)


if __name__ == "__main__":
    main()
