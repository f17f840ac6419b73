"""The text of a JWT taken apart, before anything in it is believed.

Invariant: one text has one reading, and one JWT has one text: blanks, padding and stray bits are
refused; nothing in a header makes us fetch, decrypt or trust anything.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

import msgspec

from allotment.doors.rest.refusal import Refusal
from allotment.doors.rest.strict_json import read_object
from allotment.errors import Unauthenticated

LENGTH_MAX: Final = 16_384
HEADER_LENGTH_MAX: Final = 2_048
KID_LENGTH_MAX: Final = 256

_COMPACT: Final = re.compile(r"\A([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]+)\.([0-9A-Za-z_-]+)\Z", re.ASCII)
# Keys by the sender's choice (jku, jwk, x5u, x5c), other rules of signing (crit, b64), encryption
# (enc, zip), a JWT within (cty). Parameters that are unknown are ignored, as RFC 7515 wants it.
_NOT_OFFERED: Final = frozenset({"b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a JOSE header; `alg` and `kid` are the sender's word, to be checked."""

    alg: str
    kid: str | None = None
    typ: str = "JWT"


class Jwt(NamedTuple):
    """A JWT in parts; `payload` is to be read once `signature` is found to be of `signed`."""

    header: Header
    payload: bytes
    signed: bytes
    signature: bytes


def read(text: str) -> Jwt:
    """The parts of a signed JWT in compact form.

    Raises:
        Unauthenticated: it is none, or its header asks for what is not offered.
    """
    if len(text) > LENGTH_MAX:
        raise Unauthenticated(Refusal.TOO_LONG)
    parts = _COMPACT.match(text)
    if parts is None or len(parts[1]) > HEADER_LENGTH_MAX:
        raise Unauthenticated(Refusal.MALFORMED)
    header, payload, signature = (_bytes(part) for part in parts.groups())
    signed = text.rpartition(".")[0].encode("ascii")
    return Jwt(_header(header), payload, signed, signature)


def _bytes(part: str) -> bytes:
    """What base64url text stands for: without padding, and with the unused bits at zero."""
    try:
        found = b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise Unauthenticated(Refusal.MALFORMED) from error
    if urlsafe_b64encode(found).rstrip(b"=") != part.encode("ascii"):
        raise Unauthenticated(Refusal.MALFORMED)
    return found


def _header(raw: bytes) -> Header:
    try:
        found = read_object(raw)
        header = msgspec.convert(found, Header)
    except ValueError as error:
        raise Unauthenticated(Refusal.MALFORMED) from error
    if not _NOT_OFFERED.isdisjoint(found):
        raise Unauthenticated(Refusal.HEADER)
    if header.typ.lower() not in _TYPES:
        raise Unauthenticated(Refusal.TYPE)
    if header.kid is not None and not 0 < len(header.kid) <= KID_LENGTH_MAX:
        raise Unauthenticated(Refusal.KEY_UNKNOWN)
    return header
