"""Errors of a book in a file: locks, limits, and what is wrong with the file.

Invariant: each is told by type, code and phase, and nothing of the book is changed by it.
"""

# ruff: noqa: PT012 - what must fail is a transaction, whose end is the end of its block

from __future__ import annotations

import contextlib
import resource
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import (
    AllotmentError,
    Bug,
    Busy,
    DeadlineExceeded,
    Misconfigured,
    NotPrimary,
    SchemaMismatch,
    Serialization,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
)
from allotment.model.queries import ListProjects
from allotment.store.session import Read
from conformance.errors.seen import PROJECT, SECRET, new_id, run, seen, still_serves


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "book.db"


@pytest.fixture
def sqlite_desk(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDesk]:
    """A book in a file, that waits for nobody for long."""
    monkeypatch.setattr("allotment.store.sqlite.BUSY_SECONDS", 0.1)
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", 0.2)
    with open_book(f"sqlite:///{file}") as desk:
        yield desk
        assert desk.store.dialect.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def raw_of(r: Read) -> sqlite3.Connection:
    raw = r.conn.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def test_another_process_at_work_is_busy(sqlite_desk: LocalDesk, file: Path, me: Actor) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as raised:
        sqlite_desk.do(CreateProject(name="p"), me)
    seen(raised).assert_is(Busy, "5", "begin")
    assert sqlite_desk.ask(ListProjects(), me).items == (), "readers do not wait for a writer"
    other.execute("ROLLBACK")
    other.close()
    still_serves(sqlite_desk, me)


def test_another_thread_at_work_is_busy(sqlite_desk: LocalDesk, me: Actor) -> None:
    outcomes: list[AllotmentError] = []

    def another() -> None:
        try:
            sqlite_desk.do(CreateProject(name="p"), me)
        except AllotmentError as error:
            outcomes.append(error)

    with sqlite_desk.store.writing():
        thread = threading.Thread(target=another)
        thread.start()
        thread.join()
    assert isinstance(outcomes[0], Busy)
    assert outcomes[0].phase == "begin"
    still_serves(sqlite_desk, me)


def test_a_reader_that_turns_to_writing_too_late_is_serialization(
    sqlite_desk: LocalDesk, file: Path, me: Actor
) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.reading() as r:
        run(r, "SELECT * FROM project").all()
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute(PROJECT.replace(":id", "zeroblob(16)"))
        run(r, "UPDATE project SET description = 'mine'")
    seen(raised).assert_is(Serialization, "517", "statement")
    still_serves(sqlite_desk, me)


def test_a_table_in_use_is_busy(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        reader = raw_of(tx).execute("SELECT a.name FROM sqlite_master AS a, alembic_version")
        reader.fetchone()
        run(tx, "DROP TABLE alembic_version")
    assert int(raised.value.state or 0) & 0xFF == 6
    seen(raised).assert_is(Busy, raised.value.state, "statement")
    still_serves(sqlite_desk, me)


def test_a_read_only_file_is_not_the_primary(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        run(tx, "PRAGMA query_only = ON")
        run(tx, PROJECT, id=new_id(tx))
    seen(raised).assert_is(NotPrimary, "8", "statement")
    still_serves(sqlite_desk, me)


def test_an_interrupted_statement_is_over_its_time(sqlite_desk: LocalDesk, me: Actor) -> None:
    endless = (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
    )
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        timer = threading.Timer(0.1, raw_of(tx).interrupt)
        timer.start()
        run(tx, endless)
    timer.join()
    seen(raised).assert_is(DeadlineExceeded, "9", "statement")
    still_serves(sqlite_desk, me)


@pytest.mark.parametrize("url", ["sqlite://", None], ids=["memory", "file"])
def test_a_full_disk_changes_nothing(url: str | None, file: Path, me: Actor) -> None:
    with open_book(url or f"sqlite:///{file}") as desk:
        desk.do(CreateAddressScope(name="s"), me)
        desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/16"), name="n"), me)
        with desk.store.reading() as r:
            pages = run(r, "PRAGMA page_count").scalar_one()
            run(r, f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreError) as raised:
            desk.do(AllocateAddresses(subnet="n", count=20_000), me)
        seen(raised).assert_is(StoreFull, "13", raised.value.phase)
        with desk.store.reading() as r:
            assert run(r, "SELECT count(*) FROM allocation").scalar_one() == 0
            run(r, "PRAGMA max_page_count = 1000000")
        assert desk.do(AllocateAddresses(subnet="n", count=20_000), me).count == 20_000
        still_serves(desk, me)


def test_a_disk_that_fails_is_unavailable_until_it_works(
    sqlite_desk: LocalDesk, file: Path, me: Actor
) -> None:
    """The kernel refuses to let the file grow: an I/O error, as of a failing disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(StoreError) as raised:
            sqlite_desk.do(CreateProject(name="p"), me)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert int(raised.value.state or 0) & 0xFF == 10
    seen(raised).assert_is(StoreUnavailable, raised.value.state, raised.value.phase)
    assert sqlite_desk.ask(ListProjects(), me).items == ()
    still_serves(sqlite_desk, me)


def test_a_damaged_file_is_corrupt(file: Path, me: Actor) -> None:
    with open_book(f"sqlite:///{file}") as desk:
        for number in range(200):
            desk.do(CreateProject(name=f"project-{number}", description="x" * 200), me)
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(StoreError) as raised, open_book(f"sqlite:///{file}") as desk:
        desk.ask(ListProjects(), me)
    seen(raised).assert_is(StoreCorrupt, "11", raised.value.phase)


def test_a_file_that_is_no_database_is_refused(file: Path) -> None:
    file.write_text(f"{SECRET} is no database " * 1000)
    with pytest.raises(StoreError) as raised:
        open_book(f"sqlite:///{file}")
    seen(raised).assert_is(StoreCorrupt, "26", "connect")
    assert file.read_text().startswith(SECRET), "and it is left as it was"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as raised:
        open_book(f"sqlite:///{tmp_path}")
    seen(raised).assert_is(Misconfigured, "14", "connect")


def test_a_missing_table_is_a_mismatch(sqlite_desk: LocalDesk, file: Path, me: Actor) -> None:
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("DROP TABLE event")
    with pytest.raises(StoreError) as raised:
        sqlite_desk.do(CreateProject(name="p"), me)
    seen(raised).assert_is(SchemaMismatch, "1", "commit")
    assert sqlite_desk.ask(ListProjects(), me).items == ()


def test_refused_access_is_misconfigured(sqlite_desk: LocalDesk, me: Actor) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        raw_of(tx).set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        try:
            run(tx, "SELECT name FROM project")
        finally:
            raw_of(tx).set_authorizer(None)
    seen(raised).assert_is(Misconfigured, "23", "statement")
    still_serves(sqlite_desk, me)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT zeroblob(2147483648)", "18"),
        ("INSERT INTO event (id, at, actor, command, answer) VALUES ('x', 0, '', '', '')", "20"),
    ],
)
def test_a_value_that_does_not_fit_is_a_bug(
    sqlite_desk: LocalDesk, me: Actor, statement: str, code: str
) -> None:
    with pytest.raises(StoreError) as raised, sqlite_desk.store.writing() as tx:
        run(tx, statement)
    seen(raised).assert_is(Bug, code, "statement")
    still_serves(sqlite_desk, me)
