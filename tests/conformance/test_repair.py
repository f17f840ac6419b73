"""A repair makes tags and the counts of quotas anew; a report is of bounded length."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import Delete, Insert, Update, delete, insert, select, update

from allotment import LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    RepairBook,
)
from allotment.model.grants import SetQuota
from allotment.model.queries import CheckBook, ListAllocations
from allotment.store import schema
from allotment.store.access_schema import quota
from conformance.dumps import Dumper

T = schema.allocation_tag


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """A limited project, and an address of it with two tags."""
    for command in (
        CreateProject(name="j"),
        CreateAddressScope(name="s"),
        CreateSubnet(name="n", prefix=Prefix("10.0.0.0/24"), project="j"),
        AllocateAddress(subnet="n", owner="j", tags=("dry", "wet")),
        SetQuota(project="j", addresses=9, prefixes=9),
    ):
        desk.do(command, me)  # type: ignore[arg-type]  # of several answers
    return desk


WRONG: list[tuple[Update | Delete, str, str]] = [
    (update(quota).values(addresses_used=7), "Q1", "quota"),
    (update(quota).values(prefixes_used=0), "Q1", "quota"),
    (delete(T).where(T.c.tag == "dry"), "S10", "tags"),
    (update(T).where(T.c.tag == "dry").values(tag="moist"), "S10", "tags"),
]


def test_what_is_derived_is_found_wrong_and_made_as_it_was(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    whole = dump(book)
    for sabotage, rule, kind in WRONG:
        with book.store.writing() as tx:
            tx.run(sabotage)
        assert dump(book) != whole
        (fault,) = book.ask(CheckBook(), me).faults
        assert (fault.rule, fault.kind, fault.repairable) == (rule, kind, True)
        healed = book.do(RepairBook(), me)
        assert (healed.clean, healed.repaired) == (True, 1)
        after = dump(book)
        assert {name for name in whole if after[name] != whole[name]} == {"event"}
        whole = after
    assert len(book.ask(ListAllocations(tag="dry"), me).items) == 1


def lost_extents(count: int) -> tuple[Insert, list[dict[str, object]]]:
    row = {"first": 1, "last": 2, "available_at": 0}
    return insert(schema.free_extent), [{"container_id": uuid4(), **row} for _ in range(count)]


def test_a_report_names_a_thousand_faults_and_a_repair_heals_all(
    book: LocalDesk, me: Actor
) -> None:
    with book.store.writing() as tx:
        before = len(tx.run(select(schema.free_extent)).all())
        tx.run(*lost_extents(1001))
    report = book.ask(CheckBook(), me)
    assert (report.clean, len(report.faults)) == (False, 1000)
    assert report.extents == before + 1001
    healed = book.do(RepairBook(), me)
    assert (healed.clean, healed.repaired, healed.extents) == (True, 1001, before)
