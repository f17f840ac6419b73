"""Cursors that nobody can make up: the desk's own, signed.

Invariant: a cursor is good for the listing, the filters and the actor it was given to, and for
nothing else; of another one nothing reaches the desk.
"""

from __future__ import annotations

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from msgspec.structs import replace

from allotment.errors import InvalidValue
from allotment.model import wire
from allotment.model.queries import Query

_MARK_BYTES: Final = 16
_LENGTH_MAX: Final = 4096


class Cursors:
    """Signs the cursors of pages, and reads them back."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key or secrets.token_bytes(32)

    def seal(self, cursor: str, place: str, query: Query[Any], actor: str) -> str:  # Any: a page's
        """The cursor as the caller gets it."""
        raw = cursor.encode()
        mark = self._mark(raw, place, query, actor)
        return urlsafe_b64encode(mark + raw).rstrip(b"=").decode()

    def open(self, sealed: str, place: str, query: Query[Any], actor: str) -> str:
        """The desk's cursor.

        Raises:
            InvalidValue: it was not given to this actor for this listing.
        """
        raw = _decoded(sealed)
        if raw is not None:
            mark, cursor = raw[:_MARK_BYTES], raw[_MARK_BYTES:]
            if hmac.compare_digest(mark, self._mark(cursor, place, query, actor)):
                return cursor.decode()
        rule = "take it from `next` of the page before, with the same filters and token"
        raise InvalidValue("cursor", sealed[:60], rule)

    def _mark(self, cursor: bytes, place: str, query: Query[Any], actor: str) -> bytes:
        asked = wire.encode(replace(query, cursor=None, limit=1))
        parts = (place.encode(), actor.encode(), asked, cursor)
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, text, "sha256")[:_MARK_BYTES]


def _decoded(sealed: str) -> bytes | None:
    if len(sealed) > _LENGTH_MAX:
        return None
    try:
        raw = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
    except (binascii.Error, UnicodeEncodeError):
        return None
    # Base64 has several spellings of one value; only ours is taken.
    return raw if urlsafe_b64encode(raw).rstrip(b"=").decode() == sealed else None
