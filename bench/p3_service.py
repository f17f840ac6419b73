"""P3: the service under wrk, against an application that does everything but the allocation.

One worker process on PostgreSQL, 64 connections: each request allocates an address with a token,
the access check, the event and the stored answer of its own idempotency key. The baseline is the
same application with the same token check, reading and answer, and a desk that answers at once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground import Bench, Book, Figure, Ground, checked, interleaved, options
from wrk import Slot, Target, load

from allotment.bootstrap import local_owner, open_book
from allotment.model.access import Role
from allotment.model.events import VerifyAudit
from allotment.model.grants import CreateGrant, CreateToken, TargetKind

REACH = 0.6
REACH_P99 = 3.0
START_SECONDS_MAX = 20.0


def main() -> None:
    """Measure both, in turn."""
    sizes = options(__doc__, connections=(64, 8), seconds=(5.0, 1.0), rounds=(5, 2))
    bench = Bench(claim="P3", options=sizes)
    with Ground() as ground:
        book = ground.book("postgresql", "10.0.0.0/8")
        token = token_for(book)
        ground.settle()
        slots: dict[str, list[Slot]] = {"desk": [], "nothing": []}
        with _served(book, "desk") as desk, _served(book, "nothing") as nothing:

            def slot(kind: str, url: str, seconds: float) -> float:
                target = Target(url, token, sizes.connections)
                slots[kind].append(load(target, seconds, f"{kind}-{time.monotonic_ns()}"))
                return slots[kind][-1].rate

            rates = interleaved(
                {
                    "desk": lambda: slot("desk", desk, sizes.seconds),
                    "nothing": lambda: slot("nothing", nothing, sizes.seconds),
                },
                sizes.rounds,
                lambda: (slot("desk", desk, 1.0), slot("nothing", nothing, 1.0)),
            )
        wrong = sum(one.wrong for kind in slots.values() for one in kind)
        if wrong:
            raise SystemExit(f"{wrong} requests went wrong")
        _tell(bench, sizes.connections, rates, slots)
        with open_book(book.url) as own:
            report = checked(own)
            proof = own.ask(VerifyAudit(), local_owner())
        if not proof.intact:
            raise SystemExit(f"the audit is not intact: {proof.faults[:3]}")
        bench.note("check", f"clean; {report.allocations} addresses; the audit is intact")
        bench.finish(ground)


def _tell(
    bench: Bench, connections: int, rates: dict[str, list[float]], slots: dict[str, list[Slot]]
) -> None:
    name = f"one worker, {connections} connections"
    bench.add(
        Figure(
            name=f"{name}: allocations",
            unit="per s",
            baseline_name="the same without the desk",
            product=rates["desk"],
            baseline=rates["nothing"],
            reach=REACH,
        )
    )
    bench.add(
        Figure(
            name=f"{name}: p99",
            unit="ms",
            baseline_name="the same without the desk",
            product=[one.p99_seconds * 1000 for one in slots["desk"][1:]],
            baseline=[one.p99_seconds * 1000 for one in slots["nothing"][1:]],
            reach=REACH_P99,
            at_most=True,
        )
    )


def token_for(book: Book) -> str:
    """A token that may allocate from the subnet, and nothing else."""
    with open_book(book.url) as desk:
        made = desk.do(CreateToken(name="bench"), local_owner())
        grant = CreateGrant(
            actor="token:bench",
            role=Role.ALLOCATOR,
            target=TargetKind.SUBNET,
            reference=book.subnet,
        )
        desk.do(grant, local_owner())
        return made.secret.reveal()


@contextmanager
def _served(book: Book, kind: str) -> Iterator[str]:
    """The URL to allocate at, of a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    words = [sys.executable, str(Path(__file__).parent / "p3_door.py"), book.url, str(port), kind]
    process = subprocess.Popen(words, env={**os.environ})
    try:
        end = time.monotonic() + START_SECONDS_MAX
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the service did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1/subnets/{book.subnet}/allocations"
    finally:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    main()
