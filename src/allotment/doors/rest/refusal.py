"""Why a bearer token is refused, in words that can be logged and shown.

Invariant: a reason is one of these constants; no text of a token is ever part of it.
"""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The reasons; the names are for logs and counters, the values for people."""

    UNKNOWN_FORM = "the bearer token is of no known form"
    TOO_LONG = "the JWT is too long"
    MALFORMED = "the JWT is malformed"
    HEADER = "the JWT's header asks for what is not offered"
    TYPE = "the JWT is not an access token"
    ALGORITHM = "the JWT's algorithm is not allowed here"
    KEY_NOT_NAMED = "the JWT does not say which of the issuer's keys signed it"
    KEY_UNKNOWN = "the issuer has no such key"
    KEY_UNFIT = "the named key is not for the JWT's algorithm"
    NO_KEYS = "the issuer's keys could not be fetched"
    SIGNATURE = "the JWT's signature is wrong"
    CLAIMS = "the JWT's claims are missing or malformed"
    ISSUER = "the JWT is from another issuer"
    AUDIENCE = "the JWT is for another audience"
    EXPIRED = "the JWT has expired"
    NOT_YET = "the JWT is not valid yet"
    LIFETIME = "the JWT is valid for longer than is allowed"
    CLIENT = "the JWT was issued to a client that is not allowed"
    SUBJECT = "the JWT's subject cannot be an actor's name"
    GROUPS = "the JWT's groups cannot be taken as they are"
