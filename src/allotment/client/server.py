"""Where a server is, and how it is talked to.

Invariant: a token goes over TLS, or to this very machine, unless somebody says otherwise; no URL
holds a secret.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from allotment.errors import InvalidValue
from allotment.model.loopback import is_loopback

_FORM = "write https://host or https://host:port"


class Server(NamedTuple):
    """The parts of a server's URL; `path` is what comes before `/v1`, with no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_plain(self) -> bool:
        """Whether everybody on the way can read along."""
        return self.scheme == "http"

    @property
    def url(self) -> str:
        """The URL in its one form."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 80 if self.is_plain else 443
        return f"{self.scheme}://{host}{'' if self.port == usual else f':{self.port}'}{self.path}"


def parse_server(url: str, *, allow_plain_http: bool = False) -> Server:
    """The server at a URL.

    Raises:
        InvalidValue: it is no URL of a server, or plain HTTP would leave this machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidValue("server", _masked(url), _FORM) from error
    if not _is_address(parts, url):
        raise InvalidValue("server", _masked(url), _FORM)
    assert parts.hostname is not None, "an address has a host"
    default = 80 if parts.scheme == "http" else 443
    server = Server(parts.scheme, parts.hostname, port or default, parts.path.rstrip("/"))
    if server.is_plain and not allow_plain_http and not is_loopback(server.host):
        rule = "plain HTTP shows the token to everybody on the way; write https://"
        raise InvalidValue("server", server.url, rule)
    return server


def _is_address(parts: SplitResult, url: str) -> bool:
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii():
        return False
    return url.isprintable() and " " not in url and not set("@?#\\") & set(url)


def _masked(url: str) -> str:
    """The URL without what may be a password before its host, or a token behind it."""
    scheme, found, rest = url.partition("://")
    shown = f"{scheme}://{rest.rpartition('@')[2]}" if found else url.rpartition("@")[2]
    return shown.partition("?")[0].partition("#")[0]
