"""Faults of commands that meet in one group, and of what the database does to a group.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from sqlalchemy import make_url

from allotment import Address, Prefix
from allotment.errors import AddressTaken, AllotmentError, CommitUnknown
from allotment.model.commands import AllocateAddress, CreateSubnet, Method
from allotment.model.results import Allocation
from conformance.regressions.book import Book
from postgres_server import PostgresServer


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
