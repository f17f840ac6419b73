"""Faults that were found by attacking the core, each as the smallest test that showed it.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from time import monotonic
from typing import Any, TypeVar

import psycopg
import pytest
from msgspec import structs
from psycopg.pq.abc import PGresult
from sqlalchemy import event, make_url

from allotment import Address, AddressRange, LocalDesk, Prefix, local_owner, open_book
from allotment.errors import (
    AddressTaken,
    AllotmentError,
    CommitUnknown,
    IdentifierTaken,
    NotFound,
    StaleAllocation,
)
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteSubnet,
    Method,
    ReleaseAddress,
    ReleaseMatching,
    ReleasePrefix,
    UpdateAllocation,
    UpdateAllocationPools,
    UpdateSubnetPool,
)
from allotment.model.queries import (
    CheckBook,
    GetAllocation,
    GetSubnet,
    ListAllocations,
    ListPrefixAllocations,
    ListProjects,
    Query,
)
from allotment.model.results import Allocation
from allotment.store import directory
from allotment.store.directory import SUBNET
from allotment.store.postgres_connection import Statement, TimedConnection
from postgres_server import PostgresServer

R = TypeVar("R")
ME = local_owner()


class Book:
    """A desk with one scope `s` and one subnet `n` (10.0.0.0/28) in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.desk = open_book(url, create=True)

    def do(self, command: Command[R]) -> R:
        return self.desk.do(command, ME)

    def ask(self, query: Query[R]) -> R:
        return self.desk.ask(query, ME)

    def found(self) -> Book:
        """Make the scope and the subnet."""
        self.do(CreateAddressScope(name="s"))
        self.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"))
        return self

    def holder(self, address: str) -> Allocation:
        return self.ask(GetAllocation(subnet="n", address=Address(address)))

    def held(self) -> int:
        return len(self.ask(ListAllocations(subnet="n")).items)

    def tried(self, command: Command[R]) -> R | None:
        """The answer, or nothing when another came first."""
        try:
            return self.do(command)
        except (NotFound, StaleAllocation):
            return None

    def assert_clean(self) -> None:
        report = self.ask(CheckBook())
        assert report.faults == ()

    def in_one_group(
        self, commands: Sequence[Command[Any]], meanwhile: Callable[[], object] = lambda: None
    ) -> list[Any]:
        """Answers and errors of hot commands that a leader, kept busy, finds waiting together."""
        self.desk._group._leaders = 1  # or another one would serve them meanwhile
        waiting = self.desk._group._waiting
        with ThreadPoolExecutor(len(commands) + 1) as crew:
            with self._leader_kept_busy(crew):
                asked = []
                for count, command in enumerate(commands, start=1):
                    asked.append(crew.submit(self.do, command))
                    while len(waiting) < count:
                        assert not asked[-1].done(), "it was to wait"
                meanwhile()
            return [one.exception() or one.result() for one in asked]

    @contextmanager
    def _leader_kept_busy(self, crew: ThreadPoolExecutor) -> Iterator[None]:
        """Keep a locked subnet, and a leader that waits for it and then is refused."""
        unheld = AllocateAddress(subnet="n", address=Address("192.0.2.1"))
        subnet = self.ask(GetSubnet(subnet="n"))
        waiting = self.desk._group._waiting
        with suppress(_RolledBack), self.desk.store.writing() as tx:
            directory.lock(tx, SUBNET, subnet.id, exclusive=True)
            leader = crew.submit(self.do, unheld)
            while waiting or not self.desk._group._leading:
                assert not leader.done(), "it was to wait"
            yield
            raise _RolledBack
        assert isinstance(leader.exception(), AllotmentError)


class _RolledBack(Exception):
    """Ends a transaction that was opened for its lock only."""


@pytest.fixture
def book(database_url: str) -> Iterator[Book]:
    made = Book(database_url).found()
    yield made
    made.desk.close()


@pytest.fixture
def two(postgres_url: str) -> Iterator[tuple[Book, Book]]:
    """Two desks, as of two processes, on one PostgreSQL book."""
    one = Book(postgres_url).found()
    other = Book(postgres_url)
    yield one, other
    one.desk.close()
    other.desk.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """A deadline that a test can wait for."""
    seconds = 1.0
    monkeypatch.setattr("allotment.operations.retries.DEADLINE_SECONDS", seconds)
    return seconds


@contextmanager
def just_before(desk: LocalDesk, beginning: str, meanwhile: Callable[[], object]) -> Iterator[None]:
    """Let another desk act at the moment when this one first sends such a statement.

    It is waited for, unless this desk holds a lock that keeps it out: then it acts afterwards.
    """
    others: list[Future[object]] = []

    def interleave(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(beginning) and not others:
            others.append(pool.submit(meanwhile))
            wait(others, timeout=1)

    together = TimedConnection.together

    def noticed(
        conn: TimedConnection, statements: Sequence[Statement], *, commit: bool = False
    ) -> list[PGresult]:
        for statement in statements:
            interleave(conn, None, statement.text)
        return together(conn, statements, commit=commit)

    with ThreadPoolExecutor(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedConnection, "together", noticed)
        event.listen(desk.store.dialect.engine, "before_cursor_execute", interleave)
        try:
            yield
        finally:
            event.remove(desk.store.dialect.engine, "before_cursor_execute", interleave)
    assert others, f"no statement began with {beginning!r}"
    others[0].result()


# --- what one request asks, without any race


def test_a_tag_given_twice_in_an_update_is_one_tag(book: Book, impatient: float) -> None:
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.5")))
    changed = book.do(
        UpdateAllocation(subnet="n", address=Address("10.0.0.5"), tags=("b", "a", "b"))
    )
    assert changed.tags == ("a", "b")


def test_an_identifier_of_another_allocation_is_refused_at_once(
    book: Book, impatient: float
) -> None:
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.5"), identifier="mine"))
    book.do(AllocateAddress(subnet="n", address=Address("10.0.0.6")))
    with pytest.raises(IdentifierTaken):
        book.do(UpdateAllocation(subnet="n", address=Address("10.0.0.6"), identifier="mine"))


def test_an_allocation_id_means_the_same_in_either_case(book: Book) -> None:
    held = book.do(AllocateAddress(subnet="n"))
    spelled = str(held.id).upper()
    command = UpdateAllocation(
        subnet="n", address=held.address, allocation_id=spelled, hostname="web"
    )
    assert book.do(command).hostname == "web"


def test_an_identified_prefix_is_not_the_answer_to_a_request_for_another_prefix(
    book: Book,
) -> None:
    book.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    book.do(AllocatePrefix(pool="pool", prefix=Prefix("10.9.0.0/28"), identifier="x"))
    with pytest.raises(AllotmentError):
        book.do(AllocatePrefix(pool="pool", prefix=Prefix("10.9.0.16/28"), identifier="x"))


def test_adopting_a_prefix_whose_identifier_is_known_is_refused_at_once(
    book: Book, impatient: float
) -> None:
    book.do(CreateSubnetPool(name="above", prefixes=(Prefix("10.9.0.0/20"),)))
    book.do(CreateSubnetPool(name="below", prefixes=(Prefix("10.9.0.0/24"),)))
    book.do(AllocatePrefix(pool="above", prefix=Prefix("10.9.1.0/28"), identifier="x"))
    book.do(AllocatePrefix(pool="below", prefix=Prefix("10.9.0.0/28"), identifier="x"))
    more = (Prefix("10.9.0.0/24"), Prefix("10.9.1.0/24"))
    with pytest.raises(IdentifierTaken):
        book.do(UpdateSubnetPool(pool="below", prefixes=more))


@pytest.mark.parametrize(
    "first",
    ["2001:db8::7000:0:0:1", "2001:db8::7fff:ffff:ffff:fffe", "2001:db8::ffff:ffff:ffff:fff0"],
)
def test_a_run_may_begin_anywhere_in_a_64(book: Book, first: str) -> None:
    book.do(CreateSubnet(prefix=Prefix("2001:db8::/64"), name="wide"))
    made = book.do(AllocateAddresses(subnet="wide", first=Address(first), count=4, tags=("run",)))
    held = book.ask(ListAllocations(subnet="wide", tag="run")).items
    assert [one.address.value for one in held] == [Address(first).value + n for n in range(4)]
    assert [one.id.int for one in held] == [made.first_id.int + n for n in range(4)]


# --- commands that meet in one group


def test_a_named_address_that_the_group_took_for_another_is_taken(book: Book) -> None:
    anything, named = book.in_one_group(
        [
            AllocateAddress(subnet="n"),
            AllocateAddress(subnet="n", address=Address("10.0.0.2")),
        ]
    )
    got = {str(one.address) for one in (anything, named) if isinstance(one, Allocation)}
    refused = [one for one in (anything, named) if isinstance(one, AllotmentError)]
    assert "10.0.0.2" in got
    assert all(isinstance(one, AddressTaken) for one in refused)
    book.assert_clean()


@pytest.mark.parametrize("address", ["10.0.0.9", "10.0.0.1"], ids=["inside", "outside the pools"])
def test_the_second_to_name_an_address_in_a_group_hears_that_it_is_taken(
    book: Book, address: str
) -> None:
    wish = AllocateAddress(subnet="n", address=Address(address))
    first, second = book.in_one_group([wish, wish])
    assert isinstance(first, Allocation)
    assert isinstance(second, AddressTaken)
    book.assert_clean()


def test_two_of_a_group_with_one_interface_get_two_stable_addresses(book: Book) -> None:
    book.do(CreateSubnet(prefix=Prefix("2001:db8::/64"), name="wide"))
    wish = AllocateAddress(subnet="wide", method=Method.STABLE_PRIVATE, interface="eth0")
    alone = AllocateAddress(subnet="wide", method=Method.STABLE_PRIVATE, interface="eth1")
    first, second = book.in_one_group([wish, wish])
    one_by_one = book.do(alone), book.do(alone)
    assert one_by_one[0].address != one_by_one[1].address
    assert isinstance(first, Allocation)
    assert isinstance(second, Allocation)
    assert first.address != second.address


# --- races on PostgreSQL, each made certain by acting between two statements
# Whoever comes first, each test's claim holds: the fix may be a lock or a second look.


def test_a_late_release_never_frees_the_next_owners_address(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    old = mine.do(AllocateAddress(subnet="n", address=address))
    release = ReleaseAddress(subnet="n", address=address, allocation_id=str(old.id))

    def next_owner() -> None:
        theirs.tried(release)
        theirs.do(AllocateAddress(subnet="n", address=address, hostname="next"))

    with just_before(mine.desk, "DELETE FROM allocation", next_owner):
        mine.tried(release)
    assert mine.holder("10.0.0.5").hostname == "next"
    mine.assert_clean()


def test_a_late_update_never_changes_the_next_owners_address(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    old = mine.do(AllocateAddress(subnet="n", address=address))

    def next_owner() -> None:
        theirs.do(ReleaseAddress(subnet="n", address=address))
        theirs.do(AllocateAddress(subnet="n", address=address, hostname="next"))

    update = UpdateAllocation(
        subnet="n", address=address, allocation_id=str(old.id), hostname="mine"
    )
    with just_before(mine.desk, "UPDATE allocation", next_owner):
        mine.tried(update)
    assert mine.holder("10.0.0.5").hostname == "next"


def test_a_late_release_never_frees_the_next_owners_prefix(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    prefix = Prefix("10.9.0.0/28")
    mine.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    old = mine.do(AllocatePrefix(pool="pool", prefix=prefix))
    release = ReleasePrefix(pool="pool", prefix=prefix, allocation_id=str(old.id))

    def next_owner() -> None:
        theirs.tried(release)
        theirs.do(AllocatePrefix(pool="pool", prefix=prefix, identifier="next"))

    with just_before(mine.desk, "DELETE FROM prefix_allocation", next_owner):
        mine.tried(release)
    held = mine.ask(ListPrefixAllocations(pool="pool")).items
    assert [one.identifier for one in held] == ["next"]
    mine.assert_clean()


def test_releasing_all_of_an_owner_never_frees_what_is_anothers_by_now(
    two: tuple[Book, Book],
) -> None:
    mine, theirs = two
    address = Address("10.0.0.5")
    mine.do(CreateProject(name="old"))
    mine.do(CreateProject(name="new"))
    mine.do(AllocateAddress(subnet="n", address=address, owner="old"))

    def next_owner() -> None:
        theirs.tried(ReleaseAddress(subnet="n", address=address))
        theirs.do(AllocateAddress(subnet="n", address=address, owner="new"))

    with just_before(mine.desk, "DELETE FROM allocation", next_owner):
        mine.do(ReleaseMatching(owner="old"))
    assert mine.holder("10.0.0.5").project == "new"
    mine.assert_clean()


def test_an_address_released_by_two_at_once_returns_to_the_free_space_once(
    two: tuple[Book, Book],
) -> None:
    mine, theirs = two
    mine.do(CreateProject(name="old"))
    for last in (5, 6, 7):
        mine.do(AllocateAddress(subnet="n", address=Address(f"10.0.0.{last}"), owner="old"))
    counts = []

    def the_other() -> None:
        released = theirs.tried(ReleaseAddress(subnet="n", address=Address("10.0.0.6")))
        counts.append(released.count if released else 0)

    with just_before(mine.desk, "DELETE FROM allocation", the_other):
        counts.append(mine.do(ReleaseMatching(owner="old")).count)
    assert sum(counts) == 3
    mine.assert_clean()


@pytest.mark.parametrize("kind", ["prefix", "subnet"])
def test_two_halves_given_back_at_once_are_one_whole_again(
    two: tuple[Book, Book], kind: str
) -> None:
    mine, theirs = two
    mine.do(CreateSubnetPool(name="pool", prefixes=(Prefix("10.9.0.0/24"),)))
    releases: list[Command[Any]] = []
    for half in ("10.9.0.0/25", "10.9.0.128/25"):
        if kind == "prefix":
            mine.do(AllocatePrefix(pool="pool", prefix=Prefix(half)))
            releases.append(ReleasePrefix(pool="pool", prefix=Prefix(half)))
        else:
            mine.do(CreateSubnet(scope="s", prefix=Prefix(half), ranges=()))
            releases.append(DeleteSubnet(subnet=half))
    with just_before(mine.desk, "INSERT INTO free_extent", lambda: theirs.do(releases[1])):
        mine.do(releases[0])
    made = mine.do(AllocatePrefix(pool="pool", length=24))
    assert made.prefix == Prefix("10.9.0.0/24")


def test_one_identifier_holds_one_address_of_a_group_of_subnets(two: tuple[Book, Book]) -> None:
    mine, theirs = two
    mine.do(CreateSubnet(prefix=Prefix("10.0.1.0/28"), name="second"))
    mine.do(UpdateAllocationPools(subnet="n", ranges=(AddressRange("10.0.0.5-10.0.0.5"),)))
    wish = AllocateAddress(subnet="n", fallbacks=("second",), identifier="one")
    answers: list[Allocation] = []

    def the_other() -> None:
        answers.append(theirs.do(wish))

    keyed = structs.replace(wish, idempotency_key="key")
    with just_before(mine.desk, "INSERT INTO idempotency", the_other):
        answers.append(mine.do(keyed))
    assert len({one.id for one in answers}) == 1


# --- what the database does to us


class LosesCommits:
    """A wire to PostgreSQL, cut when armed after a COMMIT was done and before we hear of it."""

    def __init__(self, url: str) -> None:
        with psycopg.connect(url) as conn:
            self._server = conn.info.host, conn.info.port
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.cuts_left = 0
        self.url = (
            make_url(url)
            .set(host="127.0.0.1", port=self._door.getsockname()[1])
            .difference_update_query(["host", "port"])
            .update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
            .render_as_string(hide_password=False)
        )
        threading.Thread(target=self._welcome, daemon=True).start()

    def close(self) -> None:
        for end in (self._door, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _connect(self) -> socket.socket:
        host, port = self._server
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        wire = socket.socket(socket.AF_UNIX)
        wire.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return wire

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = self._connect()
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(
                        target=self._pass, args=(source, sink, source is far), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, from_server: bool) -> None:
        with suppress(OSError):
            while seen := source.recv(1 << 16):
                if from_server and self.cuts_left and b"COMMIT\0" in seen:
                    self.cuts_left -= 1
                    break
                sink.sendall(seen)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_group_whose_commit_was_lost_is_not_done_again(postgres_url: str) -> None:
    Book(postgres_url).found().desk.close()
    wire = LosesCommits(postgres_url)
    book = Book(wire.url)
    try:
        wire.cuts_left = 2  # the event of the leader that was refused, then the group
        outcomes = book.in_one_group([AllocateAddress(subnet="n") for _ in range(4)])
        assert wire.cuts_left == 0, "the test did not cut anything"
        assert [type(one) for one in outcomes] == [CommitUnknown] * 4
        assert book.held() == 4
        book.assert_clean()
    finally:
        book.desk.close()
        wire.close()


def test_a_keyed_command_of_a_group_whose_commit_was_lost_gets_its_answer(
    postgres_url: str,
) -> None:
    Book(postgres_url).found().desk.close()
    wire = LosesCommits(postgres_url)
    book = Book(wire.url)
    try:
        wire.cuts_left = 1
        wishes = [AllocateAddress(subnet="n", idempotency_key=f"k{n}") for n in range(4)]
        outcomes = book.in_one_group(wishes)
        assert wire.cuts_left == 0, "the test did not cut anything"
        assert sorted(str(one.address) for one in outcomes) == [f"10.0.0.{n}" for n in range(2, 6)]
        assert book.held() == 4
    finally:
        book.desk.close()
        wire.close()


def test_every_one_of_a_group_is_answered_within_the_deadline_of_one(
    postgres_url: str, postgres_server: PostgresServer, impatient: float
) -> None:
    book = Book(postgres_url).found()
    try:
        begun = monotonic()
        wishes = [AllocateAddress(subnet="n") for _ in range(8)]
        outcomes = book.in_one_group(wishes, lambda: _close(postgres_url, postgres_server))
        took = monotonic() - begun
        assert all(isinstance(one, AllotmentError) for one in outcomes)
        assert took < 2 * impatient + 1
    finally:
        book.desk.close()


def _close(url: str, server: PostgresServer) -> None:
    """Take a database away from its users."""
    name = make_url(url).database
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )


# --- the beginning of a book


OPENER = """
import sys
from allotment import local_owner, open_book
from allotment.model.commands import CreateProject
print("ready", flush=True)
sys.stdin.read()
with open_book(sys.argv[1]) as desk:
    desk.do(CreateProject(name=sys.argv[2]), local_owner())
"""


def test_a_new_file_serves_all_who_open_it_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    names = [f"project {number}" for number in range(10, 22)]
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url, name], stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        for name in names
    ]
    for opener in openers:
        assert opener.stdout is not None
        opener.stdout.readline()
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.close()
        opener.stdin = None
    said = [opener.communicate()[1].decode() for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * len(names), said
    with open_book(url) as book:
        assert [one.name for one in book.ask(ListProjects(), ME).items] == names
