"""Who held an address is known for every moment since it was first held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from allotment import Address, LocalDesk, Prefix
from allotment.errors import InvalidValue, NotFound
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteAddressScope,
    DeleteProject,
    DeleteSubnet,
    DeleteSubnetPool,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    RepairBook,
    UpdateAllocation,
    UpdateProject,
)
from allotment.model.history import ForgetHistory, ListHistory, Period
from allotment.model.mac import Mac
from allotment.model.queries import CheckBook
from allotment.model.results import Status
from allotment.operations import history
from allotment.store import schema

A7 = Address("10.0.0.7")


class Book:
    """A desk whose clock a test moves: subnet `n` (10.0.0.0/24) of pool `p`, in scope `s`."""

    def __init__(self, desk: LocalDesk, me: Actor) -> None:
        self.desk, self.me, self.now = desk, me, 100
        desk.store.clock = lambda: self.now
        self.do(CreateAddressScope(name="s"))
        for project in ("one", "two"):
            self.do(CreateProject(name=project))
        self.do(CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.0.0.0/16"),)))
        self.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/24"), name="n"))

    def do(self, command: Command[Any], *, at: int | None = None) -> Any:
        self.now = at or self.now
        return self.desk.do(command, self.me)

    def hold(self, at: int, address: Address = A7, **more: Any) -> Any:
        return self.do(AllocateAddress(subnet="n", address=address, **more), at=at)

    def release(self, at: int, address: Address = A7) -> None:
        self.do(ReleaseAddress(subnet="n", address=address), at=at)

    def update(self, at: int, **more: Any) -> None:
        self.do(UpdateAllocation(subnet="n", address=A7, **more), at=at)

    def history(self, address: Address = A7, **more: Any) -> tuple[Period, ...]:
        return self.desk.ask(ListHistory(address=address, **more), self.me).items

    def told(self, **more: Any) -> list[tuple[str | None, int, int | None]]:
        return [(one.hostname, one.since, one.until) for one in self.history(**more)]


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> Book:
    return Book(desk, me)


@pytest.fixture(autouse=True)
def clean(book: Book) -> Any:
    """Whatever a test does, the book is clean afterwards."""
    yield
    assert book.desk.ask(CheckBook(), book.me).faults == ()


def test_holders_are_told_the_newest_first_and_the_present_one_has_no_end(book: Book) -> None:
    for at, name in ((110, "a"), (120, "b")):
        book.hold(at, hostname=name)
        book.release(at + 5)
    book.hold(130, hostname="c")
    assert book.told() == [("c", 130, None), ("b", 120, 125), ("a", 110, 115)]


def test_who_held_an_address_then_is_one_or_nobody(book: Book) -> None:
    book.hold(110, hostname="a")
    book.release(120)
    book.hold(120, hostname="b")
    book.release(130)
    book.hold(140, hostname="c")
    holders = {
        109: [], 110: ["a"], 119: ["a"], 120: ["b"], 129: ["b"], 130: [], 139: [], 140: ["c"],
        10**9: ["c"],
    }  # fmt: skip
    assert {at: [one for one, _, _ in book.told(at=at)] for at in holders} == holders


def test_a_period_says_all_that_identified_its_holder(book: Book) -> None:
    mac = Mac("02:00:00:00:00:01")
    named = {"owner": "one", "identifier": "i", "hostname": "h", "mac": mac}
    made = book.hold(110, status=Status.RESERVED, **named)
    book.release(120)
    (ended,) = book.history()
    assert ended == Period(
        scope_id=ended.scope_id, scope="s", subnet_id=made.subnet_id, address=A7,
        allocation_id=made.id, status=Status.RESERVED, project_id=made.project_id, project="one",
        identifier="i", hostname="h", mac=mac, since=110, until=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "two"}, {"owner": None}, {"identifier": "j"}, {"hostname": "other"},
        {"mac": None}, {"status": Status.RESERVED},
    ],
    ids=lambda change: " ".join(change),
)  # fmt: skip
def test_a_change_of_the_holder_ends_a_period_and_begins_one(
    book: Book, change: dict[str, Any]
) -> None:
    mac = Mac("02:00:00:00:00:01")
    book.hold(110, owner="one", identifier="i", hostname="h", mac=mac)
    (before,) = book.history()
    book.update(120, **change)
    now, then = book.history()
    assert (then.until, now.since, now.until) == (120, 120, None)
    assert (then.allocation_id, then.since) == (now.allocation_id, 110)
    for name in ("project", "identifier", "hostname", "mac", "status"):
        assert getattr(then, name) == getattr(before, name)
    field = {"owner": "project"}.get(*change, *change)
    assert getattr(now, field) == next(iter(change.values()))
    book.release(130)
    assert [(one.since, one.until) for one in book.history()] == [(120, 130), (110, 120)]


@pytest.mark.parametrize(
    "change",
    [{"description": "d"}, {"tags": ("t",)}, {"hostname": "H"}, {"owner": "one"}, {}],
    ids=str,
)
def test_what_does_not_change_the_holder_ends_no_period(book: Book, change: dict[str, Any]) -> None:
    book.hold(110, owner="one", hostname="h")
    book.update(120, **change)
    assert book.told() == [("h", 110, None)]


def everything(book: Book) -> None:
    book.do(ReleaseMatching(subnet="n", owner="one"))


ENDS: dict[str, Callable[[Book], object]] = {
    "one": lambda b: [b.release(120, Address(f"10.0.0.{last}")) for last in (7, 8, 20)],
    "several": lambda b: b.do(
        ReleaseAddresses(subnet="n", addresses=tuple(Address(f"10.0.0.{n}") for n in (20, 7, 8)))
    ),
    "of an owner": everything,
    "in a batch": lambda b: b.do(
        Batch(
            commands=tuple(
                ReleaseAddress(subnet="n", address=Address(f"10.0.0.{n}")) for n in (7, 8, 20)
            )
        )
    ),
    "with their subnet": lambda b: b.do(DeleteSubnet(subnet="n", cascade=True)),
    "with their pool": lambda b: b.do(DeleteSubnetPool(pool="p", cascade=True)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_however_addresses_are_given_back_their_holders_are_known(
    book: Book, end: Callable[[Book], object]
) -> None:
    for last in (7, 8, 20):
        book.hold(110, Address(f"10.0.0.{last}"), owner="one", hostname=f"h{last}")
    book.now = 120
    end(book)
    for last in (7, 8, 20):
        (ended,) = book.history(Address(f"10.0.0.{last}"))
        assert (ended.hostname, ended.project) == (f"h{last}", "one")
        assert (ended.since, ended.until) == (110, 120)
    assert book.history(Address("10.0.0.9")) == ()


def test_a_repair_ends_nothing(book: Book) -> None:
    book.hold(110)
    book.do(RepairBook(), at=120)
    assert book.told() == [(None, 110, None)]


def test_many_held_at_once_have_a_period_each(book: Book) -> None:
    book.do(AllocateAddresses(subnet="n", count=250, owner="one"), at=110)
    book.do(ReleaseMatching(owner="one"), at=120)
    ended = [book.history(Address(f"10.0.0.{last}")) for last in (2, 100, 251)]
    assert [(one.since, one.until) for (one,) in ended] == [(110, 120)] * 3
    assert len({one.allocation_id for (one,) in ended}) == 3


def test_a_clock_that_goes_back_ends_no_period_before_it_begins(book: Book) -> None:
    book.hold(200, hostname="a")
    book.update(150, hostname="b")
    book.update(180, hostname="c")
    book.update(210, hostname="d")
    book.release(205)
    assert book.told() == [("c", 200, 210), ("a", 200, 200)]
    book.hold(190, hostname="e")
    book.release(195)
    assert book.told(at=192) == [("e", 190, 195)]
    assert book.told(at=209) == [("c", 200, 210)]


def test_who_held_an_address_for_no_time_is_told_unless_it_was_somebody_else_before(
    book: Book,
) -> None:
    book.hold(110, hostname="a")
    book.release(110)
    book.hold(110, hostname="b")
    book.update(110, hostname="c")
    book.update(110, hostname="d")
    assert sorted(book.told(), key=str) == [("a", 110, 110), ("b", 110, 110), ("d", 110, None)]
    assert book.told(at=110) == [("d", 110, None)]


def test_a_subnet_and_a_project_that_are_gone_leave_their_history(book: Book) -> None:
    made = book.hold(110, owner="one", hostname="a")
    book.do(UpdateProject(project="one", name="renamed"), at=115)
    assert [one.project for one in book.history()] == ["renamed"]
    book.do(DeleteSubnet(subnet="n", cascade=True), at=120)
    book.do(DeleteProject(project="renamed"))
    (ended,) = book.history()
    assert (ended.subnet_id, ended.hostname, ended.project) == (made.subnet_id, "a", None)
    assert ended.project_id == made.project_id
    book.do(CreateSubnet(scope="s", prefix=Prefix("10.0.0.0/28"), name="n"), at=130)
    book.hold(140, hostname="b")
    assert book.told() == [("b", 140, None), ("a", 110, 120)]
    assert book.told(subnet="n") == [("b", 140, None)]
    with pytest.raises(NotFound):
        book.history(subnet=str(made.subnet_id))


def test_the_history_of_a_scope_goes_with_it(book: Book) -> None:
    book.hold(110)
    book.release(120)
    book.hold(130)
    book.do(DeleteAddressScope(scope="s", cascade=True), at=140)
    assert book.history() == ()
    with book.desk.store.reading() as r:
        assert r.run(schema.allocation_period.select()).all() == []


def test_an_address_of_several_scopes_is_told_of_each_unless_one_is_named(book: Book) -> None:
    book.do(CreateAddressScope(name="other"))
    book.do(CreateSubnet(scope="other", prefix=Prefix("10.0.0.0/24"), name="far"))
    book.hold(110, hostname="a")
    book.do(AllocateAddress(subnet="far", address=A7, hostname="b"), at=115)
    book.release(120)
    book.do(ReleaseAddress(subnet="far", address=A7), at=125)
    book.hold(130, hostname="c")
    assert book.told() == [("c", 130, None), ("b", 115, 125), ("a", 110, 120)]
    assert [one.scope for one in book.history()] == ["s", "other", "s"]
    assert book.told(at=118) == [("b", 115, 125), ("a", 110, 120)]
    assert book.told(scope="other") == [("b", 115, 125)]
    assert book.told(scope="s", at=118) == [("a", 110, 120)]
    with pytest.raises(NotFound):
        book.told(scope="none")


def test_families_are_apart(book: Book) -> None:
    """The same 16 bytes, of another family, are another address."""
    book.do(CreateSubnet(scope="s", prefix=Prefix("::/64"), name="six"))
    same = Address.of(6, A7.value)
    book.do(AllocateAddress(subnet="six", address=same, hostname="six"), at=110)
    book.hold(115, hostname="four")
    book.do(ReleaseAddress(subnet="six", address=same), at=120)
    book.release(125)
    assert book.told() == [("four", 115, 125)]
    assert book.told(address=same) == [("six", 110, 120)]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_the_pages_of_a_history_are_all_of_it_once(book: Book, limit: int) -> None:
    book.do(CreateAddressScope(name="other"))
    book.do(CreateSubnet(scope="other", prefix=Prefix("10.0.0.0/24"), name="far"))
    far = {"subnet": "far", "address": A7}
    for at in (110, 120, 130):
        book.hold(at, hostname=f"h{at}")
        book.do(AllocateAddress(**far, hostname=f"far{at}"))
        if at < 130:
            book.release(at + 5)  # both end at once
            book.do(ReleaseAddress(**far))
    found, cursor = [], None
    while True:
        page = book.desk.ask(ListHistory(address=A7, limit=limit, cursor=cursor), book.me)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert tuple(found) == book.history()
    assert [one.until for one in found] == [None, None, 125, 125, 115, 115]
    assert len({one.allocation_id for one in found}) == 6


@pytest.mark.parametrize("cursor", ["", "x", "WzEsMV0", "WzEsICJ4Il0"])
def test_a_cursor_that_is_not_of_a_history_is_refused(book: Book, cursor: str) -> None:
    with pytest.raises(InvalidValue):
        book.history(cursor=cursor)


def test_what_is_forgotten_ended_before_and_nothing_else_is_changed(book: Book) -> None:
    for at in (110, 120, 130):
        book.hold(at, hostname=f"h{at}")
        book.release(at + 5)
    book.hold(140, hostname="now")
    done = book.do(ForgetHistory(before=125))
    assert (done.count, done.more) == (1, False)
    assert book.told() == [("now", 140, None), ("h130", 130, 135), ("h120", 120, 125)]
    assert book.do(ForgetHistory(before=1000)).count == 2
    assert book.told() == [("now", 140, None)]


def test_the_history_of_one_scope_is_forgotten_alone(book: Book) -> None:
    book.do(CreateAddressScope(name="other"))
    book.do(CreateSubnet(scope="other", prefix=Prefix("10.0.0.0/24"), name="far"))
    book.hold(110)
    book.release(115)
    book.do(AllocateAddress(subnet="far", address=A7))
    book.do(ReleaseAddress(subnet="far", address=A7))
    assert book.do(ForgetHistory(before=1000, scope="other")).count == 1
    assert [one.scope for one in book.history()] == ["s"]


def test_a_long_history_is_forgotten_piece_by_piece(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FORGOTTEN_AT_ONCE", 100)
    book.do(AllocateAddresses(subnet="n", count=250, owner="one"), at=110)
    book.do(ReleaseMatching(owner="one"), at=120)
    pieces = [book.do(ForgetHistory(before=121)) for _ in range(3)]
    assert [(one.count, one.more) for one in pieces] == [(100, True), (100, True), (50, False)]
