"""One attempt at an HTTP request, and what is known of it when it fails.

Invariant: `Unreached` means that the server has seen nothing of the request; whatever else breaks
an attempt is `Lost`, which says nothing. The token is in the request's header and nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    SSLError,
)

from allotment.client.http_request import HttpRequest
from allotment.client.server import Server
from allotment.errors import InvalidValue, Misconfigured
from allotment.model.secret import Secret
from allotment.model.version import VERSION

CONNECT_SECONDS: Final = 5.0
_CONNECTIONS: Final = 16
"""How many are kept open; more threads open more, which are closed after use."""
_ANSWER_BYTES_MAX: Final = 256 << 20
_TEXT_MAX: Final = 8192


class HttpAnswer(NamedTuple):
    """What came back."""

    status: int
    kind: str
    retry_after_seconds: float
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300


class Unreached(Exception):
    """The server was not reached: the request was surely not carried out."""


class Lost(Exception):
    """The request may have been carried out, and no answer came."""


class Transport:
    """The connections to one server, kept open between requests; thread-safe."""

    def __init__(self, server: Server, token: Secret, ca_file: str | None) -> None:
        self.server = server
        self._token = checked_token(token)
        self._pool = _pool(server, ca_file)

    def send(self, request: HttpRequest, seconds: float) -> HttpAnswer:
        """Send a request and read its answer; a redirect is an answer.

        Raises:
            Unreached, Lost: see there.
            Misconfigured: the server is not who its name says.
        """
        headers = {
            **request.headers,
            "Authorization": f"Bearer {self._token.reveal()}",
            "Accept": "application/json, application/problem+json",
            "User-Agent": f"allotment/{VERSION}",
        }
        try:
            response = self._pool.urlopen(
                request.method,
                self.server.path + request.target,
                body=request.body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds),
            )
            with response:
                body = response.read(_ANSWER_BYTES_MAX + 1)
        except HTTPError as error:
            raise self._understood(error) from error
        except OSError as error:
            raise Lost(f"the connection to {self.server.url} broke") from error
        if not _is_whole(response.headers, body):
            raise Lost(f"the answer of {self.server.url} was cut off")
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        wait = response.headers.get("Retry-After", "").strip()
        seconds_told = float(wait) if wait.isdecimal() and len(wait) < 9 else 0.0
        return HttpAnswer(response.status, kind, seconds_told, body)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _understood(self, error: HTTPError) -> Exception:
        """What an error of the library says of the request."""
        where = self.server.url
        match error:
            case NameResolutionError():
                return Misconfigured(f"no address is known of {where}", phase="connect")
            case ClosedPoolError():
                return Misconfigured(f"the desk of {where} is closed", phase="connect")
            case ConnectTimeoutError():  # NewConnectionError is one of them
                return Unreached(f"{where} cannot be reached")
            case SSLError() if _is_untrusted(error):
                return Misconfigured(f"the certificate of {where} is not trusted", phase="connect")
            case SSLError():
                return Lost(f"TLS with {where} broke")
            case _:
                return Lost(f"the connection to {where} was lost before the answer came")


def _is_whole(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer is there to its end, which it must name.

    The library takes an end of the connection for the end of headers and bodies alike.
    """
    if len(body) > _ANSWER_BYTES_MAX:
        return False
    length = headers.get("Content-Length")
    if length is None:
        return headers.get("Transfer-Encoding", "").lower() == "chunked"
    return length == str(len(body))


def _is_untrusted(error: BaseException) -> bool:
    """Whether the handshake failed on the server's certificate: nothing was sent after it."""
    parts: list[Any] = [*error.args, error.__cause__, error.__context__]  # Any: of any type
    return any(isinstance(part, ssl.SSLCertVerificationError) for part in parts)


def checked_token(token: Secret) -> Secret:
    """The token, if a header can carry it.

    Raises:
        InvalidValue: without showing it.
    """
    text = token.reveal()
    if not text or len(text) > _TEXT_MAX or not text.isascii() or not text.isprintable():
        raise InvalidValue("token", token, "it is empty, too long, or no visible ASCII text")
    if " " in text:
        raise InvalidValue("token", token, "there is a blank in it")
    return token


def _pool(server: Server, ca_file: str | None) -> HTTPConnectionPool:
    if server.is_plain:
        return HTTPConnectionPool(server.host, server.port, maxsize=_CONNECTIONS)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one of them
        raise InvalidValue("ca_file", ca_file, "no certificates can be read from it") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return HTTPSConnectionPool(server.host, server.port, maxsize=_CONNECTIONS, ssl_context=context)
