"""Books on SQLite files, what they hold in comparable form, and the files that are imported.

Invariant: the desks are real; a real data file that is missing is a skip with its reason, and every
claim is shown on a file of our own as well.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from allotment import connect, local_owner, open_book
from allotment.doors.exchange.csv_import import import_csv
from allotment.doors.exchange.netbox import import_netbox
from allotment.doors.exchange.report import Report
from allotment.doors.exchange.seat import DeskSeat, Seat, every
from allotment.model.commands import DeleteAddressScope, DeleteProject
from allotment.model.queries import (
    CheckBook,
    ListAddressScopes,
    ListAllocations,
    ListPrefixAllocations,
    ListProjects,
    ListSubnetPools,
    ListSubnets,
)
from allotment.model.wire import plain
from live_server import LiveServer, copy_of

ROOT = Path(__file__).parents[3]
FILES = Path(__file__).parent / "files"
_LARGE = {"netbox_demo", "aws_prefixes"}
# Of each book its own: everything else must be the same after a copy.
_OWN = (
    "id",
    "scope_id",
    "parent_id",
    "pool_id",
    "subnet_id",
    "project_id",
    "created_at",
    "version",
)


@pytest.fixture(autouse=True)
def on_a_plain_machine(plain_environment: None) -> None:
    """Every test of this door."""


@contextmanager
def _made(kind: str, admin: tuple[Path, str], folder: Path) -> Iterator[Callable[[], DeskSeat]]:
    """Makes books: each call opens another, empty one, in a file of its own or at a server."""
    made: list[DeskSeat] = []
    servers: list[LiveServer] = []

    def make() -> DeskSeat:
        path = copy_of(admin[0], folder / f"book{len(made)}.db")
        if kind == "local":
            made.append(DeskSeat(open_book(path), local_owner()))
        else:
            servers.append(LiveServer(path))
            desk = connect(servers[-1].url, token=admin[1])
            made.append(DeskSeat(desk, desk.actor))
        return made[-1]

    yield make
    for seat in made:
        assert seat.ask(CheckBook()).clean, "whatever happened, the book is clean"
        seat.desk.close()
    for server in servers:
        server.close()


@pytest.fixture(params=["local", "server"])
def new_seat(
    request: pytest.FixtureRequest, admin: tuple[Path, str], tmp_path: Path
) -> Iterator[Callable[[], DeskSeat]]:
    """Makes books of one test."""
    if request.param == "server" and _LARGE & set(request.fixturenames):
        pytest.skip("thousands of rows, a request or more each: the same code is shown in a file")
    with _made(request.param, admin, tmp_path) as make:
        yield make


@pytest.fixture(scope="module", params=["local", "server"])
def imported(
    request: pytest.FixtureRequest,
    admin: tuple[Path, str],
    tmp_path_factory: pytest.TempPathFactory,
    from_netbox: Callable[..., Report],
) -> Iterator[tuple[DeskSeat, Report]]:
    """A book that the odd fixture was imported into, and the report; tests only look at it."""
    with _made(request.param, admin, tmp_path_factory.mktemp("odd")) as make:
        seat = make()
        yield seat, from_netbox(seat, FILES / "netbox-odd.json")


@pytest.fixture
def seat(new_seat: Callable[[], DeskSeat]) -> DeskSeat:
    """The owner at the desk of an empty book."""
    return new_seat()


def _shared(path: str) -> Path:
    """A file of the data next to the repository, or next to a folder around it."""
    for folder in (ROOT, *ROOT.parents):
        found = folder / "shared" / "data" / path
        if found.exists():
            return found
    pytest.skip(f"../shared/data/{path} is not there: it comes beside the repository, not in it")


@pytest.fixture(scope="session")
def netbox_demo() -> Path:
    """The fixture of NetBox's public demo data."""
    return _shared("netbox-demo/ipam.json")


@pytest.fixture(scope="session")
def aws_prefixes() -> Path:
    """The published prefixes of a public cloud."""
    return _shared("cloud/aws-prefixes.csv")


@pytest.fixture(scope="session")
def files() -> Path:
    """The folder of our own files."""
    return FILES


@pytest.fixture(scope="session")
def from_netbox() -> Callable[..., Report]:
    """Imports a NetBox fixture, from a file or from bytes."""

    def bring_in(seat: Seat, given: Path | bytes) -> Report:
        report = Report("file.json", "netbox")
        import_netbox(seat, io.BytesIO(_bytes(given)), report)
        return _all_told(report)

    return bring_in


@pytest.fixture(scope="session")
def from_csv() -> Callable[..., Report]:
    """Imports a CSV file, from a file, from text or from bytes."""

    def bring_in(seat: Seat, given: Path | bytes | str, scope: str | None = None) -> Report:
        report = Report("file.csv", "csv")
        raw = given.encode() if isinstance(given, str) else _bytes(given)
        import_csv(seat, io.BytesIO(raw), report, scope)
        return _all_told(report)

    return bring_in


def _bytes(given: Path | bytes) -> bytes:
    return given.read_bytes() if isinstance(given, Path) else given


def _all_told(report: Report) -> Report:
    assert all(row.outcome is not None for row in report.rows), "every row is told"
    return report


def _comparable(item: Any, **more: object) -> str:
    return repr({key: value for key, value in plain(item).items() if key not in _OWN} | more)


def _contents(seat: Seat) -> dict[str, list[str]]:
    projects = list(every(seat, ListProjects()))
    scopes = list(every(seat, ListAddressScopes()))
    pools = [one for scope in scopes for one in every(seat, ListSubnetPools(scope=scope.name))]
    subnets = [one for scope in scopes for one in every(seat, ListSubnets(scope=scope.name))]
    names = {pool.id: pool.name for pool in pools}
    of_pools = {
        pool.id: list(every(seat, ListPrefixAllocations(pool=str(pool.id)))) for pool in pools
    }
    held = {one.id: list(every(seat, ListAllocations(subnet=str(one.id)))) for one in subnets}
    found = {
        "projects": [_comparable(one) for one in projects],
        "scopes": [_comparable(one) for one in scopes],
        "pools": [_comparable(one, parent=names.get(one.parent_id)) for one in pools],
        "subnets": [_comparable(one, pool=names.get(one.pool_id)) for one in subnets],
        "prefix allocations": [
            _comparable(one, scope=pool.scope, pool=pool.name)
            for pool in pools
            for one in of_pools[pool.id]
        ],
        "allocations": [
            _comparable(one, scope=subnet.scope, prefix=str(subnet.prefix))
            for subnet in subnets
            for one in held[subnet.id]
        ],
    }
    return {noun: sorted(items) for noun, items in found.items()}


@pytest.fixture(scope="module")
def two_books() -> Iterator[tuple[DeskSeat, DeskSeat]]:
    """Two books in memory for many examples, each of which empties them first."""
    with open_book("sqlite://") as one, open_book("sqlite://") as other:
        yield DeskSeat(one, local_owner()), DeskSeat(other, local_owner())


@pytest.fixture(scope="session")
def emptied() -> Callable[[DeskSeat], DeskSeat]:
    """Removes all that is in a book."""

    def empty(seat: DeskSeat) -> DeskSeat:
        for scope in list(every(seat, ListAddressScopes())):
            seat.do(DeleteAddressScope(scope=str(scope.id), cascade=True))
        for project in list(every(seat, ListProjects())):
            seat.do(DeleteProject(project=str(project.id)))
        return seat

    return empty


@pytest.fixture(scope="session")
def contents() -> Callable[[Seat], dict[str, list[str]]]:
    """All that a book holds, without what is each book's own (ids, times, versions)."""
    return _contents
