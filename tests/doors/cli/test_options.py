"""The options of every command: before, between and after the command words; the last one wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import allotment
from allotment.doors.cli.app import SECTIONS, root
from allotment.doors.cli.failures import wants_json
from allotment.doors.cli.grammar import everywhere


def run(*words: str) -> Any:
    result = CliRunner().invoke(root, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--database", "URL", "--output", "json", "scope", "list"),
        ("scope", "--database", "URL", "--output", "json", "list"),
        ("scope", "list", "--database", "URL", "--output", "json"),
        ("--output", "csv", "scope", "list", "--database=URL", "--output=json"),
        ("--database", "mysql://no", "scope", "list", "--database", "URL", "--output", "json"),
    ],
)
def test_options_stand_anywhere_and_the_last_one_wins(book: Path, words: tuple[str, ...]) -> None:
    printed = run(*(word.replace("URL", f"sqlite:///{book}") for word in words))
    assert json.loads(printed) == {"items": [], "next": None}


def test_the_environment_names_the_database_unless_an_option_does(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOTMENT_DATABASE", f"sqlite:///{book}")
    assert json.loads(run("status", "--output", "json"))["database"] == f"sqlite:///{book}"
    other = f"sqlite:///{tmp_path}/other.db"
    told = json.loads(run("--database", other, "--output", "json", "status"))
    assert told["database"] == other


def test_a_scope_stands_before_or_after_the_command_words(planned: Any) -> None:
    for words in (
        ("--scope", "corp", "subnet", "show", "10.0.0.0/24"),
        ("subnet", "show", "10.0.0.0/24", "--scope", "corp"),
        ("--scope", "lab", "subnet", "show", "10.0.0.0/24", "--scope", "corp"),
    ):
        assert planned.json(*words)["name"] == "web"


def test_a_scope_helps_in_every_command_that_names_a_subnet(planned: Any) -> None:
    cidr = ("10.0.0.0/24", "--scope", "lab")
    (held,) = planned.items("allocate", *cidr)
    planned("allocation", "show", "10.0.0.0/24", held["address"], "--scope", "lab")
    planned("allocation", "update", "10.0.0.0/24", held["address"], "--scope", "lab", "--tag", "x")
    assert planned.json("usage", *cidr)["held"] == 1
    assert planned.items("free", *cidr)[0]["range"] == "10.0.0.3-10.0.0.254"
    assert planned.json("release", "10.0.0.0/24", held["address"], "--scope", "lab")["count"] == 1
    assert planned.json("subnet", "update", *cidr, "--no-pools")["scope"] == "lab"
    assert planned.json("subnet", "delete", *cidr)["contents"]["subnets"] == 1


def every_command(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        found.append((*words, word))
        if isinstance(command, click.Group):
            found += every_command(command, (*words, word))
    return found


@pytest.mark.parametrize("words", every_command(root), ids=" ".join)
def test_every_command_has_help_and_the_options_of_all(words: tuple[str, ...]) -> None:
    told = run(*words, "--help")
    assert run(*words, "-h") == told
    for option in everywhere():
        assert option.opts[0] in told
    assert len(told.splitlines()[2].strip()) > 15, "it says what it does"


def test_the_version_is_told() -> None:
    assert run("--version") == f"allotment {allotment.__version__}\n"


def test_the_root_says_in_its_help_what_each_command_is_for() -> None:
    told = run("--help")
    assert run() == told
    for words in SECTIONS.values():
        for word, home in words.items():
            assert f"  {word}" in told
            assert home.purpose in told


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a", "--output", "json"], True),
        (["--output=json", "a"], True),
        (["--output", "json", "a", "--output", "table"], False),
        (["a", "--output"], False),
        (["a", "--", "--output", "json"], False),
        ([], False),
    ],
)
def test_the_last_output_option_decides_how_errors_are_told(words: list[str], wanted: bool) -> None:
    assert wants_json(words) is wanted
