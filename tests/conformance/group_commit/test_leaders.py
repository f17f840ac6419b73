"""Leaders of a group commit: who leads, how long, and what becomes of those who follow."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from allotment.errors import CommitUnknown
from allotment.store import group_commit
from allotment.store.group_commit import BATCHES_LED_MAX
from conformance.group_commit.counter import SECONDS_MAX, Counter, someone_served


def test_nobody_leads_for_ever(counter: Counter) -> None:
    futures = [counter.ask("first")]
    for n in range(3 * BATCHES_LED_MAX):
        counter.batch_begun()
        futures.append(counter.ask(f"w{n}"))
        counter.let_one()
    counter.let_all()
    for future in futures:
        future.result(SECONDS_MAX)
    led = [counter.leaders.count(leader) for leader in counter.leaders]
    assert max(led) <= BATCHES_LED_MAX + 1
    assert len(set(counter.leaders)) >= 3


def test_the_first_to_wait_inherits_the_lead(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "BATCHES_LED_MAX", 1)
    with someone_served(counter) as first:
        heir, other = counter.ask("heir"), counter.ask("other")
    for future in (first, heir, other):
        future.result(SECONDS_MAX)
    assert counter.leaders == ["first", "heir"]


def test_who_waited_long_leads_no_batch_of_others(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have much more time left than it."""
    monkeypatch.setattr(group_commit, "LEAD_SECONDS_MAX", -1.0)
    with someone_served(counter) as first:
        heir, other = counter.ask("heir"), counter.ask("other")
        counter.let_one()
        counter.batch_begun()
        last = counter.ask("last")
    for future in (first, heir, other, last):
        future.result(SECONDS_MAX)
    assert counter.batches[1:] == [["heir", "other"], ["last"]]
    assert counter.leaders == ["first", "heir", "last"]


class Death(BaseException):
    """What ends a leader: an interrupt, or an exit."""


def leads_a_batch_that_ends_with(counter: Counter, error: BaseException) -> Future[object]:
    """The answer of a leader that was served; its next batch, of others, ends with an error.

    They are told that nobody knows, and everybody else is served.
    """
    first = counter.ask("first")
    counter.batch_begun()
    followers = [counter.ask(word) for word in ("a", "b")]
    counter.let_one()
    counter.batch_begun()
    late = counter.ask("late")

    def fail(words: Sequence[str]) -> None:
        if "a" in words:
            raise error

    counter.fails = fail
    counter.let_all()
    for follower in followers:
        with pytest.raises(CommitUnknown):
            follower.result(SECONDS_MAX)
    assert late.result(SECONDS_MAX) == "LATE"
    assert counter.group.submit("after") == "AFTER"
    return first


def test_a_dying_leader_tells_its_followers_that_nobody_knows(counter: Counter) -> None:
    first = leads_a_batch_that_ends_with(counter, Death())
    with pytest.raises(Death):
        first.result(SECONDS_MAX)


def test_a_leader_whose_own_item_was_served_is_not_told_of_a_later_batch_s_failure(
    counter: Counter,
) -> None:
    """Before: it was told the failure of others, and its own answer was lost."""
    first = leads_a_batch_that_ends_with(counter, ValueError("nobody foresaw this"))
    assert first.result(SECONDS_MAX) == "FIRST"


def test_a_leader_that_dies_with_its_own_item_is_told_why_it_died(counter: Counter) -> None:
    def die(words: Sequence[str]) -> None:
        if "first" in words:
            raise Death

    counter.fails = die
    first = counter.ask("first")
    counter.batch_begun()
    counter.let_all()
    with pytest.raises(Death):
        first.result(SECONDS_MAX)
    assert counter.group.submit("after") == "AFTER"
