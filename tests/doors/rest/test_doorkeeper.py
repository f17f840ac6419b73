"""Which judge a token goes to, and which settings are refused."""

from __future__ import annotations

from typing import Any

import pytest

from allotment.doors.rest.doorkeeper import ChainedDoorkeeper
from allotment.doors.rest.oidc import OidcSettings, from_settings
from allotment.doors.rest.refusal import Refusal
from allotment.engine.token_text import make, parse
from allotment.errors import InvalidValue, Unauthenticated
from allotment.model.access import Actor, ActorKind
from allotment.model.address import Address
from oidc_issuer import AUDIENCE, Issuer

TOKEN = make(bytes(range(48))).text


class TokensOfOneDay:
    """Knows API tokens by their form alone."""

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        return Actor(name=f"token:{parse(bearer).key_id}", source=str(source))


def reason(door: ChainedDoorkeeper, bearer: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        door.authenticate(bearer, None)
    return str(caught.value.facts["reason"])


def test_each_token_goes_to_its_own_judge() -> None:
    with Issuer() as issuer:
        settings = OidcSettings(issuer=issuer.url, audience=AUDIENCE)
        door = ChainedDoorkeeper(TokensOfOneDay(), from_settings(settings))
        known = door.authenticate(TOKEN, Address("192.0.2.1"))
        assert (known.kind, known.source) == (ActorKind.TOKEN, "192.0.2.1")
        # The tests' issuer lives in 2027 and from_settings takes the real clock: whatever that
        # says, the claims are judged, which takes a key from the issuer and a right signature.
        judged = {Refusal.EXPIRED, Refusal.NOT_YET}
        assert reason(door, issuer.token()) in judged


def test_without_an_identity_provider_no_jwt_is_taken() -> None:
    assert reason(ChainedDoorkeeper(TokensOfOneDay()), "eyJh.eyJp.c2ln") == Refusal.UNKNOWN_FORM


@pytest.mark.parametrize(
    "bearer",
    [
        "",
        "secret",
        "a.b",
        "a.b.c.d",
        "a..c",
        "a.b.c\n",
        " a.b.c",
        "Allot_x",
        "é.b.c",
        "." * 100_000,
    ],
)
def test_what_is_of_no_known_form_is_shown_to_nobody(bearer: str) -> None:
    settings = OidcSettings(issuer="https://nobody.invalid", audience=AUDIENCE)
    door = ChainedDoorkeeper(TokensOfOneDay(), from_settings(settings))
    assert reason(door, bearer) == Refusal.UNKNOWN_FORM


def test_a_mistyped_api_token_is_not_tried_as_a_jwt() -> None:
    with Issuer() as issuer:
        settings = OidcSettings(issuer=issuer.url, audience=AUDIENCE)
        door = ChainedDoorkeeper(TokensOfOneDay(), from_settings(settings))
        assert "form of an API token" in reason(door, "allot_a.b.c")
        assert not issuer.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://idp.example"},
        {"issuer": "http://192.0.2.1"},
        {"issuer": "https://idp.example?x=1"},
        {"issuer": "https://idp.example#frag"},
        {"issuer": "https://idp.example#"},
        {"issuer": "https://user:pw@idp.example"},
        {"issuer": "https://"},
        {"issuer": "https://idp.example:port"},
        {"issuer": "idp.example"},
        {"issuer": "ftp://idp.example"},
        {"issuer": "https://idp.example/ "},
        {"issuer": "http://localhost.evil.example"},
        {"audience": ""},
        {"audience": " "},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("RS256", "HS256")},
        {"algorithms": ("rs256",)},
        {"groups_claim": ""},
        {"leeway_seconds": 301},
        {"leeway_seconds": -1},
    ],
    ids=str,
)
def test_settings_that_let_nobody_or_anybody_in_are_refused(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"issuer": "https://idp.example/realm", "audience": AUDIENCE}
    assert OidcSettings(**good).algorithms == ("RS256",)
    with pytest.raises(InvalidValue):
        OidcSettings(**{**good, **changes})


@pytest.mark.parametrize(
    "issuer", ["http://localhost:8080/realm", "http://127.0.0.1:1", "http://[::1]:9", "https://idp"]
)
def test_plain_http_is_for_an_issuer_on_loopback(issuer: str) -> None:
    assert OidcSettings(issuer=issuer, audience=AUDIENCE).issuer == issuer
