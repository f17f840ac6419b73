"""A book of its own for each test, and the command line that works on it.

Invariant: the desk is real, on a SQLite file, here or behind a server; nothing is mocked.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from allotment.doors.cli.app import root
from live_server import LiveServer


@dataclass(frozen=True)
class Line:
    """The command line on one book: in a file, or at a server with a token."""

    url: str
    book: Path
    token: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether a server keeps the book."""
        return self.token is not None

    @property
    def in_database(self) -> str:
        """The URL of the book itself, whoever keeps it."""
        return f"sqlite:///{self.book}"

    @property
    def words(self) -> list[str]:
        """The global option that says where the book is."""
        return ["--server" if self.is_remote else "--database", self.url]

    @property
    def environment(self) -> dict[str, str]:
        """What the environment must say."""
        return {} if self.token is None else {"ALLOTMENT_TOKEN": self.token}

    def run(self, *words: str, **settings: Any) -> Result:
        """Run a command line in this process; the book comes first, as a global option."""
        environment = {**self.environment, **settings.pop("env", {})}
        return CliRunner().invoke(root, [*self.words, *words], env=environment, **settings)

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


@pytest.fixture
def book(admin: tuple[Path, str], tmp_path: Path) -> Path:
    """The file of an empty book for this test."""
    return Path(shutil.copy(admin[0], tmp_path / "book.db"))


@pytest.fixture(autouse=True)
def on_a_plain_machine(plain_environment: None) -> None:
    """Every test of this door."""


@pytest.fixture
def local_line(book: Path) -> Line:
    """The command line on an empty book in a file: for what only that can show."""
    return Line(f"sqlite:///{book}", book)


@pytest.fixture(params=["local", "server"])
def open_line(
    request: pytest.FixtureRequest, admin: tuple[Path, str]
) -> Iterator[Callable[[Path], Line]]:
    """Gives the command line on a book: the test runs in this process, and against a server."""
    servers: list[LiveServer] = []

    def open_it(path: Path) -> Line:
        if request.param == "local":
            return Line(f"sqlite:///{path}", path)
        servers.append(LiveServer(f"sqlite:///{path}"))
        return Line(servers[-1].url, path, admin[1])

    yield open_it
    for server in servers:
        server.close()


@pytest.fixture
def line(open_line: Callable[[Path], Line], book: Path) -> Line:
    """The command line on an empty book."""
    return open_line(book)


@pytest.fixture(scope="session")
def planned_template(admin: tuple[Path, str]) -> Path:
    """The file of a book with two scopes that overlap, a pool in one of them, and a project."""
    path = Path(shutil.copy(admin[0], admin[0].with_name("planned.db")))
    line = Line(f"sqlite:///{path}", path)
    line("scope", "create", "corp")
    line("scope", "create", "lab")
    line("project", "create", "payments")
    line("pool", "create", "corp-v4", "--scope", "corp", "--prefix", "10.0.0.0/8")
    line("subnet", "create", "10.0.0.0/24", "--scope", "corp", "--name", "web")
    line("subnet", "create", "10.0.0.0/24", "--scope", "lab", "--name", "bench")
    line("subnet", "create", "2001:db8::/64", "--scope", "lab", "--name", "v6")
    return path


@pytest.fixture
def planned_book(planned_template: Path, tmp_path: Path) -> Path:
    """The file of a planned book for this test."""
    return Path(shutil.copy(planned_template, tmp_path / "planned.db"))


@pytest.fixture
def local_planned(planned_book: Path) -> Line:
    """The command line on a planned book in a file: for what only that can show."""
    return Line(f"sqlite:///{planned_book}", planned_book)


@pytest.fixture
def planned(open_line: Callable[[Path], Line], planned_book: Path) -> Line:
    """The command line on a planned book."""
    return open_line(planned_book)
