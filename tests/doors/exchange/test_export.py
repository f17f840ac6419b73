"""What is exported: complete, page by page, and no cell a formula."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from allotment.doors.exchange.export import csv_lines, json_pieces
from allotment.doors.exchange.seat import DeskSeat
from allotment.errors import NotFound
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Batch,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import ListAllocations

FORMULAS = [
    *(
        "=1+2",
        "+1",
        "-1",
        "@SUM(A1)",
        "=cmd|' /C calc'!A0",
        "＝1",
        "＋1",
        "－1",
        "＠a",
        "'=1",
        "''+",
    ),
]


@pytest.fixture
def filled(seat: DeskSeat) -> DeskSeat:
    """A book with one of each, in two scopes."""
    seat.do(CreateProject(name="net"))
    for scope in ("corp", "lab"):
        seat.do(CreateAddressScope(name=scope))
        seat.do(CreateSubnetPool(name="all", scope=scope, prefixes=(Prefix("10.0.0.0/8"),)))
        seat.do(CreateSubnet(scope=scope, prefix=Prefix("10.0.1.0/24"), name="web"))
        seat.do(AllocateAddress(subnet="web", scope=scope, hostname="www", owner="net"))
        seat.do(AllocatePrefix(pool="all", scope=scope, prefix=Prefix("10.9.0.0/16")))
    return seat


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(seat: DeskSeat, text: str) -> None:
    seat.do(CreateAddressScope(name="corp", description=text))
    seat.do(
        CreateSubnet(
            scope="corp", prefix=Prefix("10.0.0.0/24"), name=text, description=text, tags=(text,)
        )
    )
    seat.do(
        AllocateAddress(
            subnet="10.0.0.0/24", address=Address("10.0.0.9"), identifier=text, description=text
        )
    )
    found = rows("".join(csv_lines(seat)))
    cells = [cell for row in found for cell in row.values() if text in cell]
    assert len(cells) >= 6
    assert all(cell[0] not in "=+-@\t\r\n＝＋－＠" for cell in cells)


@pytest.mark.parametrize("text", ["\tb", "\nb", "a\nb", 'say "no"', "a,b", "", " a "])
def test_any_description_is_one_cell(seat: DeskSeat, text: str) -> None:
    seat.do(CreateAddressScope(name="corp", description=text))
    (row,) = rows("".join(csv_lines(seat)))
    assert row["description"].removeprefix("'") == text


def test_lines_end_as_rfc_4180_says(filled: DeskSeat) -> None:
    text = "".join(csv_lines(filled))
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")


class Counting:
    """A seat that remembers which subnets' allocations it was asked for."""

    def __init__(self, seat: DeskSeat) -> None:
        self.seat = seat
        self.asked: list[str | None] = []

    def do(self, command: Any, /) -> Any:
        return self.seat.do(command)

    def ask(self, query: Any, /) -> Any:
        if isinstance(query, ListAllocations):
            self.asked.append(query.subnet)
        return self.seat.ask(query)


@pytest.mark.parametrize("scope", [None, "corp"])
def test_subnets_that_hold_nothing_are_not_asked(filled: DeskSeat, scope: str | None) -> None:
    for number in range(2, 12):
        filled.do(CreateSubnet(scope="corp", prefix=Prefix(f"10.0.{number}.0/24")))
    outside = Address("10.0.3.1")  # the gateway: held, and in no allocation pool
    filled.do(AllocateAddress(subnet="10.0.3.0/24", address=outside))
    counting = Counting(filled)
    found = rows("".join(csv_lines(counting, scope)))
    held = [row["address"] for row in found if row["kind"] == "allocation" and row["address"]]
    assert "10.0.3.1" in held
    assert len(counting.asked) == (3 if scope is None else 2)


def test_everything_is_there_containers_first(filled: DeskSeat) -> None:
    kinds = [row["kind"] for row in rows("".join(csv_lines(filled)))]
    assert kinds == ["project", *["scope"] * 2, *["pool"] * 2, *["subnet"] * 2, *["allocation"] * 4]


def test_one_scope_is_exported_alone(filled: DeskSeat) -> None:
    found = rows("".join(csv_lines(filled, "lab")))
    assert {row["scope"] for row in found if row["kind"] != "scope"} == {"lab"}
    assert [row["kind"] for row in found] == [
        *("scope", "pool", "subnet", "allocation", "allocation")
    ]
    document = json.loads("".join(json_pieces(filled, "lab")))
    assert [len(items) for items in document.values()] == [0, 1, 1, 1, 1, 1]


def test_a_scope_that_is_not_there_is_an_error_before_anything_is_written(
    filled: DeskSeat,
) -> None:
    for pieces in (csv_lines(filled, "nowhere"), json_pieces(filled, "nowhere")):
        with pytest.raises(NotFound):
            next(iter(pieces))


def test_json_has_the_fields_of_the_model_in_one_document(filled: DeskSeat) -> None:
    document = json.loads("".join(json_pieces(filled)))
    assert list(document) == [
        *("projects", "scopes", "pools", "subnets", "prefix_allocations", "allocations")
    ]
    (held,) = [one for one in document["allocations"] if one["subnet_id"] == _web(document, "lab")]
    assert (held["hostname"], held["project"]) == ("www", "net")


def _web(document: dict[str, Any], scope: str) -> str:
    (found,) = [one["id"] for one in document["subnets"] if one["scope"] == scope]
    return str(found)


def test_an_empty_book_is_a_heading_and_an_empty_document(seat: DeskSeat) -> None:
    assert rows("".join(csv_lines(seat))) == []
    assert not any(json.loads("".join(json_pieces(seat))).values())


@pytest.mark.parametrize("page_size", [1, 3, 4, 100])
def test_all_pages_of_everything_are_exported(
    seat: DeskSeat, monkeypatch: pytest.MonkeyPatch, page_size: int
) -> None:
    monkeypatch.setattr("allotment.doors.exchange.seat.PAGE_SIZE_MAX", page_size)
    seat.do(CreateAddressScope(name="corp"))
    prefixes = [Prefix(f"10.{number}.0.0/24") for number in range(6)]
    seat.do(Batch(commands=tuple(CreateSubnet(scope="corp", prefix=one) for one in prefixes)))
    for prefix in prefixes:
        seat.do(AllocateAddresses(subnet=str(prefix), count=7))
    document = json.loads("".join(json_pieces(seat)))
    assert [one["prefix"] for one in document["subnets"]] == list(map(str, prefixes))
    assert len({one["address"] for one in document["allocations"]}) == 6 * 7
