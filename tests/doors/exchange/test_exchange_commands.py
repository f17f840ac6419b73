"""`allotment import`, `export` and `demo` as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from allotment.doors.cli.app import root
from allotment.doors.exchange import demo_plan
from live_server import LiveServer, make_book

SUMMARY = {"file", "format", "dry_run", "counts", "kinds", "items", "next"}


@dataclass(frozen=True)
class Line:
    """The command line on a book: a file that is not there yet, or one at a server."""

    path: Path
    server: str | None = None
    token: str = ""

    def run(self, *words: str, **settings: Any) -> Result:
        """Run a command line in this process."""
        if self.server is None:
            where = ["--database", f"sqlite:///{self.path}"]
        else:
            where = ["--server", self.server]
        env = {"ALLOTMENT_TOKEN": self.token}
        return CliRunner().invoke(root, [*where, *words], env=env, **settings)

    def __call__(self, *words: str, code: int = 0, **settings: Any) -> str:
        """What it prints; the exit code must be this one."""
        result = self.run(*words, **settings)
        assert result.exit_code == code, result.output
        return result.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """What it prints for a program."""
        return json.loads(self(*words, "--output", "json", code=code))


@pytest.fixture
def local_line(tmp_path: Path) -> Line:
    """The command line on a new book."""
    return Line(tmp_path / "new.db")


@pytest.fixture(params=["local", "server"])
def line(request: pytest.FixtureRequest, local_line: Line) -> Iterator[Line]:
    """The command line on a new book, and on one at a server."""
    if request.param == "local":
        yield local_line
        return
    token = make_book(local_line.path)
    server = LiveServer(f"sqlite:///{local_line.path}")
    yield Line(local_line.path, server.url, token)
    server.close()


def test_an_import_tells_what_became_of_each_kind_and_why(line: Line, files: Path) -> None:
    told = line("import", "netbox", str(files / "netbox-odd.json"), code=4)
    assert "ipam.prefix" in told
    assert "not-represented: the book has no place for it" in told
    assert "addresses of a scope are always unique here" in told
    assert "host bits are set; write 10.0.0.0/8" in told


def test_the_report_for_a_program_has_every_row(line: Line, files: Path) -> None:
    report = line.json("import", "netbox", str(files / "netbox-odd.json"), code=4)
    assert set(report) == SUMMARY
    objects = json.loads((files / "netbox-odd.json").read_text("utf-8"))
    assert len(report["items"]) == len(objects) + 1, "and one for the global table"
    assert report["next"] is None
    assert sum(report["counts"].values()) == len(report["items"])
    by_csv = line("import", "netbox", str(files / "netbox-odd.json"), "--output", "csv", code=4)
    assert by_csv.splitlines()[0] == "kind,source,label,outcome,reason,code,left_out"


def test_a_dry_run_makes_not_even_the_book(local_line: Line, files: Path) -> None:
    told = local_line("import", "csv", str(files / "plan.csv"), "--dry-run", code=4)
    assert "nothing was changed" in told
    assert not local_line.path.exists()


def test_a_dry_run_says_what_the_import_then_does(line: Line, files: Path) -> None:
    line("scope", "create", "port")
    line("subnet", "create", "10.20.4.0/25", "--scope", "port")
    words = ("import", "csv", str(files / "plan.csv"))
    would = line.json(*words, "--dry-run", code=4)
    assert line.json("status")["pools"] == 0
    did = line.json(*words, code=4)
    assert would.pop("dry_run") is True
    assert did.pop("dry_run") is False
    assert would == did


def test_an_import_without_refusals_ends_with_0_and_the_book_is_clean(line: Line) -> None:
    told = line("import", "csv", "-", "--scope", "corp", input="prefix,region\n10.0.0.0/8,north\n")
    assert "imported" in told.lower()
    assert line.json("pool", "show", "10.0.0.0/8")["tags"] == ["region:north"]
    line("check")


@pytest.mark.parametrize(
    ("words", "text", "why"),
    [
        (("import", "csv", "-"), "prefix,a\n10.0.0.0/8\n", "line 2"),
        (("import", "netbox", "-"), "{}", "a Django fixture is a JSON list"),
        (("import", "csv", "nowhere.csv"), "", "nowhere.csv"),
    ],
)
def test_a_file_that_is_none_is_a_usage_error(
    line: Line, words: tuple[str, ...], text: str, why: str
) -> None:
    result = line.run(*words, "--output", "json", input=text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in json.loads(result.stderr)["message"]


def test_what_a_file_calls_things_does_not_reach_the_terminal_raw(line: Line) -> None:
    hostile = json.dumps([{"model": "\x1b[2Jipam.prefix", "pk": 1, "fields": {"name": "\x1b]0;x"}}])
    told = line("import", "netbox", "-", input=hostile)
    assert "\x1b" not in told
    assert "\x1b" not in line("import", "netbox", "-", "--output", "json", input=hostile)


def test_an_export_brought_into_another_book_is_the_same_book(
    line: Line, files: Path, tmp_path: Path
) -> None:
    line("import", "netbox", str(files / "netbox-odd.json"), code=4)
    text = line("export", "csv")
    copy = Line(tmp_path / "copy.db")
    copy("import", "csv", "-", input=text)
    assert copy("export", "csv") == text
    assert list(json.loads(line("export", "json"))) == [
        *("projects", "scopes", "pools", "subnets", "prefix_allocations", "allocations")
    ]
    assert len(json.loads(line("export", "json", "--scope", "Blue"))["subnets"]) == 1


def test_the_demo_shows_trees_and_the_fullest_subnets(line: Line) -> None:
    told = line("demo", "--size", "small")
    assert "10.0.0.0/8" in told
    assert "The fullest subnets:" in told
    line("check")
    again = line.run("demo", "--size", "small")
    assert again.exit_code == 6
    assert "--yes" in again.stderr
    assert line.run("demo", "--size", "small", "--yes").exit_code == 4, "its scopes are there"


def test_the_demo_answers_a_program_with_the_book_s_status(line: Line) -> None:
    status = line.json("demo", "--size", "small", "--seed", "3")
    assert status["scopes"] == len(("corporate", "acquired"))
    assert status["subnets"] > 2 * sum(demo_plan.SIZES["small"].links)
