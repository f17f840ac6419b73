"""A Neutron's database, made by SQL, and a real desk.

Invariant: nothing here is Neutron's code; what Neutron's code does is shown in tests/neutron.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from allotment import local_owner, open_book
from allotment.bootstrap import open_neutron
from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.neutron.addresses import AddressBook
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.subnet_pools import PoolBook
from allotment.doors.neutron.subnets import SubnetBook
from allotment.model.queries import CheckBook
from live_server import copy_of
from neutron_cloud import Cloud
from neutron_shelves import Shelves


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A Neutron with nothing in it."""
    return Cloud(tmp_path / "neutron.db")


@pytest.fixture
def source(cloud: Cloud) -> Iterator[object]:
    """The reader of that Neutron's database."""
    with open_neutron(cloud.url, snapshot=False) as tables:
        yield tables


@pytest.fixture(scope="session")
def empty_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a book with nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("template") / "book.db"
    with open_book(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def seat(empty_book: Path, tmp_path: Path) -> Iterator[DeskSeat]:
    """The owner at the desk of an empty book, which is clean at the end, whatever happened."""
    with open_book(copy_of(empty_book, tmp_path / "empty.db")) as desk:
        made = DeskSeat(desk, local_owner())
        yield made
        report = made.ask(CheckBook())
        assert report.clean, report.faults


@pytest.fixture
def shelves(seat: DeskSeat) -> Shelves:
    """What the driver works with, at that desk."""
    plan = Plan()
    return Shelves(SubnetBook(seat, plan), PoolBook(seat, plan), AddressBook(seat))
