"""OIDC bearer tokens: good ones name their user, forged ones are refused, whatever was forged."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from allotment.doors.rest.issuer_fetch import IssuerKeys
from allotment.doors.rest.key_cache import KeyCache
from allotment.doors.rest.oidc import OidcDoorkeeper, OidcSettings
from allotment.doors.rest.refusal import Refusal
from allotment.errors import Unauthenticated
from allotment.model.access import Actor, ActorKind
from allotment.model.address import Address
from oidc_forgeries import FORGED, STRANGER
from oidc_issuer import AUDIENCE, NOW, Issuer, new_key, sign

SOURCE = Address("192.0.2.7")
ALGORITHMS = ("RS256", "ES256", "EdDSA")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def doorkeeper(issuer: Issuer, **settings: Any) -> OidcDoorkeeper:
    chosen = OidcSettings(
        **{"issuer": issuer.url, "audience": AUDIENCE, "algorithms": ALGORITHMS, **settings}
    )
    keys = KeyCache(IssuerKeys(chosen.issuer), lambda: 0.0)
    return OidcDoorkeeper(chosen, keys, lambda: float(NOW))


@pytest.fixture(scope="module")
def door(issuer: Issuer) -> OidcDoorkeeper:
    return doorkeeper(issuer)


def refusal(door: OidcDoorkeeper, token: str) -> Refusal:
    """Why a token is refused; nothing of it is repeated anywhere."""
    with pytest.raises(Unauthenticated) as caught:
        door.authenticate(token, SOURCE)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.facts)
    for part in token.split("."):
        assert len(part) < 12 or part not in shown
    return Refusal(str(caught.value.facts["reason"]))


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1"])
def test_a_good_token_names_its_user_and_groups(
    issuer: Issuer, door: OidcDoorkeeper, kid: str
) -> None:
    assert door.authenticate(issuer.token(kid), SOURCE) == Actor(
        name=f"user:{issuer.url}#ada",
        kind=ActorKind.USER,
        groups=("group:netops", "group:lab"),
        source="192.0.2.7",
    )


ACCEPTED: dict[str, dict[str, Any]] = {
    "audience among others": {"aud": ["other", AUDIENCE]},
    "no groups": {"groups": ...},
    "empty groups": {"groups": []},
    "not before now": {"nbf": NOW},
    "a clock 30 s ahead of ours": {"iat": NOW + 30, "nbf": NOW + 30},
    "expired within the leeway": {"exp": NOW - 29},
    "times with fractions": {"iat": NOW - 10.5, "exp": NOW + 0.5},
    "typ JWT": {"header": {"typ": "JWT"}},
    "typ in full": {"header": {"typ": "application/AT+JWT"}},
    "no typ": {"header": {"typ": ...}},
    "a thumbprint in the header": {"header": {"x5t": "abc", "x5t#S256": "abc"}},
    "unknown claims": {"roles": {"a": [1]}, "nonce": "n"},
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_issuers_differ_in_is_accepted(
    issuer: Issuer, door: OidcDoorkeeper, case: str
) -> None:
    token = issuer.token(**ACCEPTED[case])
    assert door.authenticate(token, None).name == f"user:{issuer.url}#ada"


CLAIMS: dict[str, tuple[Refusal, dict[str, Any]]] = {
    "another issuer": (Refusal.ISSUER, {"iss": "https://evil.example"}),
    "the issuer with a slash": (Refusal.ISSUER, {"iss": "http://127.0.0.1/"}),
    "no issuer": (Refusal.CLAIMS, {"iss": ...}),
    "two issuers": (Refusal.CLAIMS, {"iss": ["http://127.0.0.1"]}),
    "another audience": (Refusal.AUDIENCE, {"aud": "billing"}),
    "an audience that contains ours": (Refusal.AUDIENCE, {"aud": AUDIENCE + "-test"}),
    "our audience in capitals": (Refusal.AUDIENCE, {"aud": AUDIENCE.upper()}),
    "no audience": (Refusal.CLAIMS, {"aud": ...}),
    "an empty list of audiences": (Refusal.AUDIENCE, {"aud": []}),
    "an audience of the wrong type": (Refusal.CLAIMS, {"aud": {AUDIENCE: True}}),
    "endless audiences": (Refusal.AUDIENCE, {"aud": [AUDIENCE] * 33}),
    "expired": (Refusal.EXPIRED, {"exp": NOW - 30}),
    "no expiry": (Refusal.CLAIMS, {"exp": ...}),
    "expiry null": (Refusal.CLAIMS, {"exp": None}),
    "expiry as text": (Refusal.CLAIMS, {"exp": str(NOW + 300)}),
    "expiry true": (Refusal.CLAIMS, {"exp": True}),
    "expiry infinite": (Refusal.CLAIMS, {"exp": float("inf")}),
    "expiry beyond all bounds": (Refusal.CLAIMS, {"exp": 10**400}),
    "expiry negative": (Refusal.CLAIMS, {"exp": -1}),
    "valid for a year": (Refusal.LIFETIME, {"exp": NOW + 366 * 86400}),
    "not valid yet": (Refusal.NOT_YET, {"nbf": NOW + 31}),
    "not before null": (Refusal.CLAIMS, {"nbf": None}),
    "issued in the future": (Refusal.NOT_YET, {"iat": NOW + 31, "exp": NOW + 60}),
    "no time of issue": (Refusal.CLAIMS, {"iat": ...}),
    "no subject": (Refusal.CLAIMS, {"sub": ...}),
    "an empty subject": (Refusal.SUBJECT, {"sub": ""}),
    "a blank subject": (Refusal.SUBJECT, {"sub": " "}),
    "a subject with a line break": (Refusal.SUBJECT, {"sub": "ada\nroot"}),
    "a subject of half a character": (Refusal.SUBJECT, {"sub": "\ud800"}),
    "an endless subject": (Refusal.SUBJECT, {"sub": "a" * 300}),
    "a subject that is a number": (Refusal.CLAIMS, {"sub": 1}),
    "groups as text": (Refusal.GROUPS, {"groups": "netops"}),
    "groups null": (Refusal.GROUPS, {"groups": None}),
    "a group that is no text": (Refusal.GROUPS, {"groups": ["netops", 7]}),
    "a group with a line break": (Refusal.GROUPS, {"groups": ["net\nops"]}),
    "an empty group": (Refusal.GROUPS, {"groups": [""]}),
    "endless groups": (Refusal.GROUPS, {"groups": [f"g{i}" for i in range(201)]}),
    "groups kept elsewhere": (Refusal.GROUPS, {"_claim_names": {"groups": "src1"}}),
    "an ID token": (Refusal.TYPE, {"at_hash": "abc"}),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_well_signed_claims_that_are_wrong_are_refused(
    issuer: Issuer, door: OidcDoorkeeper, case: str
) -> None:
    reason, changes = CLAIMS[case]
    assert refusal(door, issuer.token(**changes)) is reason


HEADERS: dict[str, tuple[Refusal, dict[str, Any]]] = {
    "none": (Refusal.ALGORITHM, {"alg": "none"}),
    "None": (Refusal.ALGORITHM, {"alg": "None"}),
    "NONE": (Refusal.ALGORITHM, {"alg": "NONE"}),
    "nOnE": (Refusal.ALGORITHM, {"alg": "nOnE"}),
    "an empty algorithm": (Refusal.ALGORITHM, {"alg": ""}),
    "no algorithm": (Refusal.MALFORMED, {"alg": ...}),
    "algorithm null": (Refusal.MALFORMED, {"alg": None}),
    "a list of algorithms": (Refusal.MALFORMED, {"alg": ["RS256"]}),
    "an algorithm in small letters": (Refusal.ALGORITHM, {"alg": "rs256"}),
    "an algorithm with a blank": (Refusal.ALGORITHM, {"alg": "RS256 "}),
    "an algorithm that is not allowed": (Refusal.ALGORITHM, {"alg": "RS512"}),
    "an algorithm of another kind of key": (Refusal.KEY_UNFIT, {"alg": "ES256"}),
    "another key's name": (Refusal.KEY_UNFIT, {"kid": "ec-1"}),
    "an unknown key": (Refusal.KEY_UNKNOWN, {"kid": "rsa-9"}),
    "a path for a key": (Refusal.KEY_UNKNOWN, {"kid": "../../../../dev/null"}),
    "SQL for a key": (Refusal.KEY_UNKNOWN, {"kid": "x' UNION SELECT 'secret'--"}),
    "a URL for a key": (Refusal.KEY_UNKNOWN, {"kid": "http://127.0.0.1:1/key"}),
    "an empty key name": (Refusal.KEY_UNKNOWN, {"kid": ""}),
    "an endless key name": (Refusal.KEY_UNKNOWN, {"kid": "k" * 257}),
    "a key name that is a number": (Refusal.MALFORMED, {"kid": 1}),
    "no key name where there are several": (Refusal.KEY_NOT_NAMED, {"kid": ...}),
    "a URL of keys": (Refusal.HEADER, {"jku": "https://evil.example/keys"}),
    "a key of its own": (Refusal.HEADER, {"jwk": STRANGER.as_dict(private=False)}),
    "a URL of certificates": (Refusal.HEADER, {"x5u": "https://evil.example/cert"}),
    "certificates of its own": (Refusal.HEADER, {"x5c": ["MIIB"]}),
    "critical parameters": (Refusal.HEADER, {"crit": ["exp"], "exp": NOW + 300}),
    "no critical parameters": (Refusal.HEADER, {"crit": []}),
    "a payload that is not base64": (Refusal.HEADER, {"b64": False, "crit": ["b64"]}),
    "encryption": (Refusal.HEADER, {"enc": "A256GCM"}),
    "compression": (Refusal.HEADER, {"zip": "DEF"}),
    "a JWT within": (Refusal.HEADER, {"cty": "JWT"}),
    "an ID token's type": (Refusal.TYPE, {"typ": "id_token"}),
    "a logout token": (Refusal.TYPE, {"typ": "logout+jwt"}),
    "a proof": (Refusal.TYPE, {"typ": "dpop+jwt"}),
    "an empty type": (Refusal.TYPE, {"typ": ""}),
    "an endless header": (Refusal.MALFORMED, {"x": "x" * 2_048}),
}


@pytest.mark.parametrize("signer", ["the issuer", "a stranger"])
@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_ask_for_more_are_refused_whoever_signed(
    issuer: Issuer, door: OidcDoorkeeper, case: str, signer: str
) -> None:
    reason, changes = HEADERS[case]
    said = {"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt", **changes}
    said = {name: value for name, value in said.items() if value is not ...}
    key = STRANGER if signer == "a stranger" else new_key("RS256")
    assert refusal(door, sign(said, issuer.claims(), "RS256", key)) is reason


@pytest.mark.parametrize("case", FORGED)
def test_forged_tokens_are_refused(issuer: Issuer, door: OidcDoorkeeper, case: str) -> None:
    reason, forge = FORGED[case]
    assert refusal(door, forge(issuer)) is reason


def test_no_forged_token_made_the_issuer_be_asked_anything_else(
    issuer: Issuer, door: OidcDoorkeeper
) -> None:
    for _, changes in HEADERS.values():
        said = {"alg": "RS256", **changes}
        said = {name: value for name, value in said.items() if value is not ...}
        refusal(door, sign(said, issuer.claims(), "RS256", STRANGER))
    assert set(issuer.asked) <= {"/.well-known/openid-configuration", "/keys"}


def test_algorithms_are_allowed_one_by_one(issuer: Issuer) -> None:
    door = doorkeeper(issuer, algorithms=("ES256",))
    assert door.authenticate(issuer.token("ec-1"), None)
    assert refusal(door, issuer.token("rsa-1")) is Refusal.ALGORITHM
    assert refusal(door, issuer.token("ed-1")) is Refusal.ALGORITHM


def test_groups_come_from_the_claim_that_was_named(issuer: Issuer) -> None:
    door = doorkeeper(issuer, groups_claim="https://example.com/teams")
    token = issuer.token(**{"https://example.com/teams": ["lab", "lab", "core"]})
    assert door.authenticate(token, None).groups == ("group:lab", "group:core")


CLIENTS: dict[str, tuple[bool, dict[str, Any]]] = {
    "azp": (True, {"azp": "cli"}),
    "client_id": (True, {"client_id": "cli"}),
    "both": (True, {"azp": "cli", "client_id": "web"}),
    "another azp": (False, {"azp": "games"}),
    "another client_id behind a good azp": (False, {"azp": "cli", "client_id": "games"}),
    "none": (False, {}),
}


@pytest.mark.parametrize("case", CLIENTS)
def test_where_clients_are_named_tokens_of_others_are_refused(issuer: Issuer, case: str) -> None:
    door = doorkeeper(issuer, clients=frozenset({"cli", "web"}))
    allowed, changes = CLIENTS[case]
    if allowed:
        assert door.authenticate(issuer.token(**changes), None)
    else:
        assert refusal(door, issuer.token(**changes)) is Refusal.CLIENT
