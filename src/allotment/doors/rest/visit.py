"""One HTTP request, as far as its first line and headers tell.

Invariant: a header that is given twice is never guessed at; addresses from headers are believed
of trusted proxies only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

from allotment.doors.rest.faults import HeadersTooLarge
from allotment.errors import AllotmentError, InvalidValue, Unauthenticated
from allotment.model.address import Address, parse_address
from allotment.model.prefix import Prefix

HEADER_BYTES_MAX: Final = 16 << 10
HEADERS_MAX: Final = 100
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9._~+/=-]{1,8192})")
_MAPPED: Final = "::ffff:"


class Visit:
    """What is asked, by whom as they say, and from where."""

    __slots__ = ("headers", "method", "path", "query", "request_id", "scope", "source", "tripped")

    def __init__(self, scope: Mapping[str, Any], trusted: tuple[Prefix, ...]) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: dict[str, list[str]] = {}
        self.tripped: AllotmentError | None = None
        size = len(self.path) + len(self.query)
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            self.headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        if size > HEADER_BYTES_MAX or len(scope["headers"]) > HEADERS_MAX:
            self.tripped = HeadersTooLarge(HEADER_BYTES_MAX)
        self.request_id = self._own_id()
        self.source = self._source(trusted)

    def header(self, name: str) -> str | None:
        """The value of a header that may be given once.

        Raises:
            InvalidValue: it is given more often.
        """
        found = self.headers.get(name)
        if found is None:
            return None
        if len(found) > 1:
            error = InvalidValue(name, f"{len(found)} times", "give this header once")
            error.facts["header"] = name
            raise error
        return found[0]

    @property
    def bearer(self) -> str:
        """The token that was presented.

        Raises:
            Unauthenticated: none was, or what was is no bearer token.
        """
        found = self.headers.get("authorization", [])
        if not found:
            raise Unauthenticated("no token was presented")
        match = _BEARER.fullmatch(found[0]) if len(found) == 1 else None
        if match is None:
            raise Unauthenticated("the Authorization header is not 'Bearer' and one token")
        return match[1]

    @property
    def accepts_events(self) -> bool:
        """Whether a stream of events is asked for instead of a page."""
        return "text/event-stream" in ",".join(self.headers.get("accept", ()))

    @property
    def is_over(self) -> bool:
        """Whether the connection is gone, or the server is about to stop."""
        return bool(self.scope.get("state", {}).get("over"))

    def _own_id(self) -> str:
        found = self.headers.get("x-request-id", [])
        if len(found) == 1 and _REQUEST_ID.fullmatch(found[0]):
            return found[0]
        return str(uuid4())

    def _source(self, trusted: tuple[Prefix, ...]) -> Address | None:
        client = self.scope.get("client")
        source = _address(client[0]) if client else None
        if not trusted or source is None or not _is_within(source, trusted):
            return source
        forwarded = ",".join(self.headers.get("x-forwarded-for", ())).split(",")
        for text in reversed(forwarded):
            before = _address(text.strip())
            if before is None:
                break
            source = before
            if not _is_within(source, trusted):
                break
        return source


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """The address of a peer; on a socket of both families IPv4 looks like IPv6."""
    text = text.partition("%")[0]
    if text.startswith(_MAPPED) and "." in text:
        text = text.removeprefix(_MAPPED)
    try:
        return parse_address(text)
    except InvalidValue:
        return None


def _is_within(address: Address, prefixes: tuple[Prefix, ...]) -> bool:
    return any(address in prefix for prefix in prefixes)
