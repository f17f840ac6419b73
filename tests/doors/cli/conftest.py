"""A book of its own for each test, and the command line that works on it.

Invariant: the desk is real, on a SQLite file; nothing is mocked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from allotment import open_book
from allotment.doors.cli.app import root


@dataclass(frozen=True)
class Line:
    """The command line on one book."""

    url: str

    def run(self, *words: str, **settings: Any) -> Result:
        """Run a command line in this process; the database comes first, as a global option."""
        return CliRunner().invoke(root, ["--database", self.url, *words], **settings)

    def __call__(self, *words: str, code: int = 0, **settings: Any) -> str:
        """What a command prints for a person; the exit code must be this one."""
        result = self.run(*words, **settings)
        assert result.exit_code == code, result.output
        return result.stdout

    def json(self, *words: str, code: int = 0) -> Any:
        """What a command prints for a program."""
        result = self.run(*words, "--output", "json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def items(self, *words: str) -> list[Any]:
        """The items of a listing that ends here."""
        answer = self.json(*words)
        assert set(answer) == {"items", "next"}
        assert answer["next"] is None
        return list(answer["items"])

    def fault(self, *words: str, code: int) -> Any:
        """What a command says on the standard error for a program, nothing being printed."""
        result = self.run(*words, "--output", "json")
        assert (result.exit_code, result.stdout) == (code, ""), result.output
        return json.loads(result.stderr)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty book."""
    path = tmp_path_factory.mktemp("template") / "book.db"
    open_book(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def book(template: Path, tmp_path: Path) -> Path:
    """The file of an empty book for this test."""
    return Path(shutil.copy(template, tmp_path / "book.db"))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the machine's own colours the output."""
    for name in ("ALLOTMENT_DATABASE", "ALLOTMENT_DEBUG", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return


@pytest.fixture
def line(book: Path) -> Line:
    """The command line on an empty book."""
    return Line(f"sqlite:///{book}")


@pytest.fixture(scope="session")
def planned_template(template: Path) -> Path:
    """The file of a book with two scopes that overlap, a pool in one of them, and a project."""
    path = Path(shutil.copy(template, template.with_name("planned.db")))
    line = Line(f"sqlite:///{path}")
    line("scope", "create", "corp")
    line("scope", "create", "lab")
    line("project", "create", "payments")
    line("pool", "create", "corp-v4", "--scope", "corp", "--prefix", "10.0.0.0/8")
    line("subnet", "create", "10.0.0.0/24", "--scope", "corp", "--name", "web")
    line("subnet", "create", "10.0.0.0/24", "--scope", "lab", "--name", "bench")
    line("subnet", "create", "2001:db8::/64", "--scope", "lab", "--name", "v6")
    return path


@pytest.fixture
def planned(planned_template: Path, tmp_path: Path) -> Line:
    """The command line on a planned book."""
    return Line(f"sqlite:///{shutil.copy(planned_template, tmp_path / 'planned.db')}")
