"""C2: the service is killed, over and over, while clients work; so are single workers of it.

Invariant: half of the clients ask again by themselves, the other half ask once and find out later;
neither is ever told two things.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import allotment
from allotment.bootstrap import first_token, open_book
from allotment.client.patience import Patience
from allotment.model.access import Actor
from faults import stage
from faults.crew import Crew, two_processes
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.parts import shares, side_by_side
from faults.postgres import children_of, left_behind, server
from faults.record import Record
from faults.service import Service, free_port, preload
from faults.victims import until
from faults.wire_desk import WireDesk

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"kills": 10, "sqlite_kills": 4, "worker_kills": 1, "clients": 8, "at_once": 1},
    "long": {"kills": 1_600, "sqlite_kills": 380, "worker_kills": 20, "clients": 16, "at_once": 3},
}
RECOVERY_SECONDS_MAX = 60.0


def run(record: Record, folder: Path) -> None:
    """So many services side by side, each with a book and clients of its own."""
    preload()
    options = record.options
    names = ("kills", "sqlite_kills", "worker_kills")
    each = [shares(getattr(options, name), options.at_once) for name in names]
    parts = [dict(zip(names, numbers, strict=True)) for numbers in zip(*each, strict=True)]
    kills, worker_kills = options.kills + options.sqlite_kills, options.worker_kills
    side_by_side(record, folder, parts, _in_turn)
    record.need(
        {
            "kills": kills,
            "workers killed": worker_kills,
            "acknowledged": kills * 2,
            "unknown, done": max(1, kills // 50),
            "unknown, not done": max(1, kills // 50),
        }
    )


def _in_turn(record: Record, folder: Path) -> None:
    """First on PostgreSQL, then on SQLite, then worker by worker."""
    options = record.options
    with server(folder) as cluster:
        _killed(record, folder, cluster.url(), options.kills)
        record.findings += left_behind(cluster.url())
    home = folder / "sqlite"
    home.mkdir()
    _killed(record, home, f"sqlite:///{home}/book.db", options.sqlite_kills)
    home = folder / "workers"
    home.mkdir()
    os.chmod(home, 0o755)
    with server(home) as cluster:
        _workers_killed(record, home, cluster.url(), options.worker_kills)


def _killed(record: Record, folder: Path, url: str, kills: int) -> None:
    crew, service = _at_work(record, folder, url)
    try:
        service.start()
        until(lambda: crew.acks > 10, RECOVERY_SECONDS_MAX, pause=0.05)
        for number in range(kills):
            time.sleep(record.chance.uniform(0.02, 0.4))
            began = time.monotonic()
            code = service.kill()
            if code != -9:
                record.findings.append(f"E1 the service ended by itself: {code}")
            record.counts["kills"] += 1
            service.start()
            _recovered(record, crew, began)
            if number % 50 == 49:
                record.say(f"{number + 1} kills, {crew.acks} acknowledged")
        _judged(record, crew, url)
    finally:
        crew.kill()
        service.stop()


def _workers_killed(record: Record, folder: Path, url: str, kills: int) -> None:
    """A worker that dies is replaced, and the others serve meanwhile."""
    crew, service = _at_work(record, folder, url, "--workers", "2")
    try:
        service.start()
        until(lambda: crew.acks > 10, RECOVERY_SECONDS_MAX, pause=0.05)
        for _ in range(kills):
            assert service.victim is not None
            before = _workers(service.victim.pid)
            began = time.monotonic()
            os.kill(record.chance.choice(before), signal.SIGKILL)
            record.counts["workers killed"] += 1
            _recovered(record, crew, began)
            if not until(
                lambda was=tuple(before): _replaced(service, was), RECOVERY_SECONDS_MAX, pause=0.1
            ):
                record.findings.append("L1 a worker that died was not replaced")
        _judged(record, crew, url)
    finally:
        crew.kill()
        assert service.victim is not None
        service.victim.signal(signal.SIGTERM)
        until(service.victim.ended_quietly, RECOVERY_SECONDS_MAX, pause=0.05)
        service.stop()


def _workers(supervisor: int) -> list[int]:
    """The processes that serve; what else the supervisor started tracks resources."""
    found = []
    for pid in children_of(supervisor):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _replaced(service: Service, before: tuple[int, ...]) -> bool:
    assert service.victim is not None
    return len(set(_workers(service.victim.pid)) - set(before)) >= 1


def _at_work(record: Record, folder: Path, url: str, *words: str) -> tuple[Crew, Service]:
    """Clients, and the service that they will find when it starts."""
    pools = stage.build(url)
    with open_book(url) as desk:
        secret = first_token(desk)
    assert secret is not None
    service = Service(url, free_port(), *words)
    desks = partial(desk_at, service.url, secret.reveal())
    return Crew(two_processes(record, folder, pools, desks, keyed_share=1.0)), service


def desk_at(url: str, token: str, number: int) -> tuple[Any, Actor]:
    """The product's client in one process, a plain one in the next."""
    if number % 2:
        return WireDesk(url, token), Actor(name="token:bootstrap")
    desk = allotment.connect(url, token=token, patience=Patience(first_seconds=30.0))
    return desk, desk.actor


def _recovered(record: Record, crew: Crew, began: float) -> None:
    if crew.works_again(RECOVERY_SECONDS_MAX) is None:
        record.findings.append(f"L1 nothing was served within {RECOVERY_SECONDS_MAX} s of a kill")
    record.recoveries.append(time.monotonic() - began)


def _judged(record: Record, crew: Crew, url: str) -> None:
    time.sleep(0.5)
    record.findings += crew.finish()
    record.take(judge(history.read(crew.ledgers), rows.read(url)))
