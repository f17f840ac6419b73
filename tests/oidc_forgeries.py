"""Tokens that an attacker would try, each with the reason it is refused for.

Invariant: each is made from a good token of the issuer by the one change that its name says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable

from joserfc.jwk import RSAKey

from allotment.doors.rest.refusal import Refusal
from oidc_issuer import AUDIENCE, NOW, Issuer, base64url, new_key, segment, sign

STRANGER = RSAKey.generate_key(2048)


def unsigned(issuer: Issuer, alg: str) -> str:
    return f"{segment({'alg': alg, 'kid': 'rsa-1'})}.{segment(issuer.claims())}"


def with_public_key_as_secret(issuer: Issuer, form: str) -> str:
    signed = unsigned(issuer, "HS256")
    public = new_key("RS256")
    assert isinstance(public, RSAKey)
    secret = {
        "PEM": public.as_pem(private=False),
        "DER": public.as_der(private=False),
        "JWK": json.dumps(public.as_dict(private=False)).encode(),
        "modulus": str(public.as_dict(private=False)["n"]).encode(),
    }[form]
    return f"{signed}.{base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def raw_header(issuer: Issuer, header: bytes) -> str:
    return sign(header, issuer.claims(), "RS256", new_key("RS256"))


def raw_payload(issuer: Issuer, payload: bytes) -> str:
    header = {"alg": "RS256", "kid": "rsa-1"}
    return sign(header, payload, "RS256", new_key("RS256"))


def doubled(issuer: Issuer, name: str, value: str) -> bytes:
    """The good claims with one of them given twice."""
    return f'{{"{name}": "{value}", '.encode() + json.dumps(issuer.claims()).encode()[1:]


def resigned(issuer: Issuer, kid: str, change: Callable[[bytes], bytes]) -> str:
    """A good token whose signature was changed."""
    signed, _, signature = issuer.token(kid).rpartition(".")
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    return f"{signed}.{base64url(change(raw))}"


def jwe(issuer: Issuer) -> str:
    header = segment({"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "rsa-1"})
    return ".".join([header, base64url(bytes(256)), base64url(bytes(12)), "AAAA", "AAAA"])


def nested(issuer: Issuer) -> str:
    header = {"alg": "RS256", "kid": "rsa-1"}
    return sign(header, issuer.token().encode(), "RS256", new_key("RS256"))


def exchanged(issuer: Issuer) -> str:
    """A good token's header and signature around other claims."""
    header, _, signature = issuer.token().split(".")
    return f"{header}.{segment(issuer.claims(sub='root'))}.{signature}"


def stray_bits(issuer: Issuer) -> str:
    """The same signature, written with bits that stand for nothing."""
    token = issuer.token("ed-1")  # 64 bytes: the last of 86 characters has four bits to spare
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


FORGED: dict[str, tuple[Refusal, Callable[[Issuer], str]]] = {
    "none, and an empty signature": (Refusal.MALFORMED, lambda i: unsigned(i, "none") + "."),
    "none, and two parts": (Refusal.MALFORMED, lambda i: unsigned(i, "none")),
    "RS256, and an empty signature": (Refusal.MALFORMED, lambda i: unsigned(i, "RS256") + "."),
    **{
        f"HS256 with the public {form} as the secret": (
            Refusal.ALGORITHM,
            lambda i, form=form: with_public_key_as_secret(i, form),
        )
        for form in ("PEM", "DER", "JWK", "modulus")
    },
    "a stranger's signature": (
        Refusal.SIGNATURE,
        lambda i: sign({"alg": "RS256", "kid": "rsa-1"}, i.claims(), "RS256", STRANGER),
    ),
    "a signature of other claims": (Refusal.SIGNATURE, exchanged),
    "a truncated RSA signature": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "rsa-1", lambda s: s[:-1]),
    ),
    "a truncated EC signature": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "ec-1", lambda s: s[:32]),
    ),
    "a truncated Ed25519 signature": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "ed-1", lambda s: s[:63]),
    ),
    "a longer signature": (Refusal.SIGNATURE, lambda i: resigned(i, "ec-1", lambda s: s + b"\0")),
    "a signature with one bit changed": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "ed-1", lambda s: bytes([s[0] ^ 1]) + s[1:]),
    ),
    "r and s of zero": (Refusal.SIGNATURE, lambda i: resigned(i, "ec-1", lambda s: bytes(64))),
    "r of zero": (Refusal.SIGNATURE, lambda i: resigned(i, "ec-1", lambda s: bytes(32) + s[32:])),
    "r and s of the group's order": (
        Refusal.SIGNATURE,
        lambda i: resigned(
            i,
            "ec-1",
            lambda s: (
                bytes.fromhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
                * 2
            ),
        ),
    ),
    "an RSA signature of zero": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "rsa-1", lambda s: bytes(256)),
    ),
    "an Ed25519 signature of zero": (
        Refusal.SIGNATURE,
        lambda i: resigned(i, "ed-1", lambda s: bytes(64)),
    ),
    "a second signature": (Refusal.MALFORMED, lambda i: i.token() + ".AAAA"),
    "two tokens": (Refusal.MALFORMED, lambda i: f"{i.token()},{i.token()}"),
    "a blank before it": (Refusal.MALFORMED, lambda i: " " + i.token()),
    "a line break after it": (Refusal.MALFORMED, lambda i: i.token() + "\n"),
    "a blank after a dot": (Refusal.MALFORMED, lambda i: i.token().replace(".", ". ", 1)),
    "padding": (Refusal.MALFORMED, lambda i: i.token("ed-1") + "=="),
    "stray bits": (Refusal.MALFORMED, stray_bits),
    "an impossible length": (Refusal.MALFORMED, lambda i: f"AAAAA.{i.token().split('.', 1)[1]}"),
    "the other base64": (Refusal.MALFORMED, lambda i: i.token()[:-2] + "+/"),
    "non-ASCII letters": (Refusal.MALFORMED, lambda i: i.token()[:-1] + "ä"),
    "full-width letters": (Refusal.MALFORMED, lambda i: i.token()[:-1] + "Ａ"),
    "half a character": (Refusal.MALFORMED, lambda i: i.token()[:-1] + "\ud800"),
    "a NUL": (Refusal.MALFORMED, lambda i: i.token() + "\0"),
    "nothing": (Refusal.MALFORMED, lambda i: ""),
    "dots": (Refusal.MALFORMED, lambda i: ".."),
    "the JSON form": (
        Refusal.MALFORMED,
        lambda i: json.dumps({"payload": segment(i.claims()), "signatures": []}),
    ),
    "an encrypted token": (Refusal.MALFORMED, jwe),
    "a nested token": (Refusal.CLAIMS, nested),
    "too long": (Refusal.TOO_LONG, lambda i: i.token(x="x" * 16_384)),
    "much too long": (Refusal.TOO_LONG, lambda i: "a.b." + "c" * 10_000_000),
    "a header that is no object": (Refusal.MALFORMED, lambda i: raw_header(i, b'["RS256"]')),
    "a header that is no JSON": (Refusal.MALFORMED, lambda i: raw_header(i, b"alg=RS256")),
    "two algorithms": (
        Refusal.MALFORMED,
        lambda i: raw_header(i, b'{"alg":"none","alg":"RS256","kid":"rsa-1"}'),
    ),
    "two key names": (
        Refusal.MALFORMED,
        lambda i: raw_header(i, b'{"alg":"RS256","kid":"rsa-1","kid":"rsa-1"}'),
    ),
    "a name twice, once escaped": (
        Refusal.MALFORMED,
        lambda i: raw_header(i, b'{"alg":"RS256","kid":"rsa-1","\\u0061lg":"RS256"}'),
    ),
    "a header in UTF-16": (
        Refusal.MALFORMED,
        lambda i: raw_header(i, '{"alg":"RS256","kid":"rsa-1"}'.encode("utf-16")),
    ),
    "a header that begins with a byte order mark": (
        Refusal.MALFORMED,
        lambda i: raw_header(i, b'\xef\xbb\xbf{"alg":"RS256","kid":"rsa-1"}'),
    ),
    "two subjects": (Refusal.CLAIMS, lambda i: raw_payload(i, doubled(i, "sub", "root"))),
    "two audiences": (Refusal.CLAIMS, lambda i: raw_payload(i, doubled(i, "aud", AUDIENCE))),
    "claims that are a list": (Refusal.CLAIMS, lambda i: raw_payload(i, b"[]")),
    "claims of NaN": (
        Refusal.CLAIMS,
        lambda i: raw_payload(i, json.dumps(i.claims(exp=float("nan"))).encode()),
    ),
    "claims of 1e999": (
        Refusal.CLAIMS,
        lambda i: raw_payload(i, json.dumps(i.claims()).replace(str(NOW + 300), "1e999").encode()),
    ),
    "claims in a deep nest": (
        Refusal.CLAIMS,
        lambda i: raw_payload(i, b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
    ),
    "claims in Latin-1": (
        Refusal.CLAIMS,
        lambda i: raw_payload(i, json.dumps(i.claims()).replace("ada", "\xe9").encode("latin-1")),
    ),
}
