"""Documents of the pinned issuer, fetched from where its discovery document says.

Invariant: nothing is fetched but over TLS (on loopback: or plainly, if the issuer itself is there);
redirects are not followed; size and time are bounded; no token has a say in what is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import urllib3

from allotment.doors.rest.jwk import PublicKey, read_keys
from allotment.doors.rest.strict_json import read_object
from allotment.errors import InvalidValue
from allotment.model.loopback import is_loopback

DOCUMENT_BYTES_MAX: Final = 256 * 1024
CONNECT_SECONDS: Final = 3.0
FETCH_SECONDS: Final = 5.0
_DISCOVERY: Final = "/.well-known/openid-configuration"
_CHUNK_BYTES: Final = 16 * 1024

Found = TypeVar("Found")


def issuer_valid(issuer: str) -> str:
    """The URL of an issuer itself.

    Raises:
        InvalidValue: it is not an https URL (http on loopback) without query and fragment.
    """
    parts = _split(issuer)
    if parts is None or parts.query or parts.fragment or "#" in issuer or "?" in issuer:
        raise InvalidValue("issuer", issuer, "write https://host/path, without query or fragment")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InvalidValue("issuer", issuer, "http is for loopback only; write https://")
    return issuer


class IssuerKeys:
    """Fetches the keys of one issuer; calling it is all there is."""

    def __init__(self, issuer: str, ca_file: Path | None = None) -> None:
        self._issuer = issuer_valid(issuer)
        self._http = urllib3.PoolManager(
            num_pools=2,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=FETCH_SECONDS),
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(ca_file) if ca_file else None,
        )

    def __call__(self) -> tuple[PublicKey, ...]:
        """The issuer's keys as they are now.

        Raises:
            ConnectionError: it cannot be reached, or does not answer as it should.
        """
        discovery = self._read(self._issuer.removesuffix("/") + _DISCOVERY, read_object)
        if discovery.get("issuer") != self._issuer:
            raise ConnectionError("the discovery document is of another issuer")
        url = discovery.get("jwks_uri")
        if not isinstance(url, str) or not self._may_be_asked(url):
            raise ConnectionError("the discovery document names no jwks_uri that may be used")
        return self._read(url, lambda raw: read_keys(read_object(raw)))

    def _may_be_asked(self, url: str) -> bool:
        """Whether keys may come from there: over TLS, or from loopback if the issuer is there."""
        parts = _split(url)
        if parts is None:
            return False
        own = urlsplit(self._issuer)
        return parts.scheme == "https" or (
            own.scheme == "http" and is_loopback(parts.hostname or "")
        )

    def _read(self, url: str, read: Callable[[bytes], Found]) -> Found:
        try:
            return read(self._get(url))
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"{url} cannot be fetched: {type(error).__name__}") from error
        except ValueError as error:
            raise ConnectionError(f"{url} holds no such document: {error}") from error

    def _get(self, url: str) -> bytes:
        deadline = monotonic() + FETCH_SECONDS
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        answer = self._http.request(
            "GET", url, headers=headers, redirect=False, preload_content=False
        )
        try:
            if answer.status != 200:
                raise ConnectionError(f"{url} answered with status {answer.status}")
            found = bytearray()
            while chunk := answer.read1(_CHUNK_BYTES, decode_content=False):
                found += chunk
                if len(found) > DOCUMENT_BYTES_MAX:
                    raise ConnectionError(f"{url} is longer than {DOCUMENT_BYTES_MAX} bytes")
                if monotonic() > deadline:
                    raise ConnectionError(f"{url} took longer than {FETCH_SECONDS} s")
            return bytes(found)
        finally:
            answer.close()


def _split(url: str) -> SplitResult | None:
    """The parts of a plain http or https URL without a user; None for anything else."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    plain = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    return parts if plain else None
