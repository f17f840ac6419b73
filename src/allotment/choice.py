"""Which book is meant: one at a server or in a database, by an option, the environment or a login.

Invariant: an option counts before the environment, that before a login, and that before the
user's own book; a token kept for one server is never shown to another.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from allotment import credentials
from allotment.client.server import parse_server
from allotment.config import VARIABLE as DATABASE_VARIABLE
from allotment.config import is_new, parse_url
from allotment.errors import InvalidValue, Unauthenticated
from allotment.model.secret import Secret

SERVER_VARIABLE: Final = "ALLOTMENT_SERVER"
TOKEN_VARIABLE: Final = "ALLOTMENT_TOKEN"  # noqa: S105 - a variable's name
TOKEN_FILE_VARIABLE: Final = "ALLOTMENT_TOKEN_FILE"  # noqa: S105 - a variable's name
CA_FILE_VARIABLE: Final = "ALLOTMENT_CA_FILE"
PLAIN_HTTP_VARIABLE: Final = "ALLOTMENT_ALLOW_PLAIN_HTTP"
_TOKEN_FILE_BYTES_MAX: Final = 64 << 10


class InDatabase(NamedTuple):
    """A book that this process opens itself."""

    url: str

    @property
    def is_new(self) -> bool:
        """Whether opening it would make it."""
        return is_new(self.url)

    @property
    def may_lose_answers(self) -> bool:
        """Whether a commit can be lost on its way."""
        return not self.url.startswith("sqlite:")


class AtServer(NamedTuple):
    """A book that a server keeps."""

    url: str
    token: Secret
    ca_file: str | None = None
    allow_plain_http: bool = False


Choice = InDatabase | AtServer


def chosen(database: str | None, server: str | None) -> Choice:
    """The book that is meant by two options, of which at most one is given.

    Raises:
        InvalidValue: both are given, or what is said of the book will not do.
        Unauthenticated: no token is known for the server.
    """
    if database is not None and server is not None:
        raise InvalidValue("server", server, "give --server or --database, not both")
    if database is None and server is None:
        database, server = _of_environment()
    if server is not None:
        return _at_server(server)
    if database is None and (login := credentials.read()) is not None:
        return AtServer(
            login.server, _given_token() or login.token, login.ca_file, login.allow_plain_http
        )
    return InDatabase(parse_url(database))


def is_book_named() -> bool:
    """Whether the environment or a login says which book is meant, where no option does."""
    return any(_of_environment()) or credentials.read() is not None


def _of_environment() -> tuple[str | None, str | None]:
    database = os.environ.get(DATABASE_VARIABLE) or None
    server = os.environ.get(SERVER_VARIABLE) or None
    if database is not None and server is not None:
        rule = f"{DATABASE_VARIABLE} is set too; unset one, or give --server or --database"
        raise InvalidValue(SERVER_VARIABLE, server, rule)
    return database, server


def _at_server(server: str) -> AtServer:
    """A server that is named, with the token that the environment or a login there has."""
    plain = os.environ.get(PLAIN_HTTP_VARIABLE, "") not in ("", "0")
    ca_file = os.environ.get(CA_FILE_VARIABLE) or None
    token = _given_token()
    login = credentials.read() if token is None or not plain or ca_file is None else None
    if login is not None and _same(login.server, server):
        token = token or login.token
        plain = plain or login.allow_plain_http
        ca_file = ca_file or login.ca_file
    if token is None:
        raise Unauthenticated(f"no token is known for {server}")
    return AtServer(server, token, ca_file, plain)


def _same(one: str, other: str) -> bool:
    servers = [parse_server(url, allow_plain_http=True) for url in (one, other)]
    return servers[0] == servers[1]


def _given_token() -> Secret | None:
    """The token that the environment has, or names the file of."""
    token, file = os.environ.get(TOKEN_VARIABLE), os.environ.get(TOKEN_FILE_VARIABLE)
    if token and file:
        raise InvalidValue(TOKEN_FILE_VARIABLE, file, f"{TOKEN_VARIABLE} is set too; unset one")
    if file:
        return token_in(file)
    return Secret(token) if token else None


def token_in(file: str) -> Secret:
    """The token that a file holds, alone.

    Raises:
        InvalidValue: there is no such file, or it holds none.
    """
    try:
        with Path(file).open("rb") as stream:
            raw = stream.read(_TOKEN_FILE_BYTES_MAX)
        text = raw.decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        # Not chained: that error may quote the file.
        raise InvalidValue("token file", file, "no token can be read from it") from None
    if not text:
        raise InvalidValue("token file", file, "it is empty")
    return Secret(text)
