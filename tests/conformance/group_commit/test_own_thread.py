"""The thread of a group commit's own, for callers that cannot wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from allotment.errors import Bug, CommitUnknown
from allotment.store import group_commit
from allotment.store.group_commit import GroupCommit
from conformance.group_commit.counter import SECONDS_MAX


def test_a_group_that_is_closed_serves_what_it_took_and_leaves_no_thread() -> None:
    """L2: or each desk that was closed would be kept by its thread."""
    before = set(threading.enumerate())
    group: GroupCommit[str] = GroupCommit(lambda words: [word.upper() for word in words])
    told: list[object] = []
    for word in "abc":
        group.submit_soon(word, told.append)
    group.close()
    assert sorted(map(str, told)) == ["A", "B", "C"]
    assert set(threading.enumerate()) <= before
    GroupCommit(lambda words: words).close()


def test_those_who_cannot_wait_are_told_by_a_thread_of_the_groups_own() -> None:
    group: GroupCommit[str] = GroupCommit(lambda words: [word.upper() for word in words])
    told: Future[tuple[object, str]] = Future()
    group.submit_soon(
        "a", lambda outcome: told.set_result((outcome, threading.current_thread().name))
    )
    assert told.result(SECONDS_MAX) == ("A", "group-commit")
    group.close()


def test_a_group_has_one_thread_and_it_keeps_no_program_alive() -> None:
    before = set(threading.enumerate())
    group: GroupCommit[str] = GroupCommit(lambda words: [word.upper() for word in words])
    for word in ("a", "b", "c", "d"):
        told: Future[object] = Future()
        group.submit_soon(word, told.set_result)
        assert told.result(SECONDS_MAX) == word.upper()
        while group._leading:
            pass
    (own,) = set(threading.enumerate()) - before
    assert own.daemon
    group.close()


def test_a_closed_group_refuses_what_nobody_would_serve() -> None:
    group: GroupCommit[str] = GroupCommit(lambda words: [word.upper() for word in words])
    told: list[object] = []
    group.close()
    with pytest.raises(Bug):
        group.submit_soon("a", told.append)
    assert not told
    assert group.submit("a") == "A", "one who waits serves itself"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_who_came_while_a_batch_of_the_own_thread_failed_is_served() -> None:
    """The thread ends with what was raised, and hands the lead to whoever waits."""
    begun, let = threading.Event(), threading.Event()

    def serve(words: Sequence[str]) -> list[str]:
        begun.set()
        assert let.wait(SECONDS_MAX)
        if "bad" in words:
            raise KeyboardInterrupt
        return [word.upper() for word in words]

    group: GroupCommit[str] = GroupCommit(serve)
    told: Future[object] = Future()
    group.submit_soon("bad", told.set_result)
    assert begun.wait(SECONDS_MAX)
    own = group._thread
    assert own is not None
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(group.submit, "a")
        while not group._waiting:
            pass
        let.set()
        assert waits.result(SECONDS_MAX) == "A"
    assert isinstance(told.result(SECONDS_MAX), CommitUnknown)
    own.join(SECONDS_MAX)
    assert not group._leading
    group.close()


def test_a_thread_that_gave_the_lead_to_one_gives_it_to_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or two would lead at once."""
    monkeypatch.setattr(group_commit, "BATCH_MAX", 1)
    monkeypatch.setattr(group_commit, "BATCHES_LED_MAX", 1)
    begun, let = threading.Event(), threading.Event()
    inside: list[str] = []
    met: list[list[str]] = []

    def serve(words: Sequence[str]) -> list[str]:
        inside.extend(words)
        met.append(list(inside))
        if words == ["own"]:
            begun.set()
            assert let.wait(SECONDS_MAX)
        else:
            time.sleep(0.1)
        inside.remove(words[0])
        return [word.upper() for word in words]

    group: GroupCommit[str] = GroupCommit(serve)
    group.submit_soon("own", lambda _: None)
    assert begun.wait(SECONDS_MAX)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(group.submit, word) for word in "abc"]
        while len(group._waiting) < len(waiting):
            pass
        let.set()
        assert [one.result(SECONDS_MAX) for one in waiting] == ["A", "B", "C"]
    group.close()
    assert sorted(met) == [["a"], ["b"], ["c"], ["own"]]
