"""Books on every database, two desks on one book, and a deadline that a test can wait for.

Invariant: every desk is closed after the test that had it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.regressions.book import Book


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
