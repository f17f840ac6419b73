"""The judge of the fault campaign finds what is wrong, and nothing in what is right."""

from __future__ import annotations

import ast
import json
from math import inf
from pathlib import Path

import pytest
from faults.judge import book_laws, history
from faults.judge.history import Event
from faults.judge.linearizable import Call, TooLong, has_order, of_address, of_counter
from faults.judge.rows import Done, Period, Rows, Subnet
from faults.judge.verdict import judge
from faults.ledger import Ledger

JUDGE = Path(book_laws.__file__).parent
NET, A, B = "net", "id-a", "id-b"


def a_book(*held: tuple[str, int, str], free: list[tuple[int, int]] | None = None) -> Rows:
    """Ten addresses, from 100 on, in one subnet and one pool."""
    made = Rows()
    made.subnets[NET] = Subnet("scope", 4, 96, 27, None, 0)
    made.pools[NET] = [(100, 109)]
    taken = {address for _, address, _ in held}
    made.free[NET] = [(n, n) for n in range(100, 110) if n not in taken] if free is None else free
    made.held = list(held)
    return made


def took(name: str, call: float, back: float, *got: tuple[int, str]) -> Event:
    return Event(name, "take", {"pool": NET, "wanted": 1}, call, back, "ok", [list(g) for g in got])


def gave(name: str, call: float, back: float, address: int, held: str) -> Event:
    return Event(name, "give", {"pool": NET, "address": address, "id": held}, call, back, "ok")


def done(mark: str, *taken: tuple[int, str]) -> Done:
    return Done("AllocateAddress", mark, None, taken, None, NET)


def given(held: str) -> Done:
    return Done("ReleaseAddress", None, None, (), held, NET)


def held(address: int, allocation: str, since: int = 1, until: int = 2) -> Period:
    return Period(NET, address, allocation, since, until)


def laws(events: list[Event], book: Rows) -> set[str]:
    return judge(events, book, counters=True).laws


def test_the_judge_imports_nothing_of_the_product() -> None:
    for path in (*JUDGE.glob("*.py"), JUDGE.parent / "ledger.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [name for name in names if name.split(".")[0] == "allotment"], path


def test_a_right_history_of_a_right_book_is_green() -> None:
    book = a_book((NET, 101, B))
    book.done = [done("1", (100, A)), given(A), done("2", (101, B))]
    book.periods = [held(100, A)]
    events = [took("1", 0, 1, (100, A)), gave("3", 2, 3, 100, A), took("2", 1, 4, (101, B))]
    assert judge(events, book, counters=True).findings == []


@pytest.mark.parametrize(
    "periods",
    [
        pytest.param([], id="who held it is forgotten"),
        pytest.param([held(100, A), held(100, A, 2, 3)], id="it was held twice"),
        pytest.param([held(101, A)], id="another address was held"),
        pytest.param([held(100, A), held(101, B)], id="what is held is told as given back"),
        pytest.param([held(100, A, 3, 2)], id="it ends before it begins"),
    ],
)
def test_a_history_that_differs_from_the_audit_is_found(periods: list[Period]) -> None:
    book = a_book((NET, 101, B))
    book.done = [done("1", (100, A)), given(A), done("2", (101, B))]
    book.periods = periods
    events = [took("1", 0, 1, (100, A)), gave("3", 2, 3, 100, A), took("2", 1, 4, (101, B))]
    assert laws(events, book) == {"S14"}


def test_what_was_acknowledged_and_is_not_there_is_lost() -> None:
    assert "D1" in laws([took("1", 0, 1, (100, A))], a_book())


def test_a_release_that_was_acknowledged_and_is_not_there_is_lost() -> None:
    book = a_book((NET, 100, A))
    book.done = [done("1", (100, A))]
    assert "D1" in laws([took("1", 0, 1, (100, A)), gave("2", 2, 3, 100, A)], book)


def test_an_effect_of_a_refused_request_is_found() -> None:
    book = a_book((NET, 100, A))
    book.done = [done("1", (100, A))]
    event = Event("1", "take", {"pool": NET, "wanted": 1}, 0, 1, "pool-exhausted")
    assert {"D2", "S6"} <= laws([event], book)


def test_an_effect_that_nobody_asked_for_is_found() -> None:
    book = a_book((NET, 100, A))
    book.done = [done("stranger", (100, A))]
    assert laws([], book) == {"D2"}


def test_one_request_done_twice_is_found() -> None:
    book = a_book((NET, 100, A), (NET, 101, B))
    book.done = [done("1", (100, A)), done("1", (101, B))]
    assert "S8" in laws([took("1", 0, 1, (100, A))], book)


def test_one_address_held_twice_is_found() -> None:
    book = a_book((NET, 100, A), (NET, 100, B))
    book.done = [done("1", (100, A)), done("2", (100, B))]
    found = laws([took("1", 0, 1, (100, A)), took("2", 2, 3, (100, B))], book)
    assert {"S1", "S3", "S7"} <= found


def test_two_that_hold_one_address_at_once_are_found_though_the_book_is_clean_at_the_end() -> None:
    book = a_book()
    book.done = [done("1", (100, A)), done("2", (100, B)), given(A), given(B)]
    events = [
        took("1", 0, 1, (100, A)),
        took("2", 2, 3, (100, B)),
        gave("3", 4, 5, 100, A),
        gave("4", 4, 5, 100, B),
    ]
    assert {"S1", "S7"} <= laws(events, book)


def test_a_held_address_without_an_event_breaks_the_audit() -> None:
    assert "A1" in laws([took("1", 0, 1, (100, A))], a_book((NET, 100, A)))


def test_free_space_that_is_missing_is_found() -> None:
    assert laws([], a_book(free=[(100, 105)])) == {"S3"}


def test_a_pool_outside_its_subnet_and_subnets_that_overlap_are_found() -> None:
    book = a_book()
    book.pools[NET] = [(100, 130)]
    book.free[NET] = [(100, 130)]
    book.subnets["other"] = Subnet("scope", 4, 112, 28, None, 0)
    assert laws([], book) == {"S4", "S5"}


def test_a_fate_that_changes_is_found() -> None:
    event = Event("1", "take", {"pool": NET, "keyed": True}, 0, fates=["not-done", "done"])
    book = a_book((NET, 100, A))
    book.done = [Done("AllocateAddress", "1", "1", ((100, A),), None, NET)]
    assert "D3" in laws([event], book)


def test_a_fate_of_not_done_without_a_fence_is_found() -> None:
    event = Event("1", "take", {"pool": NET, "keyed": True}, 0, fates=["not-done", "not-done"])
    assert laws([event], a_book()) == {"D3"}
    fenced = a_book()
    fenced.stored["1"] = True
    assert laws([event], fenced) == set()


def test_exhaustion_is_true_only_when_the_pool_may_have_been_full() -> None:
    book = a_book(*((NET, 100 + n, str(n)) for n in range(10)))
    book.done = [done(f"t{n}", (100 + n, str(n))) for n in range(10)]
    events = [took(f"t{n}", n, n + 0.5, (100 + n, str(n))) for n in range(10)]
    early = Event("early", "take", {"pool": NET, "wanted": 1}, 3, 4, "pool-exhausted")
    late = Event("late", "take", {"pool": NET, "wanted": 1}, 9.2, 9.9, "pool-exhausted")
    assert laws([*events, late], book) == set()
    assert {"S6", "S7"} <= laws([*events, early], book)


def test_an_address_that_rested_too_short_is_found() -> None:
    book = a_book((NET, 100, B))
    book.subnets[NET] = book.subnets[NET]._replace(quarantine_seconds=5)
    book.done = [done("1", (100, A)), given(A), done("2", (100, B))]
    book.periods = [held(100, A)]
    events = [took("1", 0, 1, (100, A)), gave("3", 2, 3, 100, A), took("2", 4, 5, (100, B))]
    assert laws(events, book) == {"S12"}


def test_an_answer_too_late_and_an_error_nobody_foresaw_are_found() -> None:
    slow = Event("1", "look", {"pool": NET, "address": 100}, 0, 100, "not-found")
    strange = Event("2", "look", {"pool": NET, "address": 100}, 0, 1, "bug")
    assert laws([slow, strange], a_book()) == {"L3", "E1"}


def test_a_read_that_sees_the_past_has_no_order() -> None:
    calls = [Call(0, 1, ("take", A)), Call(2, 3, ("look", None))]
    assert not has_order(calls, None, of_address)
    assert has_order([Call(0, 3, ("take", A)), Call(2, 3, ("look", None))], None, of_address)


def test_a_late_release_that_frees_the_next_owner_s_has_no_order() -> None:
    calls = [
        Call(0, 1, ("take", A)),
        Call(2, 3, ("give", A)),
        Call(4, 5, ("take", B)),
        Call(6, 7, ("give", A)),
    ]
    assert not has_order(calls, None, of_address)


def test_what_never_returned_may_take_effect_at_any_time() -> None:
    calls = [Call(0, inf, ("take", A)), Call(1, 2, ("look", None)), Call(3, 4, ("look", A))]
    assert has_order(calls, None, of_address)


def test_a_counter_is_never_more_than_its_pool() -> None:
    takes = [Call(n, n + 0.5, ("take", 1)) for n in range(3)]
    assert has_order([*takes, Call(4, 5, ("exhausted", 1))], 0, of_counter(3))
    assert not has_order([*takes, Call(4, 5, ("take", 1))], 0, of_counter(3))
    assert not has_order([*takes, Call(4, 5, ("exhausted", 1))], 0, of_counter(4))
    assert not has_order([*takes, Call(4, 5, ("count", 2))], 0, of_counter(4))


def test_no_order_is_said_only_when_all_were_tried() -> None:
    calls = [Call(0, 10, ("take", 1)) for _ in range(12)]
    with pytest.raises(TooLong):
        has_order([*calls, Call(11, 12, ("count", 3))], 0, of_counter(20), steps_max=1_000)


def test_a_ledger_s_torn_last_line_is_no_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", "c")
    first, second = ledger.call("take", pool=NET), ledger.call("take", pool=NET)
    ledger.heard(first, "ok", [[100, A]])
    ledger.close()
    with (tmp_path / "ledger").open("ab") as file:
        file.write(json.dumps({"n": second, "t": 1, "code": "ok"}).encode()[:-4])
    found = {event.name: event for event in history.read([tmp_path / "ledger"])}
    assert found[first].ok
    assert found[second].unknown


def as_of_three(*held: tuple[str, int, str]) -> set[str]:
    """Asked and told before the moment, asked before and told after it, and asked after it."""
    told = [
        took("w.1", 0, 1, (100, A)),
        took("w.2", 4, 7, (101, B)),
        took("w.3", 8, 9, (102, "id-c")),
    ]
    book = a_book(*held)
    names = {A: "w.1", B: "w.2", "id-c": "w.3"}
    book.done = [done(names[one], (address, one)) for _, address, one in held]
    return judge(history.as_of(told, 5, 6), book, counters=True).laws


def test_a_book_of_a_moment_holds_what_was_acknowledged_by_then() -> None:
    assert as_of_three((NET, 100, A)) == set()
    assert as_of_three() == {"D1"}


def test_a_book_of_a_moment_may_hold_what_was_answered_later() -> None:
    assert as_of_three((NET, 100, A), (NET, 101, B)) == set()


def test_a_book_of_a_moment_holds_nothing_that_was_asked_later() -> None:
    assert "D2" in as_of_three((NET, 100, A), (NET, 102, "id-c"))
