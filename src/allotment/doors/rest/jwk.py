"""The public keys of an issuer, and what they are good for.

Invariant: a key checks signatures of the algorithms of its own kind only, so that no public key is
ever taken for a shared secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from allotment.errors import InvalidValue

KEYS_MAX: Final = 64
# The length of a modulus of 2048 and of 8192 bits in base64url: shorter ones are broken, longer
# ones are slow. An exponent has 64 bits at most for the same reason.
_MODULUS_LENGTHS: Final = range(342, 1366 + 1)
_EXPONENT_LENGTH_MAX: Final = 11

_Public = RSAKey | ECKey | OKPKey


class Kind(NamedTuple):
    """A kind of key: its `kty`, and its `crv` where there are several."""

    kty: str
    crv: str | None


ALGORITHMS: Final[Mapping[str, Kind]] = {
    "RS256": Kind("RSA", None),
    "PS256": Kind("RSA", None),
    "ES256": Kind("EC", "P-256"),
    "EdDSA": Kind("OKP", "Ed25519"),
    "Ed25519": Kind("OKP", "Ed25519"),
}
"""The algorithms that can be allowed: signatures with a public key, nothing else."""


def algorithm_known(name: str) -> str:
    """The name itself.

    Raises InvalidValue unless it can be allowed.
    """
    if name not in ALGORITHMS:
        raise InvalidValue("algorithm", name, f"there are {', '.join(ALGORITHMS)}")
    return name


class _Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """What we read of a JSON Web Key (RFC 7517): its public members."""

    kty: str
    kid: str | None = None
    use: str = "sig"
    alg: str | None = None
    key_ops: list[str] = msgspec.field(default_factory=lambda: ["verify"])
    crv: str | None = None
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class PublicKey(NamedTuple):
    """A key that signatures can be checked with; `alg` is the only algorithm, if it names one."""

    kid: str | None
    kind: Kind
    alg: str | None
    key: _Public

    def fits(self, alg: str) -> bool:
        """Whether it checks signatures of this algorithm."""
        return ALGORITHMS.get(alg) == self.kind and self.alg in (None, alg)

    def verifies(self, alg: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is of these bytes; the key fits the algorithm."""
        assert self.fits(alg), "a key checks signatures of its own kind only"
        try:
            return JWSRegistry.algorithms[alg].verify(signed, signature, self.key)
        except (JoseError, ValueError):
            return False


def read_keys(document: dict[str, object]) -> tuple[PublicKey, ...]:
    """The usable keys of a JWK set; those of other kinds or uses are passed over.

    Raises ValueError if it is no JWK set, or an excessive one.
    """
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"it is not a set of at most {KEYS_MAX} keys")
    return tuple(key for key in map(_read_key, listed) if key is not None)


def _read_key(found: object) -> PublicKey | None:
    try:
        jwk = msgspec.convert(found, _Jwk)
        if jwk.use != "sig" or "verify" not in jwk.key_ops:
            return None
        key = _import(jwk)
    except (JoseError, ValueError):
        return None
    kind = Kind(jwk.kty, None if jwk.kty == "RSA" else jwk.crv)
    return None if key is None else PublicKey(jwk.kid, kind, jwk.alg, key)


def _import(jwk: _Jwk) -> _Public | None:
    """The key, from its public members only; None for a kind that no algorithm takes."""
    match jwk.kty, jwk.crv:
        case "RSA", _:
            if len(jwk.n) not in _MODULUS_LENGTHS or len(jwk.e) > _EXPONENT_LENGTH_MAX:
                return None
            return RSAKey.import_key({"kty": "RSA", "n": jwk.n, "e": jwk.e})
        case "EC", "P-256":
            return ECKey.import_key({"kty": "EC", "crv": "P-256", "x": jwk.x, "y": jwk.y})
        case "OKP", "Ed25519":
            return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": jwk.x})
        case _:
            return None
