"""How answers are printed: tables, JSON and CSV, harmless whatever the book holds."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from allotment.doors.cli import csv_text, figures
from allotment.doors.cli.app import root
from allotment.doors.cli.safe_text import escape_hidden, visible, without_controls

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    "'=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert csv_text.neutralise(text) == f"'{text}"
    assert csv_text.restore(csv_text.neutralise(text)) == text


@given(st.text())
def test_neutralising_is_undone_by_restoring(text: str) -> None:
    assert csv_text.restore(csv_text.neutralise(text)) == text
    assert csv_text.neutralise(text)[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@given(st.text())
def test_visible_text_is_one_printable_line(text: str) -> None:
    assert visible(text).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07rest", "rest"),
        ("\x9b2Jx", "x"),
        ("a\nb\tc", "a b c"),
        ("a\u202eb", "a?b"),
        ("\x1bcx", "x"),
        ("bell\x07", "bell?"),
        ("größe", "größe"),
    ],
)
def test_terminal_escapes_are_taken_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_cells_keep_their_lines_and_lose_their_controls() -> None:
    assert without_controls("a\nb\x1b[2J\x00c") == "a\nbc"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_json_document_means_the_same_with_hidden_characters_escaped(text: str) -> None:
    document = escape_hidden(json.dumps(text, ensure_ascii=False))
    assert json.loads(document) == text
    assert not set(document) & set("\x7f\x9b\u202e\u200b\ufeff")


def test_a_hostile_description_cannot_reach_the_terminal_or_the_spreadsheet(line: Any) -> None:
    line("scope", "create", "corp", "--description", "=cmd|' /C calc'!A0\nsecond \u202eline")
    told = line("scope", "list")
    assert "\u202e" not in told
    assert len(told.splitlines()) == 2
    table = list(csv.DictReader(io.StringIO(line("scope", "list", "--output", "csv"))))
    assert table[0]["description"].startswith("'=cmd")
    printed = line("scope", "list", "--output", "json")
    assert "\u202e" not in printed
    assert json.loads(printed)["items"][0]["description"].endswith("\u202eline")


def test_csv_is_rfc_4180_with_the_models_field_names(planned: Any) -> None:
    printed = planned.run("subnet", "list", "--output", "csv").stdout_bytes.decode()
    assert printed.count("\r\n") == printed.count("\n") == 4
    rows = list(csv.DictReader(io.StringIO(printed)))
    (six,) = [row for row in rows if row["name"] == "v6"]
    assert (six["prefix"], six["tags"], six["project"]) == ("2001:db8::/64", "", "")
    single = planned("subnet", "show", "web", "--output", "csv")
    assert single.splitlines()[0] == printed.splitlines()[0]
    assert len(single.splitlines()) == 2


def test_without_a_terminal_a_table_is_plain_and_never_folded(planned: Any) -> None:
    long = "x" * 300
    planned("scope", "update", "lab", "--description", long)
    told = planned("scope", "list")
    assert "\x1b" not in told
    assert long in told
    assert told.splitlines()[0].split() == ["NAME", "PROJECT", "DESCRIPTION", "ID"]


def test_colour_is_for_terminals_and_no_color_is_respected(
    planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words in (("subnet", "list"), ("tree",), ("usage",), ("subnet", "show", "web")):
        assert "\x1b[" in planned(*words)
    assert "\x1b[31m" in planned.run("subnet", "show", "nope").stderr
    monkeypatch.setenv("NO_COLOR", "1")
    for words in (("subnet", "list"), ("tree",), ("usage",)):
        assert "\x1b[3" not in planned(*words)
    assert "\x1b[" not in planned.run("subnet", "show", "nope").stderr


def test_an_output_without_unicode_gets_ascii_and_escapes(planned: Any) -> None:
    planned("scope", "update", "lab", "--description", "größe")
    runner = CliRunner(charset="ascii")

    def printed(*words: str) -> str:
        result = runner.invoke(root, [*planned.words, *words], env=planned.environment)
        assert result.exit_code == 0, result.output
        return result.stdout_bytes.decode("ascii")

    assert "`-- 10.0.0.0/8 corp-v4" in printed("tree")
    assert "gr??e" in printed("scope", "list")
    shown = printed("scope", "show", "lab", "--output", "json")
    assert json.loads(shown)["description"] == "größe"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (16_777_216, "16,777,216"),
        (999_999_999_999_999, "999,999,999,999,999"),
        (2**64, "2^64"),
        (2**64 - 13, "2^64 - 13"),
        (2**64 + 256, "2^64 + 256"),
        (2**128 - 1, "2^128 - 1"),
        (3 * 2**62, "13,835,058,055,282,163,712"),
    ],
)
def test_a_count_is_short_and_exact(count: int, text: str) -> None:
    assert figures.count_text(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0%"),
        (0, 0, "0%"),
        (1, 2**64, "<0.1%"),
        (1, 1000, "0.1%"),
        (5, 8, "62.5%"),
        (999, 1000, "99.9%"),
        (2**64 - 1, 2**64, ">99.9%"),
        (8, 8, "100%"),
    ],
)
def test_a_share_is_nothing_or_all_only_when_it_is(part: int, whole: int, text: str) -> None:
    assert figures.percent(part, whole) == text


@given(st.integers(0, 2**128), st.integers(1, 2**128), st.integers(1, 40))
def test_a_bar_is_full_only_when_full_and_empty_only_when_empty(
    part: int, whole: int, width: int
) -> None:
    part = min(part, whole)
    drawn = figures.bar(part, whole, width)
    full = {"█", "#"}
    assert len(drawn) == width
    assert (drawn[0] in full) == (part > 0)
    if part < whole and width > 1:
        assert drawn[-1] not in full


def test_time_is_told_in_utc() -> None:
    assert figures.moment(1_700_000_000_123) == "2023-11-14 22:13:20Z"


def test_nothing_of_rich_is_needed_without_a_terminal(planned: Any) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        del sys.modules[name]
    planned("subnet", "list")
    planned("tree")
    planned("usage")
    assert "rich" not in sys.modules
