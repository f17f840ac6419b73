"""A counter for each test, which lets everybody go in the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.group_commit.counter import Counter


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter()
    yield made
    made.close()
