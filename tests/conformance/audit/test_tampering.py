"""The audit log tampered with: a row changed, removed, added or moved.

Invariant: any change of any column of any event or block is found, and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, text, update

from allotment import LocalDesk, local_owner, open_book
from allotment.engine.audit_chain import leaf
from allotment.engine.audit_proof import Proof
from allotment.errors import StoreCorrupt
from allotment.model.access import Actor
from allotment.model.events import ListAudit, ListEvents, SealAudit, VerifyAudit
from allotment.operations import audit_log
from allotment.store import audit_blocks
from allotment.store.session import Write
from conformance.audit.log import RECORDS, B, E, record, seal_in_blocks_of, verify


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


def test_faults_are_told_up_to_a_bound(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(1_010))
    seal_in_blocks_of(desk, 1)
    seal_in_blocks_of(desk, 1)
    assert verify(desk, me).blocks == 1_010
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


def test_a_page_of_a_block_that_is_none_is_damage_and_no_shorter_log(
    desk: LocalDesk, me: Actor
) -> None:
    record(desk, range(6))
    seal_in_blocks_of(desk, 2)
    with desk.store.writing() as tx:
        tx.run(update(B).where(B.c.number == 2).values(ids="none"))
    for query in (ListEvents(), ListAudit(after=3)):
        with pytest.raises(StoreCorrupt, match="block 2 was changed"):
            desk.ask(query, me)


def test_a_log_whose_last_block_is_none_is_read_up_to_there(desk: LocalDesk, me: Actor) -> None:
    """It cannot be sealed on, and what is sealed already is shown none the less."""
    record(desk, range(6))
    seal_in_blocks_of(desk, 2)
    with desk.store.writing() as tx:
        tx.run(update(B).where(B.c.number == 3).values(gaps="none"))
    record(desk, range(6, 8))
    assert [one.sequence for one in desk.ask(ListAudit(), me).items] == [1, 2, 3, 4, 5, 6]
    assert not verify(desk, me).intact
