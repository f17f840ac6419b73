"""`import csv`: rows become subnet pools; with a column `kind`, whatever `export csv` writes.

Invariant: a file of broken shape changes nothing; a row with an invalid value is refused alone, by
its line; running it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from allotment.doors.exchange.csv_cells import Cells
from allotment.doors.exchange.csv_file import Lines, broken, read_lines
from allotment.doors.exchange.csv_pools import PoolDrafts, tags_of_others
from allotment.doors.exchange.intake import Intake, Wish
from allotment.doors.exchange.report import Report, Row
from allotment.doors.exchange.seat import Seat
from allotment.doors.exchange.shelf import Shelf
from allotment.errors import Ambiguous, InvalidValue, NotFound
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.queries import ListAddressScopes
from allotment.model.results import AddressPlacement, Status

FORMAT: Final = "csv"
FIRST_SCOPE: Final = "Global"
_KINDS: Final = ("project", "scope", "pool", "subnet", "allocation")
_MAKE_NAMED: Final[dict[str, type[CreateProject] | type[CreateAddressScope]]] = {
    "project": CreateProject,
    "scope": CreateAddressScope,
}

# A row that waits until the subnets are there.
_Waiting = tuple[Row, str, Cells]


class CsvImport:
    """One import on its way."""

    def __init__(self, seat: Seat, report: Report, scope: str | None) -> None:
        self._seat = seat
        self._report = report
        self._scope = scope
        self._shelf = Shelf(seat)
        self._intake = Intake(seat, self._shelf, report)
        self._projects: dict[str, Wish] = {}
        self._scopes: dict[str, Wish] = {}
        self._needed: dict[tuple[str, str], int] = {}
        self._pools = PoolDrafts()
        self._subnets: list[Wish] = []
        self._allocations: list[_Waiting] = []

    def read(self, lines: Lines) -> None:
        """Read all rows; what is not valid is refused.

        Raises:
            InvalidValue: the shape of the file is broken.
        """
        if "prefix" not in lines.columns:
            raise broken(1, ",".join(lines.columns), "no column is called 'prefix'")
        for line in lines.rows:
            self._read(Cells(line))

    def _read(self, cells: Cells) -> None:
        kind = cells.kind()
        label = cells.text("address") or cells.text("prefix") or cells.text("name")
        row = self._report.row(kind, f"line {cells.number}", label)
        try:
            self._sort_out(kind, row, cells)
        except InvalidValue as error:
            self._report.refuse(row, error)

    def _sort_out(self, kind: str, row: Row, cells: Cells) -> None:
        if kind not in _KINDS:
            raise InvalidValue("kind", kind, f"it is one of {', '.join(_KINDS)}")
        if kind in ("project", "scope"):
            self._read_named(kind, row, cells)
            return
        scope = cells.name("scope") or self._default_scope()
        project = cells.name("project")
        match kind:
            case "pool":
                self._pools.add(row, scope, cells)
            case "subnet":
                self._subnets.append(Wish(row, _subnet(row, scope, cells)))
            case _:
                self._check_allocation(cells)
                self._allocations.append((row, scope, cells))
        self._needed.setdefault(("scope", scope), cells.number)
        if project is not None:
            self._needed.setdefault(("project", project), cells.number)

    def _default_scope(self) -> str:
        """The scope given, or the only one there is, or the first of an empty book."""
        if self._scope is None:
            found = self._seat.ask(ListAddressScopes(limit=10)).items
            if len(found) > 1:
                raise Ambiguous("the book", "(no scope named)", tuple(one.name for one in found))
            self._scope = found[0].name if found else FIRST_SCOPE
        return self._scope

    def _read_named(self, kind: str, row: Row, cells: Cells) -> None:
        name = cells.name("name") or ""
        if not name:
            raise InvalidValue("name", name, f"a {kind} has one")
        wishes = self._named(kind)
        if name in wishes:
            raise InvalidValue("name", name, f"{wishes[name].row.source} has it already")
        make = _MAKE_NAMED[kind]
        wishes[name] = Wish(row, make(name=name, description=cells.text("description")))

    def _named(self, kind: str) -> dict[str, Wish]:
        return self._projects if kind == "project" else self._scopes

    def _check_allocation(self, cells: Cells) -> None:
        """Refuse now what would be refused when its turn comes."""
        if cells.address() is None:
            cells.prefix()
        cells.mac()
        cells.choice("status", Status, Status.ACTIVE)

    def bring_in(self) -> None:
        """Enter what was read: what is needed first, then what needs it."""
        for kind, name in list(self._needed):
            self._add_needed(kind, name)
        self._intake.take_all(self._projects.values())
        self._intake.take_all(self._scopes.values())
        self._intake.take_all(self._pools.wishes())
        self._pools.tell_others(self._report)
        self._intake.take_all(self._subnets)
        self._intake.take_all(self._held(prefixes=True))
        self._intake.take_all(self._held(prefixes=False))

    def _add_needed(self, kind: str, name: str) -> None:
        """A project or scope that rows name, without a row of its own."""
        wishes = self._named(kind)
        if name in wishes:
            return
        if self._shelf.lacks(kind, name):
            source = f"named in line {self._needed[kind, name]}"
            row = self._report.row(kind, source, name, implied=True)
            wishes[name] = Wish(row, _MAKE_NAMED[kind](name=name))

    def _held(self, *, prefixes: bool) -> Iterator[Wish]:
        for row, scope, cells in self._allocations:
            if (cells.address() is None) is prefixes:
                try:
                    yield Wish(row, self._allocation(row, scope, cells))
                except (InvalidValue, NotFound) as error:
                    self._report.refuse(row, error)

    def _allocation(self, row: Row, scope: str, cells: Cells) -> AllocateAddress | AllocatePrefix:
        common: dict[str, Any] = {  # Any: fields of either command
            "scope": scope,
            "status": cells.choice("status", Status, Status.ACTIVE),
            "owner": cells.name("project"),
            "identifier": cells.text("identifier") or None,
            "description": cells.text("description"),
            "tags": (*cells.parts("tags"), *tags_of_others(row, cells)),
        }
        address = cells.address()
        if address is None:
            prefix = cells.prefix()
            pool = self._shelf.pool_around(scope, prefix)
            if pool is None:
                raise NotFound("subnet pool around", prefix, f"in the address scope {scope}")
            return AllocatePrefix(pool=str(pool), prefix=prefix, **common)
        subnet = self._shelf.subnet_around(scope, address)
        if subnet is None:
            raise NotFound("subnet around", address, f"in the address scope {scope}")
        return AllocateAddress(
            subnet=str(subnet.prefix),
            address=address,
            hostname=cells.text("hostname") or None,
            mac=cells.mac(),
            **common,
        )


def _subnet(row: Row, scope: str, cells: Cells) -> CreateSubnet:
    return CreateSubnet(
        scope=scope,
        prefix=cells.prefix(),
        name=cells.name("name"),
        gateway=cells.gateway(),
        ranges=cells.ranges(),
        placement=cells.choice("placement", AddressPlacement, AddressPlacement.LOWEST),
        quarantine_seconds=cells.whole("quarantine_seconds") or 0,
        project=cells.name("project"),
        description=cells.text("description"),
        tags=(*cells.parts("tags"), *tags_of_others(row, cells)),
    )


def import_csv(seat: Seat, stream: BinaryIO, report: Report, scope: str | None = None) -> None:
    """Bring the rows of a CSV file into the book; `scope` is for rows that name none.

    Raises:
        InvalidValue: the shape of the file is broken; nothing was changed.
        Ambiguous: no scope is named, and the book has several; nothing was changed.
        AllotmentError: the store cannot serve; running it again goes on from there.
    """
    one = CsvImport(seat, report, scope)
    one.read(read_lines(stream))
    one.bring_in()
