"""Neutron's own plug-in on our driver, in this process; every test ends with the two at one.

Where: `NEUTRON_ON`, which is `sqlite` or `postgresql` for both databases, or `service` for a
Neutron on SQLite whose book is at a service. Neutron keeps its engine for the life of a process, so
a run has one Neutron and one book, and each test its own networks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cloud_process
import pytest
from book_service import BookService
from cloud_process import Cloud

import allotment
from allotment import open_book
from allotment.bootstrap import open_neutron
from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.neutron import counter
from allotment.doors.neutron.findings import Finding
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.reconcile import Reconciliation, mend
from allotment.model.access import local_owner
from allotment.model.queries import CheckBook
from postgres_server import Run

ON = os.environ.get("NEUTRON_ON", "sqlite")


class Databases(NamedTuple):
    """Where Neutron is, and where the book: a database, or a service with a token's file."""

    neutron: str
    book: str
    token_file: str | None = None

    @contextmanager
    def seat(self) -> Iterator[DeskSeat]:
        """At the desk of the book, from outside Neutron."""
        if self.token_file is None:
            with open_book(self.book) as desk:
                yield DeskSeat(desk, local_owner("test"))
            return
        token = Path(self.token_file).read_text("ascii")
        with allotment.connect(self.book, token=token) as remote:
            yield DeskSeat(remote, remote.actor)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BookService]:
    """The service that keeps the book."""
    made = BookService(tmp_path_factory.mktemp("service"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """The databases of this run."""
    if ON != "postgresql":
        folder = tmp_path_factory.mktemp("databases")
        book, token_file = f"sqlite:///{folder}/book.db", None
        if ON == "service":
            service = request.getfixturevalue("service")
            book, token_file = service.url, str(service.token_file)
        yield Databases(f"sqlite:///{folder}/neutron.db", book, token_file)
        return
    run = Run.open()
    server = run.postgres()
    neutron, book = server.create_database(), server.create_database()
    with open_book(book, create=True):
        pass
    yield Databases(neutron.replace("postgresql://", "postgresql+psycopg2://"), book)
    server.drop_database(neutron)
    server.drop_database(book)
    server.close()
    run.close()


@pytest.fixture(scope="session")
def plugin(databases: Databases) -> Iterator[Cloud]:
    """The one Neutron of this run."""
    cloud_process.configure(databases.neutron, databases.book, token_file=databases.token_file)
    cloud_process.make_tables()
    yield Cloud()
    cloud_process.close()


class Auditor:
    """Compares Neutron's database with the book, from outside."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def differences(self, *, repair: bool = False) -> list[Finding]:
        """What differs now, however young; mended if told to."""
        with (
            open_neutron(self._databases.neutron, snapshot=False) as tables,
            self._databases.seat() as seat,
        ):
            comparison = Reconciliation(seat, tables, Plan(), young_seconds=-3600)
            found = []
            for finding in comparison.findings():
                if repair:
                    mend(finding)
                found.append(finding)
            report = seat.ask(CheckBook())
            assert report.clean, report.faults
            return found

    def told(self) -> list[str]:
        """The differences in a few words."""
        return [
            f"{one.kind} {one.subject}: {one.neutron} / {one.book}" for one in self.differences()
        ]


@pytest.fixture
def auditor(databases: Databases) -> Auditor:
    """Who compares the two."""
    return Auditor(databases)


@pytest.fixture
def cloud(plugin: Cloud, auditor: Auditor) -> Iterator[Cloud]:
    """Neutron; after the test, whatever it did, the book and Neutron say the same."""
    yield plugin
    assert auditor.told() == []


@pytest.fixture
def fresh_counter() -> Iterator[None]:
    """The desk is opened anew, before and after."""
    counter.close()
    yield
    counter.close()


@pytest.fixture(scope="session")
def here() -> Path:
    """The folder of the worker's script."""
    return Path(__file__).parent
