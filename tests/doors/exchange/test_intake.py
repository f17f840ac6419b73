"""Commands of a file: many at once, and yet each as if it were alone."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.doors.exchange.intake import Intake, Wish
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.runs import joined
from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.exchange.shelf import Shelf
from allotment.errors import StoreUnavailable
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    Command,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import GetAllocation, Query

R = TypeVar("R")

BATCH = 20


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allotment.doors.exchange.intake.BATCH", BATCH)


class CountingSeat:
    """A real seat that counts what is handed in, and may break down."""

    def __init__(self, seat: DeskSeat, breaks_after: int | None = None) -> None:
        self.seat = seat
        self.commands: list[Command[Any]] = []
        self.breaks_after = breaks_after

    def do(self, command: Command[R], /) -> R:
        if self.breaks_after is not None and len(self.commands) >= self.breaks_after:
            raise StoreUnavailable("the cable is cut")
        self.commands.append(command)
        return self.seat.do(command)

    def ask(self, query: Query[R], /) -> R:
        return self.seat.ask(query)


def pools(count: int) -> list[CreateSubnetPool]:
    return [
        CreateSubnetPool(
            name=str(number),
            scope="corp",
            prefixes=(Prefix(f"10.{number // 250}.{number % 250}.0/24"),),
        )
        for number in range(count)
    ]


def taken(seat: Any, commands: list[Any]) -> Report:
    report = Report("file", "test")
    wishes = [Wish(report.row("x", f"line {n}", ""), one) for n, one in enumerate(commands)]
    Intake(seat, Shelf(seat), report).take_all(wishes)
    return report


def test_many_commands_are_few_transactions(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="corp"))
    counting = CountingSeat(seat)
    report = taken(counting, pools(BATCH + 2))
    assert report.counts()[Outcome.IMPORTED] == BATCH + 2
    assert [len(one.commands) for one in counting.commands if isinstance(one, Batch)] == [BATCH, 2]


def test_a_refused_command_spoils_none_of_its_neighbours(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="corp"))
    commands = pools(40)
    bad = CreateSubnetPool(name="7", scope="corp", prefixes=(Prefix("192.0.2.0/24"),))
    worse = CreateSubnetPool(name="x", scope="nowhere", prefixes=(Prefix("192.0.2.0/24"),))
    commands[20:20] = [bad, worse]
    report = taken(seat, commands)
    refused = [(row.source, row.code) for row in report.rows if row.outcome is Outcome.REFUSED]
    assert refused == [("line 20", "already-exists"), ("line 21", "not-found")]
    assert report.counts()[Outcome.IMPORTED] == 40


def test_the_same_thing_twice_is_entered_once(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="corp"))
    report = taken(seat, [*pools(3), *pools(3)])
    assert [str(row.outcome) for row in report.rows] == ["imported"] * 3 + ["unchanged"] * 3


def test_a_store_that_cannot_serve_ends_the_import_and_no_row_is_blamed(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="corp"))
    with pytest.raises(StoreUnavailable):
        taken(CountingSeat(seat, breaks_after=1), pools(BATCH * 2))
    again = taken(seat, pools(BATCH * 2))
    assert again.counts()[Outcome.UNCHANGED] == BATCH
    assert again.counts()[Outcome.IMPORTED] == BATCH, "the second run went on from there"


def singles(*values: int, **said: Any) -> list[AllocateAddress]:
    return [
        AllocateAddress(
            subnet="10.0.0.0/24", scope="corp", address=Address.of(4, (10 << 24) + one), **said
        )
        for one in values
    ]


def test_neighbours_that_say_the_same_are_one_bulk_allocation(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="corp"))
    seat.do(CreateSubnet(scope="corp", prefix=Prefix("10.0.0.0/24")))
    counting = CountingSeat(seat)
    report = taken(counting, singles(*range(2, 200), hostname="pc", description="desk"))
    assert report.counts()[Outcome.IMPORTED] == 198
    sent = [part for one in counting.commands for part in getattr(one, "commands", [one])]
    assert {type(one) for one in sent} == {AllocateAddresses}
    assert len(sent) <= 198 // BATCH + 1
    held = seat.ask(GetAllocation(subnet="10.0.0.0/24", address=Address("10.0.0.77")))
    assert (held.hostname, held.description) == ("pc", "desk")


def test_one_address_that_is_taken_is_told_alone(seat: DeskSeat) -> None:
    """Somebody else took it after the book was read."""
    seat.do(CreateAddressScope(name="corp"))
    seat.do(CreateSubnet(scope="corp", prefix=Prefix("10.0.0.0/24")))
    report = Report("file", "test")
    commands = singles(*range(2, 50))
    shelf = Shelf(seat)
    shelf.scope("corp")
    assert shelf.find(commands[0]) is None, "the shelf knows what is held from here on"
    seat.do(AllocateAddress(subnet="10.0.0.0/24", address=Address("10.0.0.33")))
    wishes = [Wish(report.row("x", str(one.address), ""), one) for one in commands]
    Intake(seat, shelf, report).take_all(wishes)
    refused = [(row.source, row.code) for row in report.rows if row.outcome is Outcome.REFUSED]
    assert refused == [("10.0.0.33", "address-taken")]
    assert report.counts()[Outcome.IMPORTED] == 47


COMMANDS = st.lists(
    st.builds(
        lambda value, said: singles(value, **said)[0],
        st.integers(1, 9),
        st.sampled_from([{}, {"hostname": "a"}, {"identifier": "i"}, {"tags": ("t",)}]),
    ),
    max_size=20,
)


@given(COMMANDS)
def test_joining_keeps_every_command_in_its_order(commands: list[AllocateAddress]) -> None:
    runs = list(joined(commands))
    assert [part for run in runs for part in run.parts] == commands
    for run in runs:
        if isinstance(run.command, AllocateAddresses):
            assert run.command.count == len(run.parts) > 1
            assert not any(part.identifier for part in run.parts)
        else:
            assert list(run.parts) == [run.command]
