"""A small identity provider on loopback: discovery, keys, and tokens true or forged.

Invariant: it answers what a test told it to, and counts what it was asked.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

AUDIENCE = "allotment"
NOW = 1_800_000_000
DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"

Key = RSAKey | ECKey | OKPKey
Answer = tuple[int, dict[str, str], bytes]


@cache
def new_key(alg: str, number: int = 0) -> Key:
    """The key of this number for an algorithm; making RSA keys is slow, so that it is kept."""
    match alg:
        case "ES256":
            return ECKey.generate_key("P-256")
        case "EdDSA" | "Ed25519":
            return OKPKey.generate_key("Ed25519")
        case _:
            return RSAKey.generate_key(2048)


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def segment(content: object) -> str:
    """A part of a JWT: bytes as they are, all else as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64url(raw)


def sign(header: object, payload: object, alg: str, key: Key) -> str:
    """A JWT whose signature is right, whatever its header says."""
    signed = f"{segment(header)}.{segment(payload)}"
    return f"{signed}.{base64url(JWSRegistry.algorithms[alg].sign(signed.encode(), key))}"


class Issuer:
    """An identity provider that runs while it is entered; `answers` override what it says."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.keys: dict[str, tuple[str, Key]] = {
            "rsa-1": ("RS256", new_key("RS256")),
            "ec-1": ("ES256", new_key("ES256")),
            "ed-1": ("EdDSA", new_key("EdDSA")),
        }
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Callable[[], Answer]] = {}
        self.pause_seconds = 0.0  # between the bytes of an answer, once it is more than nothing
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        scheme, host = "http", "127.0.0.1"
        if tls is not None:
            scheme, host = "https", "localhost"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims of a good token; a change to `...` leaves the claim out."""
        good = {
            "iss": self.url,
            "sub": "ada",
            "aud": AUDIENCE,
            "iat": NOW - 10,
            "exp": NOW + 300,
            "groups": ["netops", "lab"],
            "email": "root@example.com",
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not ...}

    def token(
        self, kid: str = "rsa-1", *, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A good token but for the changes."""
        alg, key = self.keys[kid]
        said = {"alg": alg, "kid": kid, "typ": "at+jwt", **(header or {})}
        said = {name: value for name, value in said.items() if value is not ...}
        return sign(said, self.claims(**changes), alg, key)

    def jwks(self) -> list[dict[str, Any]]:
        """The published keys."""
        return [
            {**key.as_dict(private=False), "kid": kid, "alg": alg, "use": "sig"}
            for kid, (alg, key) in self.keys.items()
        ]

    def _answer(self, path: str) -> Answer:
        self.asked[path] += 1
        if path in self.answers:
            return self.answers[path]()
        if path == DISCOVERY:
            found: object = {"issuer": self.url, "jwks_uri": self.url + JWKS}
        elif path == JWKS:
            found = {"keys": self.jwks()}
        else:
            return 404, {}, b"{}"
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = issuer._answer(self.path)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self._write(body)
                except OSError:
                    pass  # the client had enough

            def _write(self, body: bytes) -> None:
                if not issuer.pause_seconds:
                    self.wfile.write(body)
                    return
                for byte in body:
                    self.wfile.write(bytes((byte,)))
                    time.sleep(issuer.pause_seconds)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
