"""Batches of a group commit: who is in one, in what order, and whose outcome is whose."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allotment.errors import PoolExhausted
from allotment.store import group_commit
from allotment.store.group_commit import GroupCommit
from conformance.group_commit.counter import SECONDS_MAX, Counter, someone_served


def test_a_caller_alone_serves_itself_in_its_own_thread() -> None:
    served_by: list[int] = []

    def serve(words: Sequence[str]) -> list[str]:
        served_by.append(threading.get_ident())
        return [word.upper() for word in words]

    group = GroupCommit(serve)
    assert [group.submit(word) for word in ("a", "b")] == ["A", "B"]
    assert served_by == [threading.get_ident()] * 2


def test_those_who_wait_are_served_together_each_with_its_own_outcome(counter: Counter) -> None:
    with someone_served(counter) as first:
        others = [counter.ask(word) for word in ("a", "bad", "c")]
    assert first.result(SECONDS_MAX) == "FIRST"
    assert others[0].result(SECONDS_MAX) == "A"
    with pytest.raises(KeyError):
        others[1].result(SECONDS_MAX)
    assert others[2].result(SECONDS_MAX) == "C"
    assert counter.batches == [["first"], ["a", "bad", "c"]]


def test_first_come_first_served(counter: Counter) -> None:
    words = [f"w{n}" for n in range(40)]
    with someone_served(counter):
        futures = [counter.ask(word) for word in words]
    assert [future.result(SECONDS_MAX) for future in futures] == [word.upper() for word in words]
    assert [word for batch in counter.batches for word in batch] == ["first", *words]


@pytest.mark.parametrize("led", [1, 8])
def test_a_batch_is_bounded_with_its_leader_s_own_item(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, led: int
) -> None:
    monkeypatch.setattr(group_commit, "BATCHES_LED_MAX", led)
    monkeypatch.setattr(group_commit, "LEAD_SECONDS_MAX", SECONDS_MAX)
    monkeypatch.setattr(group_commit, "BATCH_MAX", 16)
    with someone_served(counter):
        futures = [counter.ask(f"w{n}") for n in range(40)]
    for future in futures:
        future.result(SECONDS_MAX)
    assert [len(batch) for batch in counter.batches] == [1, 16, 16, 8]


def test_a_short_answer_is_nobodys_answer(counter: Counter) -> None:
    group: GroupCommit[str] = GroupCommit(lambda words: [])
    with pytest.raises(AssertionError):
        group.submit("a")


def test_an_outcome_that_is_an_error_is_raised_where_it_was_asked() -> None:
    refusal = PoolExhausted("subnet", "an address", 0, "hint")
    group: GroupCommit[str] = GroupCommit(lambda words: [refusal for _ in words])
    with pytest.raises(PoolExhausted) as raised:
        group.submit("a")
    assert raised.value is refusal


@settings(max_examples=20)
@given(
    plan=st.lists(st.integers(1, 12), min_size=1, max_size=24),
    led=st.integers(1, 3),
)
def test_every_item_gets_exactly_its_own_outcome(plan: list[int], led: int) -> None:
    """Threads that each ask several times, one after another; nothing is lost, doubled or mixed."""
    served: list[tuple[int, int]] = []

    def serve(items: Sequence[tuple[int, int]]) -> list[object]:
        served.extend(items)
        return list(items)

    group = GroupCommit(serve)

    def ask_all(asker: int) -> bool:
        return all(group.submit((asker, n)) == (asker, n) for n in range(plan[asker]))

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(plan)) as crew:
        patch.setattr(group_commit, "BATCHES_LED_MAX", led)
        assert all(crew.map(ask_all, range(len(plan))))
    assert sorted(served) == [(a, n) for a, count in enumerate(plan) for n in range(count)]
