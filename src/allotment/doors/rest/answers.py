"""What is sent back: a status, headers and a body; and how a desk's answer becomes one.

Invariant: every answer forbids storing and guessing, and only the answer to the maker of a token
shows its secret.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

from allotment.model import wire
from allotment.model.address import Address
from allotment.model.grants import CreateToken
from allotment.model.results import PoolsUpdated
from allotment.model.routes import ROUTES, Route

Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
HTML: Final = b"text/html; charset=utf-8"
LOCKED: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
NOTHING_LOADS: Final[Header] = (
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'",
)


class Answer(NamedTuple):
    """An HTTP answer; `code` is the error's, where it is one. `policy`: its content policy."""

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    code: str | None = None
    policy: Header = NOTHING_LOADS
    stream: AsyncIterator[bytes] | None = None

    def all_headers(self, request_id: str) -> list[Header]:
        """Every header of the answer."""
        found = [
            (b"content-type", self.media_type),
            *LOCKED,
            self.policy,
            (b"x-request-id", request_id.encode("ascii")),
            *self.headers,
        ]
        if self.stream is None:
            found.append((b"content-length", str(len(self.body)).encode()))
        return found


def _address_of(route: Route) -> tuple[str, str] | None:
    """Where what a route makes is found: the path in front of its last segment, and the field."""
    for other in ROUTES:
        if other.method == "GET" and other.path.rpartition("/")[0] == route.path:
            return route.path, other.in_path[-1]
    return None


class Sender:
    """How the answers of one route are sent."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._made_at = _address_of(route) if route.success == 201 else None

    def answer(self, found: object, path: str, more: tuple[Header, ...] = ()) -> Answer:
        """The HTTP answer for a desk's answer; `path` is the request's own."""
        headers = more
        version = _version_of(found)
        if version is not None:
            headers += ((b"etag", f'"{version}"'.encode()),)
        if self._made_at is not None:
            headers += self._location(found, path)
        part = self._route.part
        shown = getattr(found, part) if part is not None else found
        reveals = self._route.request is CreateToken
        body = wire.encode_revealing(shown) if reveals else wire.encode(shown)
        return Answer(self._route.success, body, JSON, headers)

    def _location(self, found: object, path: str) -> tuple[Header, ...]:
        assert self._made_at is not None, "the caller looked"
        name = self._made_at[1]
        key = getattr(found, name, None)
        if isinstance(key, msgspec.Struct):
            key = getattr(key, "id", None)
        elif not isinstance(key, Address):
            key = getattr(found, "id", None)
        if not isinstance(key, Address | UUID):
            return ()
        return ((b"location", f"{path}/{quote(str(key), safe='')}".encode()),)


def _version_of(found: object) -> int | None:
    if isinstance(found, PoolsUpdated):
        found = found.subnet
    version = getattr(found, "version", None)
    return version if isinstance(version, int) else None
