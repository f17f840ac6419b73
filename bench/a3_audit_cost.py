"""A3: what the tamper-evident audit costs: writers beside a sealer, the blocks' size, the proof.

Threads on one LocalDesk allocate single addresses of one 10.0.0.0/8 durably on PostgreSQL, in turn
with a sealer at work (every half second, as the service has it) and without one; what was left
unsealed is sealed between the rounds, outside of the time. Then logs of many events, on PostgreSQL
and SQLite, are sealed, measured and verified.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
from crew import threads_slot
from ground import Bench, Figure, Ground, checked, interleaved, number, options

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.commands import AllocateAddress
from allotment.model.events import AuditReport, SealAudit, VerifyAudit
from allotment.operations import audit_log
from allotment.sealing import Sealer
from allotment.store.dialect import EventRow

REACH = 0.9
AT_ONCE = 1000
ME = local_owner()


def main() -> None:
    """Measure the writers, then the log."""
    sizes = options(
        __doc__,
        threads=([1, 16, 64], [4]),
        seconds=(4.0, 0.8),
        rounds=(7, 2),
        warm_up=(1.0, 0.3),
        events=(100_000, 2_000),
    )
    bench = Bench(claim="A3", options=sizes)
    with Ground() as ground:
        book = ground.book("postgresql", "10.0.0.0/8")
        held: list[int] = []
        ground.settle()
        with open_book(book.url) as desk:
            for threads in sizes.threads:
                bench.add(_figure(desk, _allocator(desk, book.subnet, held), threads, sizes))
            desk.do(SealAudit(), ME)
            report = _verified(desk)
            if report.events != len(held) + 2:
                raise SystemExit(f"{report.events} events of {len(held)} allocations are sealed")
            blocks, size = report.blocks, _bytes_of_blocks(book.url)
            bench.note("under load", f"{report.events} events in {blocks} blocks, {size} bytes")
            report_of_book = checked(desk, held)
        bench.note("check", f"clean; {report_of_book.allocations} addresses, each once")
        for kind in ("postgresql", "sqlite"):
            for shape in ((AT_ONCE, sizes.events), (1, sizes.events // 100)):
                _log(bench, ground, kind, shape)
        bench.finish(ground)


def _allocator(desk: LocalDesk, subnet: str, held: list[int]) -> Callable[[], None]:
    def allocate() -> None:
        held.append(desk.do(AllocateAddress(subnet=subnet), ME).address.value)

    return allocate


def _figure(desk: LocalDesk, allocate: Callable[[], None], threads: int, sizes: object) -> Figure:
    seconds, rounds, warm_up = (getattr(sizes, name) for name in ("seconds", "rounds", "warm_up"))
    jobs = [allocate] * threads

    def with_sealer() -> float:
        with Sealer(desk):
            return threads_slot(jobs, seconds).rate

    def without() -> float:
        rate = threads_slot(jobs, seconds).rate
        desk.do(SealAudit(), ME)
        return rate

    samples = interleaved(
        {"sealer": with_sealer, "without": without},
        rounds,
        lambda: (threads_slot(jobs, warm_up), desk.do(SealAudit(), ME)),
    )
    return Figure(
        name=f"{threads} threads, with a sealer",
        unit="allocations per s",
        baseline_name="without a sealer",
        product=samples["sealer"],
        baseline=samples["without"],
        reach=REACH,
    )


def _log(bench: Bench, ground: Ground, kind: str, shape: tuple[int, int]) -> None:
    """Seal and verify so many events in blocks of so many."""
    per_block, events = shape
    url = ground.database(kind)
    with open_book(url, create=True) as desk:
        for start in range(0, events, AT_ONCE):
            with desk.store.writing() as tx:
                some = range(start, min(start + AT_ONCE, events))
                tx.dialect.record_events(tx, [_event(place) for place in some])
        began = time.perf_counter()
        with desk.store.writing() as tx:
            audit_log.seal_blocks(tx, per_block, events)
        sealed = time.perf_counter()
        report = _verified(desk)
        verified = time.perf_counter()
    told = (
        f"sealed at {number(events / (sealed - began))} events a second, verified at"
        f" {number(report.events / (verified - sealed))}"
    )
    if kind == "postgresql":
        told += f"; {_bytes_of_blocks(url) / events:.3g} bytes of blocks an event"
    bench.note(f"{kind}, {events} events in blocks of {per_block}", told)
    ground.drop(url)


def _event(place: int) -> EventRow:
    """An event of the size of an allocation's."""
    return EventRow(
        at=1_700_000_000_000 + place,
        actor="token:benchmark",
        command='{"do":"AllocateAddress","subnet":"3d835bad-c09d-45c1-819e-62587f457ad2"}',
        answer='{"id":"eb299e32-2234-4faf-8a1b-6a24408dfecc","subnet_id":"3d835bad-c09d-45c1-819e'
        f'-62587f457ad2","address":"10.1.{place // 256 % 256}.{place % 256}","status":"active",'
        '"project_id":null,"identifier":null,"hostname":null,"mac":null,"description":"",'
        '"tags":[],"created_at":1700000000000}',
        outcome="done",
        source="192.0.2.7",
        request_id="01890a5d-ac96-774b-bcce-b302099a8057",
        place_id=None,
    )


def _verified(desk: LocalDesk) -> AuditReport:
    report = desk.ask(VerifyAudit(), ME)
    if not report.intact or report.unsealed:
        raise SystemExit(f"the log is not intact: {report.unsealed} unsealed, {report.faults[:3]}")
    return report


def _bytes_of_blocks(url: str) -> int:
    with psycopg.connect(url) as conn:
        found = conn.execute("SELECT pg_total_relation_size('audit_block')").fetchone()
    assert found is not None
    return int(found[0])


if __name__ == "__main__":
    main()
