"""Deleting what holds something: shown first, and confirmed."""

from __future__ import annotations

from typing import Any


def test_what_holds_something_is_not_deleted_without_cascade(planned: Any) -> None:
    planned("allocate", "web")
    fault = planned.fault("subnet", "delete", "web", code=4)
    assert fault["code"] == "in-use"
    assert fault["facts"]["contents"] == {"allocations": 1}
    assert "--cascade" in fault["hint"]


def test_without_a_terminal_a_cascade_needs_a_yes(planned: Any) -> None:
    planned("allocate", "web", "--count", "2")
    result = planned.run("subnet", "delete", "web", "--cascade")
    assert result.exit_code == 6
    assert "This would remove 2 allocations, 1 subnet." in result.stderr
    assert "no terminal to ask on" in result.stderr
    assert "--yes" in result.stderr
    planned("subnet", "show", "web")
    assert planned.json("subnet", "delete", "web", "--cascade", "--yes")["contents"] == {
        "allocations": 2,
        "subnets": 1,
    }
    planned("subnet", "show", "web", code=3)


def test_the_refusal_of_a_cascade_has_a_code_for_programs(planned: Any) -> None:
    planned("allocate", "web")
    result = planned.run("scope", "delete", "corp", "--cascade", "--output", "json")
    assert result.exit_code == 6
    assert '"code": "not-confirmed"' in result.stderr.splitlines()[-1]
    assert result.stdout == ""


def test_a_dry_run_shows_what_would_go_and_leaves_it(planned: Any) -> None:
    assert planned.json("scope", "delete", "corp", "--dry-run")["contents"]["subnets"] == 1
    told = planned("pool", "delete", "corp-v4", "--dry-run")
    assert told == "would remove 1 subnet pool, 1 subnet\n"
    planned("scope", "show", "corp")


def test_a_cascade_of_something_empty_asks_nothing(line: Any) -> None:
    line("scope", "create", "corp")
    assert "address scope corp deleted" in line("scope", "delete", "corp", "--cascade")


def test_a_pool_goes_with_all_that_is_in_it(planned: Any) -> None:
    told = planned("pool", "delete", "corp-v4", "--scope", "corp", "--cascade", "--yes")
    assert told.startswith("subnet pool corp-v4 deleted; removed: ")
    assert planned.items("subnet", "list", "--scope", "corp") == []
    planned("scope", "delete", "corp")
