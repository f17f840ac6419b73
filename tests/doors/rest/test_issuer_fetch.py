"""The issuer's documents: fetched from nowhere else, over TLS, within bounds."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, RSAKey

from allotment.doors.rest import issuer_fetch
from allotment.doors.rest.issuer_fetch import IssuerKeys
from certificates import certify
from oidc_issuer import DISCOVERY, JWKS, Answer, Issuer, new_key


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def document(found: object) -> Answer:
    return 200, {}, json.dumps(found).encode()


def refused_document(issuer: Issuer, path: str, answer: Answer) -> str:
    issuer.answers[path] = lambda: answer
    with pytest.raises(ConnectionError) as caught:
        IssuerKeys(issuer.url)()
    return str(caught.value)


@pytest.mark.parametrize("path", [DISCOVERY, JWKS])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((302, {"Location": "/elsewhere"}, b""), "status 302"),
        ((301, {"Location": "http://127.0.0.1:1/"}, b""), "status 301"),
        ((404, {}, b"{}"), "status 404"),
        ((204, {}, b""), "status 204"),
        ((200, {}, b'{"a": "' + b"x" * 256 * 1024 + b'"}'), "longer than 262144 bytes"),
        ((200, {}, b"<html>"), "no such document"),
        ((200, {}, b"[]"), "no such document"),
        ((200, {}, b'{"keys": [], "keys": []}'), "no such document"),
        ((200, {}, b"[" * 100_000), "no such document"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08"), "no such document"),
    ],
)
def test_what_is_no_such_document_is_not_taken(
    issuer: Issuer, path: str, answer: Answer, why: str
) -> None:
    assert why in refused_document(issuer, path, answer)
    assert "/elsewhere" not in issuer.asked


def test_a_document_that_trickles_in_is_given_up(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_fetch, "FETCH_SECONDS", 0.3)
    issuer.pause_seconds = 0.02
    begin = time.monotonic()
    with pytest.raises(ConnectionError, match="took longer than"):
        IssuerKeys(issuer.url)()
    assert time.monotonic() - begin < 3


def test_a_document_that_does_not_come_is_given_up(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_fetch, "FETCH_SECONDS", 0.2)

    def slow() -> Answer:
        time.sleep(0.6)
        return document({"keys": issuer.jwks()})

    issuer.answers[JWKS] = slow
    with pytest.raises(ConnectionError, match="ReadTimeoutError"):
        IssuerKeys(issuer.url)()


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"issuer_slash": True},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "ftp://127.0.0.1/keys"},
        {"jwks_uri": "http://192.0.2.1/keys"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "https://user:secret@idp.example/keys"},
        {"jwks_uri": "https://idp.example:x/keys"},
        {"jwks_uri": "https://"},
        {"jwks_uri": "https://idp.example/\r\nHost: evil"},
        {"jwks_uri": "https://idp.example\\@127.0.0.1/"},
    ],
    ids=str,
)
def test_a_discovery_document_of_another_kind_is_not_followed(
    issuer: Issuer, changes: dict[str, Any]
) -> None:
    found = {"issuer": issuer.url, "jwks_uri": issuer.url + JWKS, **changes}
    if "issuer_slash" in changes:
        found["issuer"] = issuer.url + "/"
    why = refused_document(issuer, DISCOVERY, document(found))
    assert "of another issuer" in why or "no jwks_uri that may be used" in why
    assert issuer.asked[JWKS] == 0


def public(key: RSAKey | ECKey) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def weak_rsa() -> dict[str, Any]:
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
    return {"kty": "RSA", "n": base64url_of(numbers.n), "e": "AQAB"}


def base64url_of(number: int) -> str:
    from oidc_issuer import base64url

    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def unusable() -> list[object]:
    rsa_key, ec_key = new_key("RS256"), new_key("ES256")
    assert isinstance(rsa_key, RSAKey)
    assert isinstance(ec_key, ECKey)
    return [
        OctKey.generate_key(256).as_dict(),
        {**public(rsa_key), "use": "enc"},
        {**public(rsa_key), "key_ops": ["encrypt"]},
        {**public(rsa_key), "n": "AQAB"},
        {**public(rsa_key), "n": "A" * 3_000},
        {**public(rsa_key), "n": "?" * 342},
        {**public(rsa_key), "e": "A" * 12},
        {**public(rsa_key), "e": "AA"},
        {**public(rsa_key), "kty": "EC"},
        weak_rsa(),
        {**public(ec_key), "x": "AAAA"},  # not on the curve
        {**public(ec_key), "crv": "P-521"},
        public(ECKey.generate_key("P-384")),
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kid": "no kind"},
        {"kty": "RSA", "kid": 7},
        "a string",
        None,
    ]


def test_keys_that_are_of_no_use_are_passed_over(issuer: Issuer) -> None:
    keys = [*unusable(), *issuer.jwks()]
    issuer.answers[JWKS] = lambda: document({"keys": keys})
    assert [key.kid for key in IssuerKeys(issuer.url)()] == ["rsa-1", "ec-1", "ed-1"]


def test_a_private_key_published_by_mistake_is_kept_as_a_public_one(issuer: Issuer) -> None:
    leaked = {**new_key("RS256").as_dict(private=True), "kid": "leaked"}
    issuer.answers[JWKS] = lambda: document({"keys": [leaked]})
    (key,) = IssuerKeys(issuer.url)()
    assert not key.key.is_private
    assert str(leaked["d"]) not in repr(key.key.dict_value)


def test_endless_keys_are_refused(issuer: Issuer) -> None:
    keys = issuer.jwks() * 22
    assert "at most 64 keys" in refused_document(issuer, JWKS, document({"keys": keys}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost with its key, signed by itself."""
    return certify(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture
def tls_issuer(certificate: Path) -> Iterator[Issuer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Issuer(context) as running:
        yield running


def test_over_tls_the_named_certificates_are_trusted(tls_issuer: Issuer, certificate: Path) -> None:
    assert len(IssuerKeys(tls_issuer.url, certificate)()) == 3


def test_a_certificate_of_nobody_known_is_not_trusted(tls_issuer: Issuer) -> None:
    with pytest.raises(ConnectionError, match="SSLError"):
        IssuerKeys(tls_issuer.url)()


def test_a_certificate_of_another_name_is_not_trusted(
    tls_issuer: Issuer, certificate: Path
) -> None:
    with pytest.raises(ConnectionError, match="SSLError"):
        IssuerKeys(tls_issuer.url.replace("localhost", "127.0.0.1"), certificate)()


def test_an_issuer_on_tls_cannot_send_us_to_a_plain_address(
    tls_issuer: Issuer, certificate: Path
) -> None:
    found = {"issuer": tls_issuer.url, "jwks_uri": "http://127.0.0.1:1/keys"}
    tls_issuer.answers[DISCOVERY] = lambda: document(found)
    with pytest.raises(ConnectionError, match="no jwks_uri that may be used"):
        IssuerKeys(tls_issuer.url, certificate)()
