"""What the claims of a JWT say about who holds it, once its signature was found right.

Invariant: a user is known by issuer and subject, never by a name or address that can be given to
somebody else; groups are taken whole or not at all, since a denial may hang on any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from allotment.doors.rest.issuer_fetch import issuer_valid
from allotment.doors.rest.jwk import algorithm_known
from allotment.doors.rest.refusal import Refusal
from allotment.doors.rest.strict_json import read_object
from allotment.errors import InvalidValue, Unauthenticated
from allotment.model.access import PREFIX, ActorKind
from allotment.model.names import ACTOR

GROUPS_MAX: Final = 200
LEEWAY_SECONDS_MAX: Final = 300
AUDIENCES_MAX: Final = 32

_Seconds = Annotated[int, Meta(ge=0, le=1 << 53)] | Annotated[float, Meta(ge=0, le=1 << 53)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """Which tokens of which issuer are taken, and how.

    `clients` are those that tokens may have been issued to (`azp`, `client_id`); none: any client
    that the issuer gives our audience. `ca_file` holds certificates to trust instead of the
    system's.

    Raises:
        InvalidValue: nobody could get in, or too many.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256",)
    groups_claim: str = "groups"
    clients: frozenset[str] = frozenset()
    ca_file: Path | None = None
    leeway_seconds: int = 30
    lifetime_seconds_max: int = 24 * 3600

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        issuer_valid(self.issuer)
        if not self.audience.strip():
            raise InvalidValue("audience", self.audience, "say which audience tokens must be for")
        if not self.algorithms:
            raise InvalidValue("algorithm", "", "allow one at least")
        for name in self.algorithms:
            algorithm_known(name)
        if not self.groups_claim.strip():
            raise InvalidValue("groups claim", self.groups_claim, "it must not be empty")
        if not 0 <= self.leeway_seconds <= LEEWAY_SECONDS_MAX:
            rule = f"must be from 0 to {LEEWAY_SECONDS_MAX}"
            raise InvalidValue("leeway", self.leeway_seconds, rule)


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims we read by name; a claim of null is malformed, not absent."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: _Seconds
    iat: _Seconds
    nbf: _Seconds | UnsetType = UNSET
    azp: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a token: the name of the actor, and its groups."""

    name: str
    groups: tuple[str, ...]


def judge(payload: bytes, settings: OidcSettings, now: float) -> Holder:
    """Who holds a token with this payload at a moment (UTC seconds).

    Raises:
        Unauthenticated: it is of another issuer, for others, at another time, or for nobody.
    """
    try:
        found = read_object(payload)
        claims = msgspec.convert(found, Claims)
    except ValueError as error:
        raise Unauthenticated(Refusal.CLAIMS) from error
    if claims.iss != settings.issuer:
        raise Unauthenticated(Refusal.ISSUER)
    audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if len(audiences) > AUDIENCES_MAX or settings.audience not in audiences:
        raise Unauthenticated(Refusal.AUDIENCE)
    if "at_hash" in found or "c_hash" in found:  # an ID token: it speaks to the client, not to us
        raise Unauthenticated(Refusal.TYPE)
    _check_time(claims, settings, now)
    _check_client(claims, settings)
    return Holder(_name(claims), _groups(found, settings.groups_claim))


def _check_time(claims: Claims, settings: OidcSettings, now: float) -> None:
    leeway = settings.leeway_seconds
    if now >= claims.exp + leeway:
        raise Unauthenticated(Refusal.EXPIRED)
    begins = claims.iat if claims.nbf is UNSET else max(claims.iat, claims.nbf)
    if now < begins - leeway:
        raise Unauthenticated(Refusal.NOT_YET)
    if claims.exp - claims.iat > settings.lifetime_seconds_max:
        raise Unauthenticated(Refusal.LIFETIME)


def _check_client(claims: Claims, settings: OidcSettings) -> None:
    """Each client that is named is allowed, and one is named."""
    if not settings.clients:
        return
    named = {one for one in (claims.azp, claims.client_id) if one is not UNSET}
    if not named or not named <= settings.clients:
        raise Unauthenticated(Refusal.CLIENT)


def _name(claims: Claims) -> str:
    """`user:<issuer>#<subject>`: an issuer has no `#`, so that no two users share a name."""
    name = f"{PREFIX[ActorKind.USER]}{claims.iss}#{claims.sub}"
    if not claims.sub or claims.sub != claims.sub.strip() or not _may_be_named(name):
        raise Unauthenticated(Refusal.SUBJECT)
    return name


def _groups(found: dict[str, object], claim: str) -> tuple[str, ...]:
    elsewhere = found.get("_claim_names")  # too many for a token: some issuers say where to ask
    if elsewhere is not None and (not isinstance(elsewhere, dict) or claim in elsewhere):
        raise Unauthenticated(Refusal.GROUPS)
    listed = found.get(claim, [])
    if not isinstance(listed, list) or len(listed) > GROUPS_MAX:
        raise Unauthenticated(Refusal.GROUPS)
    groups = dict.fromkeys(_group(one) for one in listed)
    return tuple(groups)


def _group(one: object) -> str:
    if not isinstance(one, str) or not one or one != one.strip():
        raise Unauthenticated(Refusal.GROUPS)
    if not _may_be_named(f"group:{one}"):
        raise Unauthenticated(Refusal.GROUPS)
    return f"group:{one}"


def _may_be_named(name: str) -> bool:
    try:
        ACTOR.check(name, "actor")
    except InvalidValue:
        return False
    return True
