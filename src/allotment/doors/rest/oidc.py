"""Users of an identity provider (OpenID Connect), known by the access tokens it signs.

Invariant: nobody is anybody but by a signature of the pinned issuer, made with a key it publishes
for an allowed algorithm, over claims that are for us and for now.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from allotment.doors.rest import jwt_text, oidc_claims
from allotment.doors.rest.issuer_fetch import IssuerKeys
from allotment.doors.rest.key_cache import KeyCache
from allotment.doors.rest.oidc_claims import OidcSettings
from allotment.doors.rest.refusal import Refusal
from allotment.errors import Unauthenticated
from allotment.model.access import Actor, ActorKind
from allotment.model.address import Address


class OidcDoorkeeper:
    """Knows users by their JWT access tokens; `clock` is of UTC, in seconds."""

    def __init__(
        self, settings: OidcSettings, keys: KeyCache, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        """The user whose access token this is.

        Raises:
            Unauthenticated: nobody's; the reason is one of `Refusal`.
        """
        jwt = jwt_text.read(bearer)
        alg = jwt.header.alg
        if alg not in self._settings.algorithms:
            raise Unauthenticated(Refusal.ALGORITHM)
        key = self._keys.find(jwt.header.kid, alg)
        if not key.verifies(alg, jwt.signed, jwt.signature):
            raise Unauthenticated(Refusal.SIGNATURE)
        holder = oidc_claims.judge(jwt.payload, self._settings, self._clock())
        return Actor(
            name=holder.name,
            kind=ActorKind.USER,
            groups=holder.groups,
            source=None if source is None else str(source),
        )

    def recognise(self, bearer: str, source: Address | None) -> None:
        """Nobody at once: the issuer may have to be asked for its keys."""


def from_settings(settings: OidcSettings) -> OidcDoorkeeper:
    """The doorkeeper that settings describe; the issuer is first asked when a token arrives."""
    keys = KeyCache(IssuerKeys(settings.issuer, settings.ca_file), time.monotonic)
    return OidcDoorkeeper(settings, keys)
