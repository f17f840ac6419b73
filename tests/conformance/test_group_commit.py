"""Group commit by itself: who leads, how long, and what becomes of those who follow.

Invariant: no test sleeps to be right; every queue is seen to be as long as the test needs it.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allotment.errors import Bug, CommitUnknown, PoolExhausted
from allotment.store import group_commit
from allotment.store.group_commit import BATCH_MAX, BATCHES_LED_MAX, LATER, GroupCommit, _Ticket

SECONDS_MAX = 20.0


class Counter:
    """Serves words in capitals, batch by batch, each when it is let; notes who served what."""

    def __init__(self) -> None:
        self.group: GroupCommit[str] = GroupCommit(self._serve)
        self.batches: list[list[str]] = []
        self.leaders: list[str] = []
        self.put_off: list[str] = []
        self.fails: Callable[[Sequence[str]], None] = lambda _: None
        self._entered = threading.Semaphore(0)
        self._let = threading.Semaphore(0)
        self._open = False
        self._crew = ThreadPoolExecutor(BATCH_MAX * 2)

    def _serve(self, words: Sequence[str]) -> list[object]:
        self.batches.append(list(words))
        self.leaders.append(threading.current_thread().name)
        self._entered.release()
        if not self._open:
            assert self._let.acquire(timeout=SECONDS_MAX)
        self.fails(words)
        return [self._outcome(word) for word in words]

    def _outcome(self, word: str) -> object:
        if word in self.put_off:
            self.put_off.remove(word)
            return LATER
        return KeyError(word) if word.startswith("bad") else word.upper()

    def ask(self, word: str) -> Future[object]:
        """Submit a word from a thread of its own."""
        asked = len(self.group._waiting) + len(self.batches)
        future = self._crew.submit(self._submit, word)
        while len(self.group._waiting) + len(self.batches) == asked and not future.done():
            pass
        return future

    def _submit(self, word: str) -> object:
        threading.current_thread().name = word
        return self.group.submit(word)

    def batch_begun(self) -> None:
        """Wait until a batch is being served."""
        assert self._entered.acquire(timeout=SECONDS_MAX)

    def let_one(self) -> None:
        """Let the batch that is being served go on."""
        self._let.release()

    def let_all(self) -> None:
        """Let every batch go on from now."""
        self._open = True
        self._let.release(2)

    def close(self) -> None:
        self.let_all()
        self._crew.shutdown()


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter()
    yield made
    made.close()


@contextmanager
def someone_served(counter: Counter) -> Iterator[Future[object]]:
    """While `first` is being served; afterwards everybody is."""
    first = counter.ask("first")
    counter.batch_begun()
    yield first
    counter.let_all()


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


def test_a_batch_is_bounded(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "BATCH_MAX", 16)
    with someone_served(counter):
        futures = [counter.ask(f"w{n}") for n in range(40)]
    for future in futures:
        future.result(SECONDS_MAX)
    assert [len(batch) for batch in counter.batches] == [1, 16, 16, 8]


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


class Death(BaseException):
    """What ends a leader: an interrupt, or an exit."""


def test_a_dying_leader_tells_its_followers_that_nobody_knows(counter: Counter) -> None:
    first = counter.ask("first")
    counter.batch_begun()
    followers = [counter.ask(word) for word in ("a", "b")]
    counter.let_one()
    counter.batch_begun()
    late = counter.ask("late")

    def die(words: Sequence[str]) -> None:
        if "a" in words:
            raise Death

    counter.fails = die
    counter.let_all()
    with pytest.raises(Death):
        first.result(SECONDS_MAX)
    for follower in followers:
        with pytest.raises(CommitUnknown):
            follower.result(SECONDS_MAX)
    assert late.result(SECONDS_MAX) == "LATE"
    assert counter.group.submit("after") == "AFTER"


def test_a_leader_whose_own_item_was_served_is_not_told_of_a_later_batch_s_failure(
    counter: Counter,
) -> None:
    """Before: it was told the failure of others, and its own answer was lost."""
    first = counter.ask("first")
    counter.batch_begun()
    followers = [counter.ask(word) for word in ("a", "b")]
    counter.let_one()
    counter.batch_begun()
    late = counter.ask("late")

    def fail(words: Sequence[str]) -> None:
        if "a" in words:
            raise ValueError("nobody foresaw this")

    counter.fails = fail
    counter.let_all()
    assert first.result(SECONDS_MAX) == "FIRST"
    for follower in followers:
        with pytest.raises(CommitUnknown):
            follower.result(SECONDS_MAX)
    assert late.result(SECONDS_MAX) == "LATE"
    assert counter.group.submit("after") == "AFTER"


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


INTERRUPTED = textwrap.dedent(
    """
    import signal, sys, threading, time
    from allotment.store import group_commit

    class Interrupt(Exception):
        pass

    caught = []

    def interrupt(*_):
        if not caught:
            caught.append(True)
            raise Interrupt

    signal.signal(signal.SIGUSR1, interrupt)
    group_commit.BATCHES_LED_MAX = 1
    begun, let = threading.Event(), threading.Event()

    def serve(words):
        if "first" in words:
            begun.set()
            let.wait()
        return [word.upper() for word in words]

    group = group_commit.GroupCommit(serve)
    answers = []

    def ask(word):
        answers.append(group.submit(word))

    def when_waiting(count, act):
        while len(group._waiting) < count:
            pass
        act()

    leader = threading.Thread(target=ask, args=("first",), daemon=True)
    leader.start()
    begun.wait()
    main = threading.main_thread().ident
    def kill():
        # Again and again: one that comes just before the wait begins would wake nobody.
        while not caught:
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0.05)
    threading.Thread(target=when_waiting, args=(1, kill), daemon=True).start()
    try:
        ask("interrupted")
    except Interrupt:
        pass
    left = len(group._waiting)
    other = threading.Thread(target=ask, args=("other",), daemon=True)
    other.start()
    when_waiting(left + 1, let.set)
    leader.join(5)
    other.join(5)
    last = threading.Thread(target=ask, args=("last",), daemon=True)
    last.start()
    last.join(5)
    print(sorted(answers))
    sys.exit(0 if {"FIRST", "OTHER", "LAST"} <= set(answers) else 1)
    """
)


def test_a_follower_interrupted_while_it_waits_leaves_no_group_without_a_leader() -> None:
    """Ctrl-C in one thread: the others go on."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


GATHERING = textwrap.dedent(
    """
    import signal, sys, threading, time
    from allotment.store import group_commit

    class Interrupt(Exception):
        pass

    caught = []

    def interrupt(*_):
        if not caught:
            caught.append(True)
            raise Interrupt

    signal.signal(signal.SIGUSR1, interrupt)
    group_commit.GATHER_SECONDS = 30
    begun, let = threading.Event(), threading.Event()

    def serve(words):
        if "first" in words:
            begun.set()
            let.wait()
        return [word.upper() for word in words]

    group = group_commit.GroupCommit(serve)
    answers = []

    def ask(word):
        answers.append(group.submit(word))

    crowd = [threading.Thread(target=ask, args=("first",))]
    crowd[0].start()
    begun.wait()
    for n in range(8):
        crowd.append(threading.Thread(target=ask, args=(str(n),)))
        crowd[-1].start()
    while len(group._waiting) < 8:
        pass
    group_commit.GATHER_TRIES = 0
    let.set()
    for one in crowd:
        one.join()
    group_commit.GATHER_TRIES = 4
    main = threading.main_thread().ident
    def kill():
        while not group._leading:
            pass
        while not caught:
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0.05)
    threading.Thread(target=kill, daemon=True).start()
    try:
        group.submit("interrupted while it gathers")
    except Interrupt:
        pass
    last = threading.Thread(target=ask, args=("last",), daemon=True)
    group_commit.GATHER_TRIES = 0
    last.start()
    last.join(5)
    print(sorted(answers))
    sys.exit(0 if "LAST" in answers else 1)
    """
)


def test_a_leader_interrupted_while_it_gathers_leaves_no_group_without_a_leader() -> None:
    """Ctrl-C before the first batch of a leader: the next to come leads."""
    done = subprocess.run(
        [sys.executable, "-c", GATHERING], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
