"""`check` finds every fault it claims to find, by name, and a repair changes what is derived only.

Invariant: each fault is put into the tables by SQL, behind the back of the operations.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from allotment import LocalDesk
from allotment.model.access import Actor
from allotment.model.commands import AllocateAddress, RepairBook
from allotment.model.queries import CheckBook
from conformance.dumps import Dumper
from conformance.wrong_books import (
    HEALED,
    NAMED,
    Broken,
    all_missing,
    missing,
    missing_in_a_pool,
    orphan_extent,
    overlapping,
    wrong_fits,
)

DERIVED = {"free_extent", "event"}


@pytest.fixture
def broken(desk: LocalDesk, me: Actor) -> Broken:
    return Broken(desk, me)


@pytest.mark.parametrize(("sabotage", "rule", "kind", "said"), HEALED)
def test_wrong_free_extents_are_found_by_name_and_healed(
    broken: Broken,
    dump: Dumper,
    sabotage: Callable[[Broken, Connection], None],
    rule: str,
    kind: str,
    said: str,
) -> None:
    whole = dump(broken.desk)
    with broken.unguarded() as conn:
        sabotage(broken, conn)
    report = broken.check()
    assert not report.clean
    assert all(fault.repairable for fault in report.faults)
    assert {(fault.rule, fault.kind) for fault in report.faults} == {(rule, kind)}
    assert any(said in fault.detail for fault in report.faults), report.faults
    healed = broken.desk.do(RepairBook(), broken.me)
    assert (healed.clean, healed.faults, healed.repaired) == (True, (), 1)
    assert broken.check().clean
    after = dump(broken.desk)
    for name in whole.keys() - DERIVED:
        assert after[name] == whole[name], f"a repair changed {name}"


@pytest.mark.parametrize("sabotage", [all_missing, missing_in_a_pool, overlapping])
def test_what_was_healed_is_what_was_there_before(
    broken: Broken,
    dump: Dumper,
    sabotage: Callable[[Broken, Connection], None],
) -> None:
    whole = dump(broken.desk)
    with broken.unguarded() as conn:
        sabotage(broken, conn)
    broken.desk.do(RepairBook(), broken.me)
    assert dump(broken.desk)["free_extent"] == whole["free_extent"]


@pytest.mark.parametrize(("sabotage", "rule", "kind", "said"), NAMED)
def test_what_a_person_must_decide_is_found_by_name_and_left_alone(
    broken: Broken,
    dump: Dumper,
    sabotage: Callable[[Broken, Connection], None],
    rule: str,
    kind: str,
    said: str,
) -> None:
    with broken.unguarded() as conn:
        sabotage(broken, conn)
    before = dump(broken.desk)
    report = broken.check()
    named = [one for one in report.faults if (one.rule, one.kind) == (rule, kind)]
    assert any(said in fault.detail for fault in named), report.faults
    assert not any(fault.repairable for fault in named if said in fault.detail)
    repaired = broken.desk.do(RepairBook(), broken.me)
    assert not repaired.clean
    after = dump(broken.desk)
    for name in before.keys() - DERIVED:
        assert after[name] == before[name], f"a repair changed {name}"


def test_every_rule_of_the_audit_is_provoked_here() -> None:
    """What `engine/audit.py` and `operations/check.py` can say, and who makes them say it."""
    provoked = {rule for _, rule, _, _ in HEALED + NAMED}
    assert provoked == {"S2", "S3", "S4", "S5", "S10", "S14"}


def test_a_fault_names_the_container_it_is_in(broken: Broken) -> None:
    with broken.unguarded() as conn:
        missing(broken, conn)
    faults = broken.check().faults
    assert {fault.id for fault in faults} == {str(broken.n.id)}
    assert all("10.0.0.0/24" in fault.detail for fault in faults)


def test_faults_in_several_containers_are_all_named_and_all_healed(broken: Broken) -> None:
    with broken.unguarded() as conn:
        for sabotage in (missing, wrong_fits, missing_in_a_pool, orphan_extent):
            sabotage(broken, conn)
    assert len({(fault.kind, fault.id) for fault in broken.check().faults}) == 4
    report = broken.desk.do(RepairBook(), broken.me)
    assert (report.clean, report.repaired) == (True, 4)


def test_a_clean_book_stays_as_it_is(broken: Broken, dump: Dumper) -> None:
    before = dump(broken.desk)
    report = broken.desk.do(RepairBook(), broken.me)
    assert (report.clean, report.repaired) == (True, 0)
    after = dump(broken.desk)
    assert {**after, "event": ()} == {**before, "event": ()}


def test_the_check_of_an_empty_book_is_clean(desk: LocalDesk, me: Actor) -> None:
    report = desk.ask(CheckBook(), me)
    assert (report.clean, report.faults) == (True, ())
    assert (report.scopes, report.pools, report.subnets, report.allocations) == (0, 0, 0, 0)
    assert desk.do(RepairBook(), me).clean


def test_a_check_says_how_much_it_has_looked_at(broken: Broken) -> None:
    report = broken.check()
    assert (report.scopes, report.pools, report.subnets, report.allocations) == (2, 2, 4, 4)
    assert report.extents > 4


def test_a_healed_book_allocates_again(broken: Broken) -> None:
    with broken.unguarded() as conn:
        all_missing(broken, conn)
    broken.desk.do(RepairBook(), broken.me)
    made = broken.desk.do(AllocateAddress(subnet="n"), broken.me)
    assert str(made.address) == "10.0.0.10"
    assert broken.check().clean
