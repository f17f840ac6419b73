"""Fixtures and rules for the whole suite.

Invariant: a test marked `races` runs while no other test of the run does, whatever the number of
xdist workers.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TextIO
from zlib import crc32

import hypothesis
import pytest
from hypothesis import Phase

from allotment import open_book
from postgres_books import Shelf
from postgres_cluster import Cluster
from postgres_server import PostgresServer, Run

# As many partitions as every lent book on PostgreSQL is in; none, where it is not set.
PARTITIONS_VARIABLE = "ALLOTMENT_TEST_PARTITIONS"
RUN = pytest.StashKey[Run]()
ROOM = pytest.StashKey[TextIO]()

# A busy machine is no failure: no deadline. `--hypothesis-profile=long` asks for more examples.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.register_profile("long", deadline=None, print_blob=True, max_examples=5_000)
hypothesis.settings.register_profile(
    "mutants", deadline=None, database=None, phases=[Phase.explicit, Phase.generate]
)
"""A mutant is killed by any example: nobody reads the smallest."""
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The run's PostgreSQL server, started on first use and shared by all workers."""
    server = request.config.stash[RUN].postgres()
    yield server
    server.close()


def _make_book(url: str) -> None:
    parts = os.environ.get(PARTITIONS_VARIABLE)
    with open_book(url, create=True, partitions=int(parts) if parts else None):
        pass


@pytest.fixture(scope="session")
def postgres_books(postgres_server: PostgresServer) -> Shelf:
    """The worker's books: copies of one that is made for the run, lent to one test at a time."""
    return Shelf(postgres_server, postgres_server.template("book", _make_book))


@pytest.fixture
def postgres_url(postgres_books: Shelf) -> Iterator[str]:
    """The URL of a PostgreSQL database with an empty book in it, for this test alone."""
    url = postgres_books.lend()
    yield url
    postgres_books.take_back(url)


@pytest.fixture
def blank_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new PostgreSQL database without a book, dropped after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A started PostgreSQL server for this test alone, which may kill it and start it again."""
    cluster = request.config.stash[RUN].own_cluster()
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(
    params=[
        "sqlite-file",
        "sqlite-memory",
        pytest.param("postgresql", marks=pytest.mark.postgres),
    ]
)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database: the test runs once for every kind of database."""
    match request.param:
        case "sqlite-file":
            return f"sqlite:///{tmp_path}/book.db"
        case "sqlite-memory":
            return "sqlite://"
        case _:
            return str(request.getfixturevalue("postgres_url"))


def pytest_configure(config: pytest.Config) -> None:
    """Open the run; a worker joins the run of its controller."""
    worker = getattr(config, "workerinput", None)
    config.stash[RUN] = Run(Path(worker["run_directory"])) if worker else Run.open()
    if worker:
        config.stash[ROOM] = (config.stash[RUN].directory / "room").open("a+")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # Any: xdist's WorkerController is not typed
    """Tell a worker which run it belongs to."""
    node.workerinput["run_directory"] = str(node.config.stash[RUN].directory)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the run, if it is ours to close."""
    if RUN in config.stash and not hasattr(config, "workerinput"):
        config.stash[RUN].close()


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what asks for a PostgreSQL server by fixture, and leave some out; races come first.

    In between, each would wait for whatever takes long in other workers.
    """
    wanted = {"postgres_server", "postgres_url", "blank_postgres_url", "postgres_cluster"}
    for item in items:
        if wanted & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)
        if _is_the_same_again(item):
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: item.get_closest_marker("races") is None)


def _is_the_same_again(item: pytest.Item) -> bool:
    """SQLite's files and its memory are one dialect: usually one of them plays what takes long.

    Memory plays every pool size of `test_exhaustive.py`, and every third of the others.
    """
    if "tests/conformance" not in item.path.as_posix():
        return False
    if item.path.name == "test_exhaustive.py":
        return "sqlite-file" in item.name
    return "sqlite-memory" in item.name and crc32(item.name.encode()) % 3 != 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let tests share the machine, and a race have it alone.

    Byte 1 of the file is the room, shared or taken whole. Byte 0 is its door: whoever waits for
    the room stands in it, so that newcomers can't keep a race waiting for ever.
    """
    room = item.config.stash.get(ROOM, None)
    if room is None:  # one process: one test at a time anyway
        return (yield)
    alone = item.get_closest_marker("races") is not None
    fcntl.lockf(room, fcntl.LOCK_EX, 1, 0)
    fcntl.lockf(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, 1, 1)
    fcntl.lockf(room, fcntl.LOCK_UN, 1, 0)
    try:
        return (yield)
    finally:
        fcntl.lockf(room, fcntl.LOCK_UN, 1, 1)
