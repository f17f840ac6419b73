"""`history` and `forget`: who held an address."""

from __future__ import annotations

from typing import Any

import pytest

PERIOD = {
    *("scope_id", "scope", "subnet_id", "address", "allocation_id", "status"),
    *("project_id", "project", "identifier", "hostname", "mac", "since", "until"),
}
MANY = ("--before", "2999-01-01")


@pytest.fixture
def passed(planned: Any) -> Any:
    """10.0.0.9 of the subnet web was held by `old`, and is by `new`."""
    for name in ("old", "new"):
        planned("allocate", "web", "--address", "10.0.0.9", "--hostname", name)
        if name == "old":
            planned("release", "web", "10.0.0.9")
    return planned


def test_the_holders_of_an_address_are_listed_the_newest_first(passed: Any) -> None:
    new, old = passed.items("history", "10.0.0.9")
    assert set(new) == PERIOD
    assert [(one["hostname"], one["scope"]) for one in (new, old)] == [
        ("new", "corp"),
        ("old", "corp"),
    ]
    assert new["until"] is None
    assert old["since"] <= old["until"] <= new["since"]
    table = passed("history", "10.0.0.9", "--scope", "corp", "--subnet", "web")
    assert table.index("new") < table.index("old")
    assert passed("history", "10.0.0.10") == "(none)\n"


def test_who_held_it_then_is_asked_with_a_time_as_it_is_shown(passed: Any) -> None:
    (now,) = passed.items("history", "10.0.0.9", "--at", "2999-01-01 00:00:00Z")
    assert now["hostname"] == "new"
    assert passed.items("history", "10.0.0.9", "--at", "1970-01-01") == []


@pytest.mark.parametrize("word", ["yesterday", "1", "2026-02-30"])
def test_a_time_that_is_none_is_refused_by_the_name_of_its_option(passed: Any, word: str) -> None:
    for line in (("history", "10.0.0.9", "--at", word), ("forget", "--before", word)):
        fault = passed.fault(*line, code=2)
        assert fault["code"] == "invalid-value"
        assert fault["facts"]["field"] == line[-2].lstrip("-")


def test_nothing_is_forgotten_without_a_yes(passed: Any) -> None:
    assert "forget the history" in passed.fault("forget", *MANY, code=6)["message"]
    assert len(passed.items("history", "10.0.0.9")) == 2


def test_what_is_forgotten_is_told_and_who_holds_the_address_stays(passed: Any) -> None:
    told = passed.json("forget", *MANY, "--scope", "lab", "--yes")
    assert told == {"count": 0, "more": False}
    assert passed("forget", *MANY, "--yes") == "forgot 1 period\n"
    (kept,) = passed.items("history", "10.0.0.9")
    assert kept["hostname"] == "new"
