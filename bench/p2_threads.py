"""P2: one process with many threads (group commit), against a plain INSERT per commit.

64 and 128 threads on one LocalDesk allocate single addresses of one 10.0.0.0/8 durably on
PostgreSQL. The baseline: as many threads of the same process, each with a connection of its own,
each committing one prepared INSERT after another.
"""

from __future__ import annotations

from collections.abc import Callable

from crew import threads_slot
from ground import Bench, Figure, Ground, checked, interleaved, options
from plain import PlainInsert, check_table, make_table

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.commands import AllocateAddress

REACH = {64: 1.8, 128: 2.5}


def main() -> None:
    """Measure each number of threads."""
    sizes = options(
        __doc__,
        threads=([64, 128], [16, 64]),
        seconds=(4.0, 0.8),
        rounds=(5, 2),
        warm_up=(1.0, 0.3),
    )
    bench = Bench(claim="P2", options=sizes)
    with Ground() as ground:
        book = ground.book("postgresql", "10.0.0.0/8")
        plain_url = ground.database("postgresql")
        make_table(plain_url)
        held: list[int] = []
        clients = [PlainInsert(plain_url, lane) for lane in range(max(sizes.threads))]
        ground.settle()
        with open_book(book.url) as desk:
            allocate = allocator(desk, book.subnet, held)
            for threads in sizes.threads:
                jobs = [client.once for client in clients[:threads]]
                bench.add(_figure(allocate, jobs, sizes))
            report = checked(desk, held)
        rows = sum(client.count for client in clients)
        for client in clients:
            client.close()
        check_table(plain_url, rows)
        bench.note("check", f"clean; {report.allocations} addresses, each handed out once")
        bench.finish(ground)


def allocator(desk: LocalDesk, subnet: str, held: list[int]) -> Callable[[], None]:
    """A job that allocates one address and remembers it."""
    actor = local_owner()

    def allocate() -> None:
        held.append(desk.do(AllocateAddress(subnet=subnet), actor).address.value)

    return allocate


def _figure(
    allocate: Callable[[], None], inserts: list[Callable[[], None]], sizes: object
) -> Figure:
    seconds, rounds, warm_up = (getattr(sizes, name) for name in ("seconds", "rounds", "warm_up"))
    ours = [allocate] * len(inserts)
    samples = interleaved(
        {
            "allotment": lambda: threads_slot(ours, seconds).rate,
            "insert": lambda: threads_slot(inserts, seconds).rate,
        },
        rounds,
        lambda: (threads_slot(ours, warm_up), threads_slot(inserts, warm_up)),
    )
    return Figure(
        name=f"{len(inserts)} threads, one desk",
        unit="per s",
        baseline_name=f"INSERT, {len(inserts)} threads and connections",
        product=samples["allotment"],
        baseline=samples["insert"],
        reach=REACH.get(len(inserts), min(REACH.values())),
    )


if __name__ == "__main__":
    main()
