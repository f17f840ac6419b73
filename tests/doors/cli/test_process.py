"""The command line as a process of its own: streams, signals, start-up, completion."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
from click.testing import CliRunner

from allotment.doors.cli.app import root

PATIENCE_SECONDS = 60
COMMAND = [sys.executable, "-m", "allotment"]


def run(*words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        stdin=subprocess.DEVNULL, **settings,
    )  # fmt: skip


def test_a_new_file_becomes_a_book_at_the_first_command(tmp_path: Path) -> None:
    home = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    made = run("scope", "create", "corp", "--output", "json", env=home)
    assert (made.returncode, made.stderr) == (0, "")
    assert json.loads(made.stdout)["name"] == "corp"
    assert (tmp_path / "allotment" / "book.db").exists()


def test_answers_and_errors_have_a_stream_each(planned: Any) -> None:
    env = {**os.environ, **planned.environment}
    good = run(*planned.words, "allocate", "web", "--output", "json", env=env)
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["items"][0]["address"] == "10.0.0.2"
    bad = run(*planned.words, "allocate", "nope", "--output", "json", env=env)
    assert (bad.returncode, bad.stdout) == (3, "")
    assert json.loads(bad.stderr)["code"] == "not-found"


def loaded_by(*words: str, **environment: str) -> set[str]:
    """The packages that a command line imports; coverage's own are none of ours."""
    clean = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    clean.update(environment)
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "allotment", *words],
        capture_output=True, text=True, check=True, env=clean,
    ).stderr  # fmt: skip
    return {line.rpartition("|")[2].strip().split(".")[0] for line in told.splitlines()}


def test_the_version_needs_no_database_library_and_no_rich() -> None:
    loaded = loaded_by("--version")
    assert "click" in loaded
    assert not loaded & {"sqlalchemy", "rich", "alembic", "msgspec", "psycopg", "sqlite3"}


def test_the_help_of_all_commands_imports_none_of_them() -> None:
    assert not loaded_by("--help") & {"sqlalchemy", "rich", "alembic", "msgspec", "sqlite3"}


def test_an_allocation_needs_neither_rich_nor_migrations(planned: Any) -> None:
    loaded = loaded_by(*planned.words, "allocate", "web", **planned.environment)
    assert ("sqlalchemy" in loaded) is not planned.is_remote, "a server's book needs no database"
    assert ("urllib3" in loaded) is planned.is_remote
    assert not loaded & {"rich", "alembic", "psycopg"}


def test_a_reader_that_goes_away_is_no_error(planned: Any) -> None:
    planned("allocate", "v6", "--count", "3000")
    with subprocess.Popen(
        [*COMMAND, *planned.words, "allocation", "list", "v6", "--all"],
        env={**os.environ, **planned.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_SECONDS) == 141


class Terminal:
    """A process of the command line on a terminal of its own; it never outlives the test."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.ours, theirs = pty.openpty()
        env = {**os.environ, **environment}
        # A shell's job in the background ignores interrupts; a program at a terminal does not.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(
                [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=env
            )
        finally:
            signal.signal(signal.SIGINT, before)
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def read_until(self, wanted: bytes) -> bytes:
        """What the terminal shows, up to some text."""
        read = b""
        while wanted not in read:
            assert select.select([self.ours], [], [], PATIENCE_SECONDS)[0], read
            read += os.read(self.ours, 4096)
        return read

    def interrupt(self) -> int:
        """Ctrl-C, again if need be: one that comes just before the process waits goes unseen."""
        for _ in range(PATIENCE_SECONDS // 5):
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(5)
        raise AssertionError("it does not end")


def test_an_interrupt_ends_with_130_and_changes_nothing(planned: Any) -> None:
    """A real terminal, a real question, a real signal."""
    planned("allocate", "web")
    words = (*planned.words, "subnet", "delete", "web", "--cascade")
    with Terminal(*words, **planned.environment) as terminal:
        shown = terminal.read_until(b"[y/N]")
        assert b"This would remove 1 allocation, 1 subnet." in shown
        assert terminal.interrupt() == 130
    planned("subnet", "show", "web")


def test_a_yes_at_the_terminal_deletes(planned: Any) -> None:
    planned("allocate", "web")
    words = (*planned.words, "subnet", "delete", "web", "--cascade")
    with Terminal(*words, **planned.environment) as terminal:
        terminal.read_until(b"[y/N]")
        os.write(terminal.ours, b"y\n")
        terminal.read_until(b"deleted")
        assert terminal.process.wait(PATIENCE_SECONDS) == 0
    planned("subnet", "show", "web", code=3)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion_script(shell: str, line: Any) -> None:
    script = line("completion", shell)
    assert "_ALLOTMENT_COMPLETE" in script
    assert "allotment" in script


def complete(where: dict[str, str], *words: str) -> set[str]:
    """What bash would be told to complete the last word with."""
    asked = {
        "_ALLOTMENT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["allotment", *words]),
        "COMP_CWORD": str(len(words)),
        **where,
    }
    answered = CliRunner().invoke(root, [], prog_name="allotment", env=asked)
    assert answered.stderr == ""
    return {line.partition(",")[2] for line in answered.stdout.splitlines() if line}


def test_a_shell_completes_commands_and_the_names_in_the_book(planned: Any) -> None:
    place = "ALLOTMENT_SERVER" if planned.is_remote else "ALLOTMENT_DATABASE"
    where = {place: planned.url, **planned.environment}
    planned("token", "create", "deploy")
    assert complete(where, "allo") == {"allocate", "allocation"}
    assert complete(where, "allocate", "we") == {"web"}
    assert complete(where, "subnet", "show", "2001") == {"2001:db8::/64"}
    assert complete(where, "usage", "co") == {"corp", "corp-v4"}
    assert complete(where, "allocate", "web", "--owner", "p") == {"payments"}
    assert complete(where, "token", "show", "d") == {"deploy"}
    assert complete(where, "grant", "create", "token") == {"token:bootstrap", "token:deploy"}
    assert complete(where, "grant", "create", "token:deploy", "viewer", "--on-subnet", "we") == {
        "web"
    }


def test_completing_makes_no_book_and_hides_every_error(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    assert complete({"ALLOTMENT_DATABASE": f"sqlite:///{path}"}, "allocate", "") == set()
    assert not path.exists()
    for where in (
        {"ALLOTMENT_DATABASE": "postgresql://127.0.0.1:1/none"},
        {"ALLOTMENT_SERVER": "http://127.0.0.1:1", "ALLOTMENT_TOKEN": "t"},
        {"ALLOTMENT_SERVER": "http://127.0.0.1:1"},
    ):
        assert complete(where, "allocate", "") == set()
