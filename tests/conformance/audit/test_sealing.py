"""The sealing of the audit log: by command, by the sealer, and when a desk is closed.

Invariant: each committed event is sealed once, however late it was committed.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, insert, select

from allotment import LocalDesk, Prefix, local_owner, open_book
from allotment.errors import StoreError
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, CreateAddressScope, CreateSubnet
from allotment.model.events import Anchor, ListAudit, SealAudit
from allotment.model.queries import ListAddressScopes
from allotment.sealing import Sealer
from conformance.audit.log import B, E, listed, record, seal_in_blocks_of, verify
from conformance.callers import waiting


def test_what_is_done_is_sealed_once_and_sealing_makes_no_event(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    assert verify(desk, me).unsealed == 1
    first = desk.do(SealAudit(), me)
    assert (first.block, first.sequence) == (1, 1)
    assert desk.do(SealAudit(), me) == first
    desk.do(CreateSubnet(scope="blue", prefix=Prefix("10.0.0.0/24"), name="office"), me)
    desk.do(AllocateAddress(subnet="office"), me)
    second = desk.do(SealAudit(), me)
    assert (second.block, second.sequence) == (2, 3)
    report = verify(desk, me, first, second)
    assert (report.intact, report.events, report.blocks, report.unsealed) == (True, 3, 2, 0)
    assert report.anchor == second


def test_what_comes_late_is_sealed_before_what_is_new(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(5))
    with desk.store.writing() as tx:
        late = [dict(row._mapping) for row in tx.run(select(E).where(E.c.id.in_([2, 4])))]
        tx.run(delete(E).where(E.c.id.in_([2, 4])))
    seal_in_blocks_of(desk, 10)
    with desk.store.writing() as tx:
        tx.run(insert(E), late)
    record(desk, range(5, 7))
    assert verify(desk, me).unsealed == 4
    seal_in_blocks_of(desk, 1)
    with desk.store.reading() as r:
        found = r.run(select(B.c.ids).order_by(B.c.number)).scalars().all()
    assert found == ["[[1,1],[3,3],[5,5]]", "[[2,2]]", "[[4,4]]", "[[6,6]]", "[[7,7]]"]
    assert verify(desk, me).intact


def test_a_long_log_is_sealed_in_blocks_of_a_thousand(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(2_500))
    anchor = desk.do(SealAudit(), me)
    assert (anchor.block, anchor.sequence) == (3, 2_500)
    assert verify(desk, me).intact


def test_a_desk_that_wrote_something_seals_it_when_it_is_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    with open_book(url) as desk:
        desk.do(CreateAddressScope(name="blue"), local_owner())
    with open_book(url) as desk:
        report = verify(desk, local_owner())
        assert (report.events, report.unsealed) == (1, 0)


def test_a_desk_that_is_closed_waits_a_moment_for_others_to_seal_it(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    """And none that is closed twice seals twice."""
    with open_book(postgres_url) as desk:
        desk.do(CreateAddressScope(name="blue"), me)
        with psycopg.connect(postgres_url) as other, ThreadPoolExecutor(1) as pool:
            other.execute("LOCK TABLE audit_block IN ACCESS EXCLUSIVE MODE")
            freed = pool.submit(lambda: (waiting(postgres_url), other.rollback()))
            desk.close()
            freed.result()
    report = verify(postgres_desk, me)
    assert (report.events, report.unsealed, report.blocks) == (1, 0, 1)


def test_what_nobody_waited_for_is_sealed_when_the_desk_is_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    with open_book(url) as desk:
        desk.do(CreateAddressScope(name="blue"), local_owner())
        desk.do(
            CreateSubnet(scope="blue", prefix=Prefix("10.0.0.0/24"), name="office"), local_owner()
        )
    with open_book(url) as desk:
        told: Queue[Any] = Queue()
        desk.do_soon(AllocateAddress(subnet="office"), local_owner(), told.put)
        assert str(told.get(timeout=60).address) == "10.0.0.2"
    with open_book(url) as desk, desk.store.reading() as r:
        assert r.run(select(B.c.ids).order_by(B.c.number)).scalars().all() == ["[[1,2]]", "[[3,3]]"]


def test_who_only_reads_seals_nothing_unless_the_log_itself_is_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    with open_book(url) as writer:
        writer.do(CreateAddressScope(name="blue"), local_owner())
        with open_book(url) as reader:
            assert reader.ask(ListAddressScopes(), local_owner()).items[0].name == "blue"
        assert verify(writer, local_owner()).unsealed == 1
        with open_book(url) as reader:
            assert len(reader.ask(ListAudit(), local_owner()).items) == 1
        assert verify(writer, local_owner()).unsealed == 0


def test_the_log_is_read_as_far_as_it_is_sealed_while_it_cannot_be_sealed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    with open_book(url) as desk:
        desk.do(CreateAddressScope(name="blue"), local_owner())
        assert len(desk.ask(ListAudit(), local_owner()).items) == 1
        desk.do(CreateAddressScope(name="green"), local_owner())
        with closing(sqlite3.connect(tmp_path / "book.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            assert len(desk.ask(ListAudit(), local_owner()).items) == 1
            other.rollback()
        assert len(desk.ask(ListAudit(), local_owner()).items) == 2


def test_a_sealer_seals_while_it_runs_and_once_more_when_it_ends(
    desk: LocalDesk, me: Actor
) -> None:
    sealer = Sealer(desk, every_seconds=0.02)
    with sealer:
        sealer.start()  # at work already: there are no two
        assert [one.name for one in threading.enumerate()].count("sealer") == 1
        record(desk, range(5))
        give_up = time.monotonic() + 10
        while verify(desk, me).unsealed:
            assert time.monotonic() < give_up
            time.sleep(0.02)
        slow = Sealer(desk, every_seconds=60)
        slow.start()
        record(desk, range(5, 10))
        slow.stop()
    assert not sealer.running
    assert verify(desk, me).events == 10


class Moody:
    """A desk whose database fails and comes back."""

    def __init__(self, desk: LocalDesk) -> None:
        self.desk, self.failures = desk, 3

    def do(self, command: Any, actor: Actor, /) -> Any:
        if self.failures:
            self.failures -= 1
            raise StoreError("gone for a while")
        return self.desk.do(command, actor)

    def ask(self, query: Any, actor: Actor, /) -> Any:
        return self.desk.ask(query, actor)

    def close(self) -> None:
        self.desk.close()


def test_a_sealer_outlives_the_failures_of_its_database(
    desk: LocalDesk, me: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    record(desk, range(5))
    with Sealer(Moody(desk), every_seconds=0.01):
        give_up = time.monotonic() + 10
        while verify(desk, me).unsealed:
            assert time.monotonic() < give_up
            time.sleep(0.01)
    assert [one.message for one in caplog.records] == [
        "the audit is not being sealed: store-error",
        "the audit is being sealed again",
    ]


def test_what_commits_late_is_sealed_late_and_never_lost(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    put = "INSERT INTO event (at, actor, command, answer) VALUES (1, 'a', '{}', '{}') RETURNING id"
    with psycopg.connect(postgres_url) as slow, psycopg.connect(postgres_url) as gone:
        (slow_id,) = slow.execute(put).fetchone() or ()
        gone.execute(put)
        record(postgres_desk, range(3))
        first = postgres_desk.do(SealAudit(), me)
        assert first.sequence == 3
        gone.rollback()
        slow.commit()
        assert verify(postgres_desk, me, first).unsealed == 1
        second = postgres_desk.do(SealAudit(), me)
        assert (second.block, second.sequence) == (2, 4)
    report = verify(postgres_desk, me, first, second)
    assert (report.intact, report.events, report.unsealed) == (True, 4, 0)
    assert postgres_desk.ask(ListAudit(after=3), me).items[0].at == 1
    with postgres_desk.store.writing() as tx:
        (gaps,) = tx.run(select(B.c.gaps).where(B.c.number == 2)).one()
    assert gaps.startswith(f"[[{slow_id + 1},{slow_id + 1},")


@pytest.mark.races
def test_each_committed_event_is_in_the_chain_once_whoever_writes_and_seals(
    postgres_desk: LocalDesk, postgres_url: str, me: Actor
) -> None:
    """8 writers with rollbacks and slow commits, and 2 sealers, for some seconds."""
    put = "INSERT INTO event (at, actor, command, answer) VALUES (%s, %s, '{}', '{}')"
    until = time.monotonic() + 4
    committed: list[list[int]] = [[] for _ in range(8)]

    def write(place: int) -> None:
        chance, number = random.Random(place), 0
        with psycopg.connect(postgres_url) as conn:
            while time.monotonic() < until:
                mine = range(number, number + chance.randint(1, 4))
                number += len(mine)
                for one in mine:
                    conn.execute(put, (one, f"writer {place}"))
                    if chance.random() < 0.05:
                        time.sleep(chance.random() * 0.2)  # an early id, committed late
                if chance.random() < 0.2:
                    conn.rollback()
                else:
                    conn.commit()
                    committed[place] += mine

    anchors: list[Anchor] = []

    def seal() -> None:
        with open_book(postgres_url) as desk:
            while time.monotonic() < until:
                anchors.append(desk.do(SealAudit(), me))

    threads = [threading.Thread(target=write, args=(place,)) for place in range(8)]
    threads += [threading.Thread(target=seal) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    postgres_desk.do(SealAudit(), me)
    report = verify(postgres_desk, me, *{one.block: one for one in anchors}.values())
    assert report.faults == ()
    assert report.unsealed == 0
    assert len({one.block for one in anchors}) > 5
    sealed = [(one.actor, one.at) for one in listed(postgres_desk, me, ListAudit(limit=1000))]
    wanted = [(f"writer {place}", one) for place, some in enumerate(committed) for one in some]
    assert len(wanted) > 100
    assert sorted(sealed) == sorted(wanted)
    with postgres_desk.store.reading() as r:
        late = [row.gaps for row in r.run(select(B.c.gaps)) if row.gaps != "[]"]
    assert late, "nobody was late: the race showed nothing"
