"""Which book a command line works on, and how a login is kept."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from allotment.doors.cli.app import root
from live_server import LiveServer


@pytest.fixture
def server(planned_book: Path) -> Iterator[LiveServer]:
    """A server of a planned book."""
    server = LiveServer(f"sqlite:///{planned_book}")
    yield server
    server.close()


@pytest.fixture
def token(admin: tuple[Path, str]) -> str:
    """The administrator's token."""
    return admin[1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where the login is kept."""
    return tmp_path / "config" / "allotment" / "credentials.json"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own book is."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def run(*words: str, code: int = 0, **settings: Any) -> Result:
    result = CliRunner().invoke(root, list(words), **settings)
    assert result.exit_code == code, result.output
    return result


def scopes(*words: str, **settings: Any) -> set[str]:
    told = json.loads(run("scope", "list", "--output", "json", *words, **settings).stdout)
    return {one["name"] for one in told["items"]}


def logged_in(server: LiveServer, token: str) -> Result:
    return run("login", "--server", server.url, input=f"{token}\n")


def test_after_a_login_every_command_works_on_the_servers_book(
    server: LiveServer, token: str, config: Path, home: Path
) -> None:
    assert scopes() == set(), "the user's own book"
    told = logged_in(server, token).stdout
    assert told.startswith(f"logged in to {server.url}\n")
    assert "token:bootstrap" in told
    assert "admin" in told
    assert scopes() == {"corp", "lab"}
    run("allocate", "web")
    assert run("logout").stdout == "logged out\n"
    assert not config.exists()
    assert scopes() == set()
    assert run("logout").stdout == "there was no login\n"
    assert json.loads(run("logout", "--output", "json").stdout) == {"logged_out": False}


def test_a_token_is_taken_from_a_file_and_shown_nowhere(
    server: LiveServer, token: str, config: Path, tmp_path: Path
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{token}\n")
    for words in (("--output", "json"), ("--output", "csv"), ()):
        result = run("login", "--server", server.url, "--token-file", str(file), *words)
        assert token not in result.output
    for words in (("whoami",), ("status", "--debug"), ("scope", "show", "nope", "--debug")):
        assert token not in CliRunner().invoke(root, list(words)).output
    assert json.loads(config.read_bytes())["token"] == token


def test_a_login_is_kept_for_its_owner_alone(server: LiveServer, token: str, config: Path) -> None:
    logged_in(server, token)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert os.listdir(config.parent) == ["credentials.json"], "nothing is left of writing it"
    for mode in (0o640, 0o604, 0o660, 0o666):
        config.chmod(mode)
        refused = run("scope", "list", code=2)
        assert "others may read or write it" in refused.stderr
        assert token not in refused.output
    config.chmod(0o600)
    assert scopes() == {"corp", "lab"}


def test_a_login_file_that_is_none_is_refused_without_showing_it(
    server: LiveServer, token: str, config: Path
) -> None:
    logged_in(server, token)
    for text in (f'{{"token": "{token}"}}', f"{token}", ""):
        config.write_text(text)
        refused = run("scope", "list", "--debug", code=2)
        assert "'allotment login' writes it anew" in refused.stderr
        assert token not in refused.output
    elsewhere = config.with_name("elsewhere.json")
    elsewhere.write_text("{}")
    config.unlink()
    config.symlink_to(elsewhere)
    assert "cannot be read" in run("scope", "list", code=2).stderr


def test_a_refused_token_changes_no_login(server: LiveServer, token: str, config: Path) -> None:
    logged_in(server, token)
    before = config.read_bytes()
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    refused = run("login", "--server", server.url, "--output", "json", input=wrong, code=6)
    assert json.loads(refused.stderr)["code"] == "unauthenticated"
    assert wrong not in refused.output
    assert config.read_bytes() == before


def test_an_option_counts_before_the_environment_and_that_before_a_login(
    server: LiveServer, token: str, book: Path, home: Path
) -> None:
    logged_in(server, token)
    database = f"sqlite:///{book}"
    assert scopes("--database", database) == set()
    assert scopes(env={"ALLOTMENT_DATABASE": database}) == set()
    assert scopes("--server", server.url, env={"ALLOTMENT_DATABASE": database}) == {"corp", "lab"}
    run("logout")
    away = {"ALLOTMENT_SERVER": server.url, "ALLOTMENT_TOKEN": token}
    assert scopes(env=away) == {"corp", "lab"}
    assert scopes("--database", database, env=away) == set()
    assert scopes() == set()


def test_two_books_at_once_are_refused(server: LiveServer, token: str, book: Path) -> None:
    database = f"sqlite:///{book}"
    both = run("scope", "list", "--database", database, "--server", server.url, code=2)
    assert "not both" in both.stderr
    env = {"ALLOTMENT_DATABASE": database, "ALLOTMENT_SERVER": server.url}
    assert "is set too" in run("scope", "list", code=2, env=env).stderr
    env = {"ALLOTMENT_TOKEN": token, "ALLOTMENT_TOKEN_FILE": "x"}
    refused = run("scope", "list", "--server", server.url, code=2, env=env)
    assert "is set too" in refused.stderr
    assert token not in refused.output


def test_a_token_comes_from_the_environment_or_a_file_it_names(
    server: LiveServer, token: str, tmp_path: Path
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{token}\n")
    assert scopes("--server", server.url, env={"ALLOTMENT_TOKEN_FILE": str(file)})
    for text in (b"", b"\xff"):
        file.write_bytes(text)
        env = {"ALLOTMENT_TOKEN_FILE": str(file)}
        assert "token file" in run("scope", "list", "--server", server.url, code=2, env=env).stderr
    missing = {"ALLOTMENT_TOKEN_FILE": str(tmp_path / "absent")}
    run("scope", "list", "--server", server.url, code=2, env=missing)


def test_the_token_of_a_login_is_shown_to_no_other_server(server: LiveServer, token: str) -> None:
    logged_in(server, token)
    same = server.url.replace("http://", "HTTP://") + "/"
    assert scopes("--server", same) == {"corp", "lab"}
    other = "http://127.0.0.1:1"
    refused = run("scope", "list", "--server", other, "--output", "json", code=6)
    assert json.loads(refused.stderr)["code"] == "unauthenticated"
    assert "allotment login" in json.loads(refused.stderr)["hint"]


def test_a_login_needs_a_server_and_a_server_needs_tls(book: Path) -> None:
    assert "--server https://host" in run("login", code=2, input="t").stderr
    refused = run("login", "--database", f"sqlite:///{book}", code=2, input="t")
    assert "not to a --database" in refused.stderr
    plain = run("login", "--server", "http://ipam.example.net", code=2, input="t")
    assert "write https://" in plain.stderr
    assert "token" in run("login", "--server", "https://127.0.0.1:1", code=2, input="").stderr


def test_a_server_that_is_not_there_is_unavailable(home: Path) -> None:
    env = {"ALLOTMENT_TOKEN": "t"}
    refused = run("scope", "list", "--server", "http://127.0.0.1:1", code=7, env=env)
    assert "cannot be reached" in refused.stderr


def test_whoami_says_which_book_and_who(line: Any) -> None:
    told = line("whoami")
    assert told.startswith(f"the book is at {line.url}\n")
    identity = line.json("whoami")
    if line.is_remote:
        assert identity["actor"] == "token:bootstrap"
        assert identity["token"]["name"] == "bootstrap"
        assert [one["role"] for one in identity["grants"]] == ["admin"]
        assert "installation" in told
    else:
        assert identity["kind"] == "owner"
        assert identity["grants"] == []
