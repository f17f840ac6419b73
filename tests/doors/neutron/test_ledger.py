"""What a transaction did is undone if it fails, and completed only if it commits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allotment.doors.neutron.ledger import Entry, Ledger, Mark


class Diary:
    """What was done, in its order, and what could not be."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failed: list[str] = []
        self.ledger = Ledger(lambda what, _error: self.failed.append(what))

    def act(self, what: str) -> Callable[[], None]:
        return lambda: self.done.append(what)

    def note(self, name: str, mark: Mark = (), *, leaving: bool = False) -> Entry:
        entry = Entry(
            name,
            name,
            mark,
            on_commit=self.act(f"commit {name}"),
            on_rollback=self.act(f"undo {name}"),
            leaving=leaving,
        )
        return self.ledger.note(entry)


@pytest.fixture
def diary() -> Diary:
    return Diary()


def test_a_commit_completes_everything_in_order(diary: Diary) -> None:
    diary.note("a")
    diary.note("b")
    diary.ledger.commit()
    assert diary.done == ["commit a", "commit b"]


def test_a_rollback_undoes_everything_the_last_first(diary: Diary) -> None:
    diary.note("a")
    diary.note("b")
    diary.ledger.roll_back()
    assert diary.done == ["undo b", "undo a"]


def test_a_transaction_ends_once(diary: Diary) -> None:
    diary.note("a")
    diary.ledger.commit()
    diary.ledger.roll_back()
    assert diary.done == ["commit a"]


def test_a_savepoint_takes_only_its_own_with_it(diary: Diary) -> None:
    outer, inner = object(), object()
    diary.note("before")
    diary.note("in outer", (outer,))
    diary.note("in inner", (inner, outer))
    diary.ledger.roll_back_to(inner)
    assert diary.done == ["undo in inner"]
    diary.ledger.roll_back_to(outer)
    assert diary.done == ["undo in inner", "undo in outer"]
    diary.ledger.commit()
    assert diary.done[-1] == "commit before"


def test_what_was_done_since_a_savepoint_goes_with_it_even_if_a_deeper_one_was_kept(
    diary: Diary,
) -> None:
    outer, inner = object(), object()
    diary.note("in inner", (inner, outer))
    diary.ledger.roll_back_to(outer)
    assert diary.done == ["undo in inner"]


def test_an_entry_that_is_off_is_neither_completed_nor_undone(diary: Diary) -> None:
    diary.note("a").off = True
    diary.note("b").off = True
    diary.ledger.commit()
    diary.ledger.roll_back()
    assert diary.done == []


def test_after_a_lost_commit_nothing_is_done_and_everything_is_named(diary: Diary) -> None:
    diary.note("a")
    diary.note("b")
    assert diary.ledger.leave_open() == ["a", "b"]
    diary.ledger.roll_back()
    assert diary.done == []


def test_one_that_fails_stops_no_other_and_is_told(diary: Diary) -> None:
    def fail() -> None:
        raise ConnectionError

    diary.note("a")
    diary.ledger.note(Entry("broken", "broken", (), on_rollback=fail))
    diary.note("c")
    diary.ledger.roll_back()
    assert diary.done == ["undo c", "undo a"]
    assert diary.failed == ["broken"]


def test_what_was_taken_is_found_at_its_own_depth_only(diary: Diary) -> None:
    savepoint = object()
    taken = diary.note("a")
    assert diary.ledger.taken("a", ()) is taken
    assert diary.ledger.taken("a", (savepoint,)) is None
    taken.off = True
    assert diary.ledger.taken("a", ()) is None


def test_what_is_leaving_is_found_until_somebody_has_it(diary: Diary) -> None:
    leaving = diary.note("a", leaving=True)
    assert diary.ledger.leaving(lambda key: key == "a") is leaving
    assert diary.ledger.taken("a", ()) is None, "it is not taken, it goes"
    leaving.off = True
    assert diary.ledger.leaving(lambda key: key == "a") is None
