"""Who was put off by the batch it was in waits again, before all who came later."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from allotment.store import group_commit
from allotment.store.group_commit import LATER, GroupCommit, _Ticket
from conformance.group_commit.counter import SECONDS_MAX, Counter, someone_served


def test_who_is_put_off_is_served_next_before_those_who_came_later(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "BATCHES_LED_MAX", 1)
    with someone_served(counter) as first:
        counter.put_off = ["a", "c"]  # the leader, and another one
        futures = [counter.ask(word) for word in ("a", "b", "c")]
        counter.let_one()
        counter.batch_begun()
        futures.append(counter.ask("d"))
    assert first.result(SECONDS_MAX) == "FIRST"
    assert [one.result(SECONDS_MAX) for one in futures] == ["A", "B", "C", "D"]
    assert counter.batches == [["first"], ["a", "b", "c"], ["a", "c", "d"]]
    assert counter.leaders == ["first", "a", "a"]


def test_those_who_cannot_wait_are_put_off_too() -> None:
    told: list[object] = []
    batches: list[list[str]] = []

    def serve(words: Sequence[str]) -> list[object]:
        batches.append(list(words))
        return ["A", *[LATER] * (len(words) - 1)]

    group: GroupCommit[str] = GroupCommit(serve)
    with group._mutex:  # all three wait when the leader comes
        for word in "abc":
            group._waiting.append(_Ticket(word, told.append))
        group._leading = True
        group._call()
    group.close()
    assert told == ["A", "A", "A"]
    assert batches == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_one_who_is_gone_is_not_put_back(counter: Counter) -> None:
    ticket = _Ticket("gone")
    counter.group._leave(ticket)
    counter.group._wait_again([ticket])
    assert not counter.group._waiting


def test_a_batch_of_which_nobody_is_served_is_a_bug() -> None:
    group: GroupCommit[str] = GroupCommit(lambda words: [LATER for _ in words])
    with pytest.raises(AssertionError, match="somebody was served"):
        group.submit("a")
