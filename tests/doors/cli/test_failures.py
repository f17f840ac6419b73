"""Every error has an exit code, a line for a person, a document for a program, and a next step."""

from __future__ import annotations

import inspect
import sqlite3
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from allotment import errors
from allotment.doors.cli import failures, scopes
from allotment.doors.cli.failures import EXIT_CODES, EXIT_CODES_TOLD, HINTS
from allotment.errors import AllotmentError, Kind

FAULT = {"code", "message", "hint", "facts"}


def error_types() -> list[type[AllotmentError]]:
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    return [one for one in found if issubclass(one, AllotmentError)] + [failures.NotConfirmed]


def test_every_kind_of_error_has_an_exit_code_of_its_own() -> None:
    assert set(EXIT_CODES) == set(get_args(Kind))
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert 0 not in EXIT_CODES.values()


def test_every_exit_code_is_documented_in_the_help(line: Any) -> None:
    told = line("--help")
    for code in (0, *EXIT_CODES.values(), failures.UNCLEAN, failures.INTERRUPTED):
        assert f"  {code}  " in EXIT_CODES_TOLD
    assert "Exit codes:" in told
    assert "8  'allotment check' found faults" in told


@pytest.mark.parametrize("error", error_types(), ids=lambda one: one.__name__)
def test_every_error_says_what_to_do_next(error: type[AllotmentError]) -> None:
    assert HINTS[error.code]


def test_1_is_the_unexpected_in_one_line_and_the_traceback_only_on_request(
    line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(scopes.list_scopes, "callback", fail)
    result = line.run("scope", "list")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: RuntimeError: a fault of ours"
    assert "Traceback" not in result.stderr
    assert "Traceback" in line.run("scope", "list", "--debug").stderr
    monkeypatch.setenv("ALLOTMENT_DEBUG", "1")
    assert "Traceback" in line.run("scope", "list").stderr
    monkeypatch.setenv("ALLOTMENT_DEBUG", "0")
    assert line.fault("scope", "list", code=1)["code"] == "unexpected"


@pytest.mark.parametrize(
    "words",
    [
        ("bogus",),
        ("scope", "bogus"),
        ("scope", "create"),
        ("scope", "list", "--bogus"),
        ("scope", "list", "--limit", "many"),
        ("subnet", "create"),
        ("subnet", "create", "10.0.0.0/24", "--placement", "sparse"),
        ("subnet", "update", "web", "--no-pools", "--range", "10.0.0.2-10.0.0.3"),
        ("subnet", "update", "web", "--tag", "x", "--no-tags"),
        ("subnet", "update", "web", "--name", "x", "--no-name"),
        ("tree", "--depth", "0"),
        ("scope",),
    ],
)
def test_2_is_a_usage_error(line: Any, words: tuple[str, ...]) -> None:
    result = line.run(*words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    fault = line.fault(*words, code=2)
    assert fault["code"] == "usage"
    assert "--help" in fault["hint"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("subnet", "create", "10.0.0.1/24"), "prefix"),
        (("subnet", "create", "10.0.0.0/24", "--gateway", "x"), "gateway"),
        (("subnet", "create", "10.0.0.0/24", "--range", "10.0.0.9-10.0.0.1"), "range"),
        (("subnet", "create", "10.0.0.0/24", "--quarantine", "-1"), "quarantine_seconds"),
        (("allocate", "web", "--address", "10.0.0.256"), "address"),
        (("allocate", "web", "--mac", "x"), "mac"),
        (("allocate", "web", "--hostname", "a_b"), "hostname"),
        (("allocate", "web", "--count", "0"), "count"),
        (("allocation", "list", "--within", "10.0.0.0/33"), "within"),
        (("scope", "create", " x"), "name"),
        (("scope", "list", "--limit", "1001"), "limit"),
        (("scope", "list", "--cursor", "forged"), "cursor"),
    ],
)
def test_2_is_an_invalid_value_that_names_its_field(
    planned: Any, words: tuple[str, ...], field: str
) -> None:
    fault = planned.fault(*words, code=2)
    assert set(fault) == FAULT
    assert (fault["code"], fault["facts"]["field"]) == ("invalid-value", field)


def test_3_is_not_found(planned: Any) -> None:
    for words in (("subnet", "show", "nope"), ("allocate", "nope"), ("usage", "nope")):
        assert planned.fault(*words, code=3)["code"] == "not-found"
    result = planned.run("release", "web", "10.0.0.7")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("error: no allocation '10.0.0.7' was found")
    assert "\nhint: " in result.stderr


def test_4_is_a_conflict(planned: Any) -> None:
    assert planned.fault("scope", "create", "corp", code=4)["code"] == "already-exists"
    overlap = planned.fault("subnet", "create", "10.0.0.0/25", "--scope", "corp", code=4)
    assert overlap["code"] == "overlap"


def test_5_is_exhausted(planned: Any) -> None:
    wish = ("subnet", "create", "--from-pool", "corp-v4", "--length", "8")
    assert planned.fault(*wish, code=5)["code"] == "pool-exhausted"


def test_7_is_a_store_that_holds_no_book_and_says_what_to_run(
    tmp_path: Path, local_line: Any
) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE t (x)")
    raw.close()
    fault = local_line.fault("status", "--database", f"sqlite:///{other}", code=7)
    assert fault["code"] == "schema-mismatch"
    assert "allotment init" in fault["hint"]


def test_7_is_a_database_that_cannot_be_reached(local_line: Any) -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://nobody:hidden@127.0.0.1:1/none"
    result = local_line.run("status", "--database", url)
    assert result.exit_code == 7, result.output
    assert "hidden" not in result.output
    assert "Traceback" not in result.output


def test_7_is_a_file_that_is_no_database(tmp_path: Path, local_line: Any) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"this is no database, but long enough to look like one" * 40)
    result = local_line.run("status", "--database", f"sqlite:///{garbage}")
    assert result.exit_code == 7, result.output


def test_2_is_a_database_url_of_no_known_form(local_line: Any) -> None:
    fault = local_line.fault("status", "--database", "mysql://x/y", code=2)
    assert fault["facts"]["field"] == "database"


def test_130_is_an_interrupt(line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scopes.list_scopes, "callback", interrupted)
    result = line.run("scope", "list")
    assert result.exit_code == 130
    assert "error: interrupted" in result.stderr
    assert line.run("scope", "list", "--output", "json").exit_code == 130


def test_an_error_for_a_program_is_one_document_on_the_standard_error(planned: Any) -> None:
    fault = planned.fault("subnet", "delete", "nope", code=3)
    assert set(fault) == FAULT
    assert fault["facts"]["reference"] == "nope"


def test_an_error_shows_no_escapes_of_what_was_typed(line: Any) -> None:
    result = line.run("subnet", "show", "a\x1b[31mb")
    assert "\x1b" not in result.stderr


def test_a_mistyped_command_is_told_what_it_may_be(line: Any) -> None:
    assert "allocate" in line.fault("alocate", code=2)["message"]


def test_a_group_without_a_command_shows_its_help(line: Any) -> None:
    result = line.run("scope")
    assert "Commands:" in result.stderr
    assert result.stdout == ""


def test_without_standalone_mode_errors_are_the_callers(line: Any) -> None:
    from allotment.doors.cli.app import root

    with pytest.raises(click.UsageError):
        root.main(["bogus"], standalone_mode=False)
