"""Limits under storms: many threads, two desks, everything that changes what a project owns.

Invariant: the count of a quota is the number of rows, and never more than the limit.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from allotment import LocalDesk, Prefix, local_owner, open_book
from allotment.errors import AllotmentError
from allotment.model import commands as c
from allotment.model import queries as q
from allotment.model.grants import GetQuota, SetQuota
from allotment.store.access_schema import quota

pytestmark = pytest.mark.races
ME = local_owner()
LIMIT, ASKED, THREADS = 50, 200, 20


@pytest.fixture(params=["sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgres)])
def desks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[LocalDesk]]:
    """Two desks on one book."""
    url = f"sqlite:///{tmp_path}/book.db"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
    with open_book(url, create=True) as one, open_book(url) as other:
        for name in ("limited", "other"):
            one.do(c.CreateProject(name=name), ME)
        one.do(c.CreateAddressScope(name="s"), ME)
        one.do(c.CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/8"),)), ME)
        for number in range(4):
            prefix = Prefix(f"10.0.{number}.0/24")
            one.do(c.CreateSubnet(prefix=prefix, name=f"n{number}"), ME)
        yield [one, other]


def storm(desks: list[LocalDesk], works: list[Callable[[LocalDesk], Any]]) -> Counter[str]:
    """Do everything, by many threads at two desks; what became of it, by name or code."""
    waiting, outcomes = list(enumerate(works)), Counter[str]()

    def work() -> None:
        while waiting:
            try:
                place, one = waiting.pop()
            except IndexError:
                return
            try:
                outcomes[type(one(desks[place % 2])).__name__] += 1
            except AllotmentError as error:
                outcomes[error.code] += 1

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def settled(desk: LocalDesk) -> tuple[int, int]:
    """How many addresses and prefixes the project owns: counted, and told, and checked."""
    held = desk.ask(q.ListAllocations(owner="limited", limit=1000), ME).items
    told = desk.ask(GetQuota(project="limited"), ME)
    assert told.addresses_used == len(held)
    report = desk.ask(q.CheckBook(), ME)
    assert report.clean, report.faults
    return told.addresses_used, told.prefixes_used


def allocate(desk: LocalDesk) -> Any:
    return desk.do(c.AllocateAddress(subnet=f"n{random.randrange(4)}", owner="limited"), ME)


def test_a_limit_is_reached_and_never_passed(desks: list[LocalDesk]) -> None:
    desks[0].do(SetQuota(project="limited", addresses=LIMIT), ME)
    outcomes = storm(desks, [allocate] * ASKED)
    assert outcomes == {"Allocation": LIMIT, "quota-exceeded": ASKED - LIMIT}
    assert settled(desks[1]) == (LIMIT, 0)


def test_whoever_is_limited_in_the_storm_is_counted_right(desks: list[LocalDesk]) -> None:
    limits = [lambda desk: desk.do(SetQuota(project="limited", addresses=LIMIT), ME)]
    works = [allocate] * (ASKED // 2) + limits + [allocate] * (ASKED // 2)
    outcomes = storm(desks, works)
    assert outcomes["Quota"] == 1
    assert outcomes["Allocation"] + outcomes["quota-exceeded"] == ASKED
    assert settled(desks[0])[0] == outcomes["Allocation"] >= LIMIT


def mixed(number: int) -> Callable[[LocalDesk], Any]:
    """Something that changes what the project owns."""

    def work(desk: LocalDesk) -> Any:
        subnet = f"n{number % 4}"
        held = desk.ask(q.ListAllocations(owner="limited", subnet=subnet), ME).items
        one = random.choice(held) if held else None
        match number % 9:
            case 0:
                return desk.do(c.AllocateAddresses(subnet=subnet, count=7, owner="limited"), ME)
            case 1 if one:
                return desk.do(c.ReleaseAddress(subnet=subnet, address=one.address), ME)
            case 2 if one:
                return desk.do(c.ReleaseAddresses(subnet=subnet, addresses=(one.address,)), ME)
            case 3 if one:
                given = c.UpdateAllocation(subnet=subnet, address=one.address, owner="other")
                return desk.do(given, ME)
            case 4:
                return desk.do(c.AllocatePrefix(pool="p", length=28, owner="limited"), ME)
            case 5:
                made = desk.do(c.CreateSubnet(pool="p", length=28, project="limited"), ME)
                desk.do(c.AllocateAddress(subnet=str(made.id), owner="limited"), ME)
                return desk.do(c.DeleteSubnet(subnet=str(made.id), cascade=True), ME)
            case 6 if number % 5 == 0:
                return desk.do(c.ReleaseMatching(subnet=subnet, owner="limited"), ME)
            case 7:
                made = desk.do(c.CreateSubnet(pool="p", length=28, project="other"), ME)
                return desk.do(c.UpdateSubnet(subnet=str(made.id), project="limited"), ME)
            case _:
                return allocate(desk)

    return work


def test_whatever_changes_what_is_owned_is_counted(desks: list[LocalDesk]) -> None:
    desks[0].do(SetQuota(project="limited", addresses=LIMIT, prefixes=20), ME)
    outcomes = storm(desks, [mixed(number) for number in range(ASKED)])
    assert outcomes["bug"] == 0, outcomes
    assert outcomes["quota-exceeded"], "the limits were reached"
    addresses, prefixes = settled(desks[0])
    assert addresses <= LIMIT
    assert prefixes <= 20


def test_check_finds_a_wrong_count_and_repair_counts_anew(desks: list[LocalDesk]) -> None:
    desk = desks[0]
    desk.do(SetQuota(project="limited", addresses=LIMIT), ME)
    allocate(desk)
    for wrong in ({"addresses_used": 7}, {"prefixes_used": 1}):
        with desk.store.writing() as tx:
            tx.run(update(quota).values(**wrong))
        (fault,) = desk.ask(q.CheckBook(), ME).faults
        assert (fault.rule, fault.kind, fault.repairable) == ("Q1", "quota", True)
        report = desk.do(c.RepairBook(), ME)
        assert report.clean
        assert report.repaired == 1
        assert settled(desk) == (1, 0)
