"""Who a bearer token stands for, whichever kind of token it is.

Invariant: the form of a token says who judges it; what one judge refuses, no other is asked about.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from allotment.doors.rest.refusal import Refusal
from allotment.errors import Unauthenticated
from allotment.model.access import Actor
from allotment.model.address import Address

# How API tokens begin. No JWT does: the `{` of its header makes it begin with an `e`.
_BEGIN_OF_API_TOKENS: Final = "allot_"
_JWT: Final = re.compile(r"\A[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\Z", re.ASCII)


class Doorkeeper(Protocol):
    """Knows actors by their bearer tokens; a desk is one, for API tokens."""

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        """The actor whose token this is.

        Raises:
            Unauthenticated: nobody's, or not any more, or not from there.
        """
        ...

    def recognise(self, bearer: str, source: Address | None) -> Actor | None:
        """The same at once, without waiting for anything; None: `authenticate` has to find out."""
        ...


class ChainedDoorkeeper:
    """Sends API tokens to the desk, and JWTs to the identity provider's doorkeeper if there is one.

    A refused token is never shown to the other.
    """

    def __init__(self, tokens: Doorkeeper, jwts: Doorkeeper | None = None) -> None:
        self._tokens = tokens
        self._jwts = jwts

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        """The actor whose token this is.

        Raises:
            Unauthenticated: nobody's, or of no known form.
        """
        if bearer.startswith(_BEGIN_OF_API_TOKENS):
            return self._tokens.authenticate(bearer, source)
        if self._jwts is not None and _JWT.match(bearer):
            return self._jwts.authenticate(bearer, source)
        raise Unauthenticated(Refusal.UNKNOWN_FORM)

    def recognise(self, bearer: str, source: Address | None) -> Actor | None:
        """As the judge of that kind of token."""
        if bearer.startswith(_BEGIN_OF_API_TOKENS):
            return self._tokens.recognise(bearer, source)
        if self._jwts is not None and _JWT.match(bearer):
            return self._jwts.recognise(bearer, source)
        return None
