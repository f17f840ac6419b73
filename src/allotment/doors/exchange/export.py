"""`export`: all that a book, or one address scope of it, holds, page by page.

Invariant: containers come before what is inside them, and a page at a time is in memory. Each page
is a snapshot; what changes meanwhile may be missing, but nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from allotment.doors.cli import csv_text
from allotment.doors.exchange.csv_cells import NONE
from allotment.doors.exchange.csv_file import COLUMNS
from allotment.doors.exchange.seat import Seat, every
from allotment.errors import NotFound
from allotment.model import wire
from allotment.model.queries import (
    GetAddressScope,
    GetUtilisation,
    ListAddressScopes,
    ListAllocations,
    ListPrefixAllocations,
    ListProjects,
    ListSubnetPools,
    ListSubnets,
    ListTree,
)
from allotment.model.results import (
    AddressScope,
    Allocation,
    PrefixAllocation,
    Project,
    Result,
    Subnet,
    SubnetPool,
)

SECTIONS: Final[dict[str, type[Result]]] = {
    "projects": Project,
    "scopes": AddressScope,
    "pools": SubnetPool,
    "subnets": Subnet,
    "prefix_allocations": PrefixAllocation,
    "allocations": Allocation,
}


class Contents:
    """A book, or one scope of it, as it is read."""

    def __init__(self, seat: Seat, scope: str | None) -> None:
        self._seat = seat
        self.whole = scope is None
        if scope is None:
            self.scopes = list(every(seat, ListAddressScopes()))
        else:
            self.scopes = [seat.ask(GetAddressScope(scope=scope))]
        # Where a pool or subnet is: its scope, and the prefix that means it.
        self.places: dict[UUID, tuple[str, str]] = {}
        self._subnets: list[UUID] = []

    @cached_property
    def _inner(self) -> dict[str, dict[UUID | None, None]]:
        """By scope, the pools that prefixes are held from.

        What is seen of a scope is read, whether or not the scope itself is seen.
        """
        found: dict[str, dict[UUID | None, None]] = {scope.name: {} for scope in self.scopes}
        only = None if self.whole else str(self.scopes[0].id)
        for node in every(self._seat, ListTree(scope=only)):
            pools = found.setdefault(node.scope, {})
            if node.kind == "allocation":
                pools[node.parent_id] = None
        return found

    def section(self, name: str) -> Iterator[Any]:  # Any: results of the section's type
        """The items of a section; a later one relies on those before."""
        match name:
            case "projects":
                yield from every(self._seat, ListProjects())
            case "scopes":
                yield from self.scopes
            case "pools":
                yield from self._pools()
            case "subnets":
                yield from self._each_subnet()
            case "prefix_allocations":
                yield from self._prefix_allocations()
            case _:
                yield from self._allocations()

    def _pools(self) -> Iterator[SubnetPool]:
        for scope in self._inner:
            for pool in every(self._seat, ListSubnetPools(scope=scope)):
                self.places[pool.id] = (pool.scope, str(pool.prefixes[0]))
                yield pool

    def _each_subnet(self) -> Iterator[Subnet]:
        for scope in self._inner:
            for subnet in every(self._seat, ListSubnets(scope=scope)):
                self.places[subnet.id] = (subnet.scope, str(subnet.prefix))
                self._subnets.append(subnet.id)
                yield subnet

    def _prefix_allocations(self) -> Iterator[PrefixAllocation]:
        for pools in self._inner.values():
            for pool_id in pools:
                if pool_id in self.places:
                    yield from self._inside(ListPrefixAllocations(pool=str(pool_id)))

    def _allocations(self) -> Iterator[Allocation]:
        """Subnet by subnet, in their order; those that hold nothing are not asked."""
        only = None if self.whole else str(self.scopes[0].id)
        uses = every(self._seat, GetUtilisation(kind="subnet", scope=only))
        holding = {use.id for use in uses if use.held or use.held_outside}
        for subnet_id in self._subnets:
            if subnet_id in holding:
                yield from self._inside(ListAllocations(subnet=str(subnet_id)))

    def _inside(self, query: Any) -> Iterator[Any]:  # Any: a listing of what is held
        """What is held in a container, as long as it is there."""
        try:
            yield from every(self._seat, query)
        except NotFound:
            return


def csv_lines(seat: Seat, scope: str | None = None) -> Iterator[str]:
    """The book as CSV: RFC 4180, one row for each thing, no cell a formula."""
    contents = Contents(seat, scope)
    yield from csv_text.lines(COLUMNS, _rows(contents))


def _rows(contents: Contents) -> Iterator[list[object]]:
    for name in SECTIONS:
        if name == "projects" and not contents.whole:
            continue
        for item in contents.section(name):
            cells = _cells(contents, item)
            yield [cells.get(column) for column in COLUMNS]


def _cells(contents: Contents, item: Any) -> dict[str, object]:  # Any: a result of any section
    """What stands in which column; a field that has the column's name stands in it."""
    cells: dict[str, object] = {
        column: getattr(item, column) for column in COLUMNS if hasattr(item, column)
    }
    match item:
        case Project():
            return cells | {"kind": "project"}
        case AddressScope():
            return cells | {"kind": "scope"}
        case SubnetPool():
            return cells | {"kind": "pool", "prefix": item.prefixes}
        case Subnet():
            gateway = item.gateway if item.gateway is not None else NONE
            return cells | {"kind": "subnet", "gateway": gateway, "ranges": item.pools or NONE}
        case Allocation():
            scope, prefix = contents.places[item.subnet_id]
            return cells | {"kind": "allocation", "scope": scope, "prefix": prefix}
        case _:
            scope, _ = contents.places[item.pool_id]
            return cells | {"kind": "allocation", "scope": scope}


def json_pieces(seat: Seat, scope: str | None = None) -> Iterator[str]:
    """The book as one JSON document: a list for each kind of thing, with the model's fields."""
    contents = Contents(seat, scope)
    before = "{"
    for name in SECTIONS:
        yield f"{before}{json.dumps(name)}: ["
        between = "\n  "
        if name != "projects" or contents.whole:
            for item in contents.section(name):
                yield between + wire.encode(item).decode()
                between = ",\n  "
        yield "\n]" if between.startswith(",") else "]"
        before = ",\n"
    yield "}\n"
