"""The text of an API token: `allot_<key id>_<secret>_<check>`, and the digest that is stored of it.

Invariant: a text with one wrong character is refused without asking the database; no error, repr or
digest shows a secret.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from allotment.errors import Unauthenticated

KEY_ID_LENGTH: Final = 12
# 62 ** 32 > 2 ** 190: nobody guesses it, so a fast hash of it is enough.
SECRET_LENGTH: Final = 32
CHECK_LENGTH: Final = 6
TEXT_LENGTH: Final = len("allot") + KEY_ID_LENGTH + SECRET_LENGTH + CHECK_LENGTH + 3

LEAK_PATTERN: Final = (
    rf"allot_[0-9A-Za-z]{{{KEY_ID_LENGTH}}}_[0-9A-Za-z]{{{SECRET_LENGTH}}}"
    rf"_[0-9A-Za-z]{{{CHECK_LENGTH}}}"
)
"""For scanners of repositories and logs: finds every token, whatever stands around it.

It begins and ends nowhere in particular, since leaks are glued to quotes, escapes and other text.
"""

# Key id and secret take 262 bits; the rest makes the first and the last text equally likely, but
# for one part in 2 ** 122.
ENTROPY_BYTES_MIN: Final = 48
PEPPER_BYTES_MIN: Final = 16

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(rf"\A{LEAK_PATTERN}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token taken apart; `key_id` may be shown in logs, nothing else may."""

    key_id: str
    secret: str = field(repr=False)
    text: str = field(repr=False)


def make(entropy: bytes) -> TokenText:
    """The token that random bytes make: at least 48 of them, and the same for the same bytes."""
    assert len(entropy) >= ENTROPY_BYTES_MIN, "a token takes 48 random bytes or more"
    number = int.from_bytes(entropy, "big")
    number, secret = _base62(number, SECRET_LENGTH)
    _, key_id = _base62(number, KEY_ID_LENGTH)
    body = f"allot_{key_id}_{secret}"
    return TokenText(key_id, secret, f"{body}_{_check(body)}")


def parse(text: str) -> TokenText:
    """The parts of a token.

    Raises:
        Unauthenticated: it is no token, or was mistyped; the text is not repeated.
    """
    if len(text) != TEXT_LENGTH or not _TOKEN.match(text):
        raise Unauthenticated("the token does not have the form of an API token")
    body, _, check = text.rpartition("_")
    if not hmac.compare_digest(check, _check(body)):
        raise Unauthenticated("the API token is mistyped: its check does not fit")
    _, key_id, secret = body.split("_")
    return TokenText(key_id, secret, text)


def digest(pepper: bytes, secret: str) -> bytes:
    """What is stored of a secret: its HMAC-SHA-256 under the installation's pepper."""
    assert len(pepper) >= PEPPER_BYTES_MIN, "a pepper has 16 bytes or more"
    return hmac.digest(pepper, secret.encode("ascii"), "sha256")


def same(one: bytes, other: bytes) -> bool:
    """Whether two digests are equal, in a time that does not say where they differ."""
    return hmac.compare_digest(one, other)


def _check(body: str) -> str:
    """The CRC-32 of all before the last underscore: finds each change of up to 32 bits in a row."""
    return _base62(crc32(body.encode("ascii")), CHECK_LENGTH)[1]


def _base62(number: int, width: int) -> tuple[int, str]:
    """The lowest `width` digits of a number, and what is left of it."""
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return number, "".join(reversed(digits))
