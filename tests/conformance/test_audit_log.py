"""The audit log on every database: what is sealed is proven, and any change is found out."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from sqlalchemy import delete, insert, select, text, update

from allotment import LocalDesk, Prefix, local_owner, open_book
from allotment.engine.audit_chain import leaf
from allotment.engine.audit_proof import Proof
from allotment.errors import InvalidValue, StoreCorrupt, StoreError, Unauthenticated
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.events import (
    Anchor,
    AuditReport,
    Event,
    ListAudit,
    ListEvents,
    SealAudit,
    VerifyAudit,
)
from allotment.operations import audit_log, audit_pages
from allotment.sealing import Sealer
from allotment.signing import is_signed
from allotment.store import access_schema, audit_blocks, schema
from allotment.store.dialect import EventRow
from allotment.store.session import Write

E, B = schema.event, access_schema.audit_block
RECORDS = 1000


def verify(desk: LocalDesk, me: Actor, *anchors: Anchor) -> AuditReport:
    return desk.ask(VerifyAudit(anchors=anchors), me)


def an_event(number: int) -> EventRow:
    """An event such as the desk writes; every other has all its columns filled."""
    filled = number % 2 == 0
    return EventRow(
        at=1_700_000_000_000 + number,
        actor=f"token:{number % 7}",
        command=f'{{"do":"AllocateAddress","subnet":"büro {number}"}}',
        answer=f'{{"address":"10.0.{number // 250}.{number % 250}"}}',
        outcome="forbidden" if number % 5 == 0 else "done",
        source="192.0.2.1" if filled else None,
        request_id=f"r-{number}" if filled else None,
        place_id=UUID(int=number + 1) if filled else None,
    )


def record(desk: LocalDesk, numbers: Sequence[int]) -> None:
    with desk.store.writing() as tx:
        tx.dialect.record_events(tx, [an_event(number) for number in numbers])


def seal_in_blocks_of(desk: LocalDesk, events: int) -> None:
    with desk.store.writing() as tx:
        audit_log.seal_blocks(tx, events, RECORDS)


class Undo(Exception):
    """Roll back what a test did to the log."""


def faults_after(tx: Write, *changes: Any) -> list[str]:
    """What verification finds when the log was changed so, each by what it names."""
    for change in changes:
        tx.run(change)
    report = audit_log.verify_audit(tx, VerifyAudit())
    assert report.intact == (not report.faults)
    return [fault.id for fault in report.faults]


@contextmanager
def undone(desk: LocalDesk) -> Iterator[Write]:
    """A transaction that is rolled back at its end."""
    with suppress(Undo), desk.store.writing() as tx:
        yield tx
        raise Undo


def found_after(desk: LocalDesk, *changes: Any) -> set[str]:
    """All that is found when the log was changed so, without a bound; then it is as before."""
    with undone(desk) as tx:
        for change in changes:
            tx.run(change)
        proof = Proof(map(leaf, audit_blocks.events(tx)), {})
        return {what for what, _ in proof.findings(audit_blocks.blocks(tx))}


@pytest.fixture
def tampered(desk: LocalDesk) -> Iterator[Write]:
    """A transaction over a sealed log of 30 events in blocks of 3, rolled back at the end."""
    record(desk, range(30))
    seal_in_blocks_of(desk, 3)
    with undone(desk) as tx:
        assert faults_after(tx) == []
        yield tx


def test_a_log_without_events_has_the_anchor_of_nothing(desk: LocalDesk, me: Actor) -> None:
    anchor = desk.do(SealAudit(), me)
    assert anchor == Anchor(block=0, sequence=0, digest="00" * 32, at=0)
    assert verify(desk, me, anchor) == AuditReport(
        intact=True, events=0, blocks=0, unsealed=0, anchor=None, faults=()
    )


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


def test_a_long_log_is_sealed_in_blocks_of_a_thousand(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(2_500))
    anchor = desk.do(SealAudit(), me)
    assert (anchor.block, anchor.sequence) == (3, 2_500)
    assert verify(desk, me).intact


EVERY_BLOCK = {f"block {number}" for number in range(1, RECORDS + 1)}
SAID = {
    "at": E.c.at + 1,
    "actor": E.c.actor + "x",
    "command": E.c.command + " ",
    "answer": E.c.answer + " ",
    "outcome": E.c.outcome + "s",
}
SAID_BY_SOME = {"source": "", "request_id": "", "place_id": UUID(int=0)}
SAID_OF_BLOCKS = {
    "first_sequence": B.c.first_sequence + 1_000_000,
    "count": B.c.count + 1,
    "ids": "[[5000,5001]]",
    "gaps": "[[5000,5000,7]]",
    "high": B.c.high + 1,
    "sealed_at": B.c.sealed_at + 1,
    "digest": bytes(32),
}


def test_each_of_a_thousand_records_is_guarded_in_every_column(desk: LocalDesk) -> None:
    """One event a block, so that each of them is told by itself."""
    record(desk, range(RECORDS))
    seal_in_blocks_of(desk, 1)
    told = {
        column: found_after(desk, update(E).values({column: changed}))
        for column, changed in SAID.items()
    }
    for column, other in SAID_BY_SOME.items():
        emptied = update(E).where(E.c[column].is_not(None)).values({column: None})
        filled = update(E).where(E.c[column].is_(None)).values({column: other})
        told[column] = found_after(desk, emptied) | found_after(desk, filled)
        assert len(found_after(desk, emptied)) == RECORDS // 2
    assert set(told) | {"id"} == set(E.c.keys())
    assert {column: named & EVERY_BLOCK for column, named in told.items()} == dict.fromkeys(
        told, EVERY_BLOCK
    )
    assert found_after(desk) == set()


def test_each_of_a_thousand_blocks_is_guarded_in_every_column(desk: LocalDesk) -> None:
    record(desk, range(RECORDS))
    seal_in_blocks_of(desk, 1)
    told = {
        column: found_after(desk, update(B).values({column: changed}))
        for column, changed in SAID_OF_BLOCKS.items()
    }
    assert set(told) | {"number"} == set(B.c.keys())
    assert {column: named & EVERY_BLOCK for column, named in told.items()} == dict.fromkeys(
        told, EVERY_BLOCK
    )
    for number in (1, 500, RECORDS):
        renamed = update(B).where(B.c.number == number).values(number=5_000)
        assert f"block {number}" in found_after(desk, renamed)
    assert found_after(desk) == set()


def test_one_changed_byte_of_one_record_is_found(tampered: Write) -> None:
    for event_id in (1, 17, 30):
        row = tampered.run(select(E).where(E.c.id == event_id)).one()
        for column in ("actor", "command", "answer", "outcome"):
            value = getattr(row, column)
            for at in range(len(value)):
                changed = value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
                one = update(E).where(E.c.id == event_id)
                block = f"block {(event_id + 2) // 3}"
                assert faults_after(tampered, one.values({column: changed})) == [block]
                assert faults_after(tampered, one.values({column: value})) == []


def test_a_removed_record_is_named_by_its_sequence(tampered: Write) -> None:
    assert faults_after(tampered, delete(E).where(E.c.id == 17)) == ["sequence 17"]


def test_a_record_whose_id_was_changed_is_found(tampered: Write) -> None:
    assert faults_after(tampered, update(E).where(E.c.id == 17).values(id=99)) == ["sequence 17"]


def test_an_inserted_record_is_found(tampered: Write) -> None:
    row = dict(tampered.run(select(E).where(E.c.id == 1)).one()._mapping)
    assert faults_after(tampered, insert(E).values(row | {"id": -1})) == ["event -1"]


def test_two_records_that_changed_places_are_found(tampered: Write) -> None:
    move = [update(E).where(E.c.id == a).values(id=b) for a, b in ((5, 99), (6, 5), (99, 6))]
    assert faults_after(tampered, *move) == ["block 2"]


def test_two_blocks_that_changed_places_are_found(tampered: Write) -> None:
    steps = ((5, 99), (6, 5), (99, 6))
    move = [update(B).where(B.c.number == a).values(number=b) for a, b in steps]
    assert {"block 5", "block 6"} <= set(faults_after(tampered, *move))


def test_a_removed_block_is_found(tampered: Write) -> None:
    found = faults_after(tampered, delete(B).where(B.c.number == 5))
    assert found == ["block 5", "event 13"]


def test_a_block_and_its_records_removed_together_are_found(tampered: Write) -> None:
    gone = (delete(B).where(B.c.number == 5), delete(E).where(E.c.id.between(13, 15)))
    assert faults_after(tampered, *gone) == ["block 5"]


def test_a_log_that_was_cut_off_is_found_by_an_anchor_only(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(20))
    seal_in_blocks_of(desk, 5)
    anchor = desk.do(SealAudit(), me)
    assert anchor.block == 4
    with desk.store.writing() as tx:
        tx.run(delete(E).where(E.c.id > 15))
        tx.run(delete(B).where(B.c.number > 3))
    assert verify(desk, me).intact
    (fault,) = verify(desk, me, anchor).faults
    assert fault.id == "block 4"
    assert "cut off" in fault.detail
    record(desk, range(20, 25))  # nobody makes the log reach the anchor again
    seal_in_blocks_of(desk, 5)
    (fault,) = verify(desk, me, anchor).faults
    assert "anchor is not met" in fault.detail


def test_faults_are_told_up_to_a_bound(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(1_010))
    seal_in_blocks_of(desk, 1)
    with desk.store.writing() as tx:
        tx.run(update(B).values(digest=bytes(32)))
    report = verify(desk, me)
    assert (report.intact, len(report.faults)) == (False, 1_000)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET command = CAST(x'ff41' AS TEXT) WHERE id = 17",
        "UPDATE event SET command = CAST(command AS BLOB) WHERE id = 17",
        "UPDATE event SET at = 'yesterday' WHERE id = 17",
        "UPDATE event SET at = 1700000000016.5 WHERE id = 17",
        "UPDATE event SET place_id = x'00' WHERE id = 17",
        "UPDATE event SET place_id = CAST('0000000000000000' AS TEXT) WHERE id = 17",
        "UPDATE audit_block SET ids = CAST(ids AS BLOB) WHERE number = 6",
        "UPDATE audit_block SET digest = CAST(digest AS TEXT) WHERE number = 6",
        "UPDATE audit_block SET high = 'seventeen' WHERE number = 6",
        "UPDATE audit_block SET ids = CAST(x'ff' AS TEXT) WHERE number = 6",
    ],
)
def test_a_file_with_what_belongs_nowhere_is_found(tmp_path: Path, change: str) -> None:
    """SQLite keeps anything anywhere: it is told as a change, and never a failure to read."""
    with open_book(f"sqlite:///{tmp_path}/book.db") as desk:
        record(desk, range(30))
        seal_in_blocks_of(desk, 3)
        with desk.store.writing() as tx:
            tx.run(text(change))
        assert "block 6" in {fault.id for fault in verify(desk, local_owner()).faults}


def test_nothing_is_sealed_onto_a_block_that_is_none(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(3))
    seal_in_blocks_of(desk, 2)
    with desk.store.writing() as tx:
        tx.run(update(B).where(B.c.number == 2).values(gaps="none"))
    record(desk, range(3, 5))
    with pytest.raises(StoreCorrupt):
        desk.do(SealAudit(), me)


def listed(desk: LocalDesk, me: Actor, query: ListAudit | ListEvents) -> list[Event]:
    items: list[Event] = []
    cursor = query.cursor
    while True:
        page = desk.ask(msgspec.structs.replace(query, cursor=cursor), me)
        assert len(page.items) <= query.limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


@pytest.mark.parametrize("per_block", [1, 7, 1000])
def test_pages_of_any_size_add_up_to_the_whole_log(
    desk: LocalDesk, me: Actor, per_block: int
) -> None:
    record(desk, range(50))
    seal_in_blocks_of(desk, per_block)
    whole = listed(desk, me, ListAudit(limit=1000))
    assert [one.sequence for one in whole] == list(range(1, 51))
    for number, one in enumerate(whole):
        wrote = an_event(number)
        told = (one.at, one.actor, one.outcome, one.source, one.request_id, one.place_id)
        assert told == (
            wrote.at, wrote.actor, wrote.outcome, wrote.source, wrote.request_id, wrote.place_id,
        )  # fmt: skip
        assert bytes(one.command) == wrote.command.encode()
        assert bytes(one.answer) == wrote.answer.encode()
    for limit in (1, 3, 49, 50):
        assert listed(desk, me, ListAudit(limit=limit)) == whole
    for after in (0, 1, 6, 7, 49, 50, 1 << 62):
        assert listed(desk, me, ListAudit(after=after, limit=4)) == whole[after:]


def test_events_are_changes_and_audit_is_everything(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(50))
    whole = listed(desk, me, ListAudit())
    done = [one for one in whole if one.outcome == "done"]
    assert len(done) == 40
    assert listed(desk, me, ListEvents(limit=3)) == done
    refused = [one for one in whole if one.outcome == "forbidden"]
    assert listed(desk, me, ListAudit(outcome="forbidden", limit=2)) == refused
    one_actor = [one for one in done if one.actor == "token:3"]
    assert listed(desk, me, ListEvents(actor="token:3", limit=2)) == one_actor
    assert one_actor
    assert listed(desk, me, ListAudit(actor="nobody")) == []


def test_who_looks_at_the_log_again_and_again_seals_only_what_is_new(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: list[None] = []
    seal = desk.seal

    def counted() -> None:
        sealed.append(None)
        seal()

    monkeypatch.setattr(desk, "seal", counted)
    for name in ("a", "b"):
        desk.do(CreateProject(name=name), me)
        for _ in range(3):
            assert desk.ask(ListEvents(), me).items[-1].command
    assert len(sealed) == 2
    desk.do(CreateProject(name="c"), me)
    with pytest.raises(Unauthenticated):
        desk.ask(ListEvents(), Actor(name="token:nobody"))
    assert len(sealed) == 2, "a stranger has nothing done"


def test_a_page_reads_no_more_than_its_bound_and_says_where_to_go_on(
    desk: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_pages, "READ_MAX", 20)
    monkeypatch.setattr(audit_pages, "READ_AT_ONCE", 10)
    record(desk, range(100))
    page = desk.ask(ListAudit(actor="nobody", limit=5), me)
    assert page.items == ()
    assert page.next is not None
    assert [one.actor for one in listed(desk, me, ListAudit(actor="token:6", limit=5))] == (
        ["token:6"] * 14
    )


def test_a_cursor_from_elsewhere_is_refused(desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(InvalidValue):
        desk.ask(ListEvents(cursor="bm8"), me)


def test_whoever_lists_sees_what_was_done_before(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="blue"), me)
    assert [one.outcome for one in desk.ask(ListEvents(), me).items] == ["done"]
    desk.do(CreateAddressScope(name="red"), me)
    assert len(desk.ask(ListEvents(after=1), me).items) == 1


def test_a_desk_that_wrote_something_seals_it_when_it_is_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    with open_book(url) as desk:
        desk.do(CreateAddressScope(name="blue"), local_owner())
    with open_book(url) as desk:
        report = verify(desk, local_owner())
        assert (report.events, report.unsealed) == (1, 0)


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


def test_an_anchor_is_signed_by_the_installations_key(
    database_url: str, me: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = tmp_path / "key", tmp_path / "public"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    monkeypatch.setenv("ALLOTMENT_AUDIT_KEY_FILE", str(key))
    with open_book(database_url, create=True) as desk:
        desk.do(CreateAddressScope(name="blue"), me)
        anchor = desk.do(SealAudit(), me)
        assert verify(desk, me, anchor).intact
        assert key.read_text().splitlines()[1] not in repr(vars(desk.store))
    assert is_signed(anchor, public)
    for field, value in (("block", 2), ("sequence", 2), ("digest", "00" * 32), ("at", 1)):
        assert not is_signed(msgspec.structs.replace(anchor, **{field: value}), public)
    assert not is_signed(msgspec.structs.replace(anchor, signature=None), public)
    assert not is_signed(msgspec.structs.replace(anchor, signature="no base64"), public)


@pytest.mark.parametrize("content", [None, "", "-----BEGIN PRIVATE KEY-----\nx\n"])
def test_a_key_file_that_holds_no_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    monkeypatch.setenv("ALLOTMENT_AUDIT_KEY_FILE", str(key))
    with pytest.raises(InvalidValue) as refused:
        open_book("sqlite://")
    assert refused.value.facts["field"] == "audit key file"


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
