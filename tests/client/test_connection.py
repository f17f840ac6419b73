"""Where a token may go, and where it must never be seen."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import allotment
from allotment.client.server import parse_server
from allotment.errors import AllotmentError, InvalidValue
from allotment.model.queries import ListProjects
from scripted_server import ScriptedServer, problem, silence

CANARY = "hunter2"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://ipam.example.net", "https://ipam.example.net"),
        ("https://ipam.example.net:443/", "https://ipam.example.net"),
        ("https://IPAM.example.net:8443/book/", "https://ipam.example.net:8443/book"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9:80", "http://127.9.9.9"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_a_server_has_one_url(url: str, canonical: str) -> None:
    assert parse_server(url).url == canonical
    assert parse_server(canonical).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ipam.example.net",
        "ftp://ipam.example.net",
        "https://",
        "https://:8443",
        "https://host:99999",
        "https://host:x",
        "https://user:hunter2@host",
        "https://host/?token=hunter2",
        "https://host/#hunter2",
        "https://host name",
        "https://host\nX: y",
        "https://hößt",
        "https://ho\\st",
        "http://ipam.example.net",
        "http://10.0.0.1",
        "http://localhost.example.net",
        "http://0.0.0.0",
        "http://[::ffff:10.0.0.1]",
    ],
)
def test_a_url_that_will_not_do_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        allotment.connect(url, token=CANARY)
    assert CANARY not in str(caught.value)


def test_plain_http_leaves_this_machine_only_when_asked_to() -> None:
    assert parse_server("http://10.0.0.1", allow_plain_http=True).is_plain


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "a\r\nX: y", "ü", "x" * 9000, "\x00"])
def test_a_token_that_no_header_carries_is_refused_unseen(token: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        allotment.connect("https://host", token=token)
    assert "***" in str(caught.value)


def test_a_file_of_no_certificates_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        if path.stem == "empty":
            path.write_text("nothing")
        with pytest.raises(InvalidValue, match="ca_file"):
            allotment.connect("https://host", token="t", ca_file=str(path))


def test_the_token_is_in_one_header_and_nowhere_else(
    desk: allotment.RemoteDesk, server: ScriptedServer
) -> None:
    assert CANARY not in repr(desk)
    told: list[str] = []
    for script in ([silence] * 99, [problem(401, "unauthenticated")]):
        server.script = list(script)
        with pytest.raises(AllotmentError) as caught:
            desk.ask(ListProjects(), desk.actor)
        told += traceback.format_exception(caught.value)
        told.append(str(caught.value.facts))
        told.append(str(pickle.dumps(caught.value)))
    assert CANARY not in "".join(told)
    for heard in server.heard:
        assert CANARY in heard.headers.pop("authorization")
        assert CANARY not in f"{heard.line}{heard.headers}{heard.body!r}"


def loaded(program: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return {name.split(".")[0] for name in told.split()}


def test_importing_allotment_loads_no_client_and_no_database() -> None:
    assert not loaded("import allotment") & {"urllib3", "sqlalchemy", "msgspec"}


def test_connecting_loads_no_database() -> None:
    modules = loaded(
        "import allotment\n"
        "from allotment.model.commands import AllocateAddress\n"
        "allotment.connect('https://host', token='t')"
    )
    assert "urllib3" in modules
    assert not modules & {"sqlalchemy", "alembic", "sqlite3", "psycopg"}
