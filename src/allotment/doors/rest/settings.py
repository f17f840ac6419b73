"""What an operator may set about the REST door.

Invariant: the defaults are safe, and printing the settings shows no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from allotment.model.prefix import Prefix

if TYPE_CHECKING:
    from allotment.doors.rest.oidc_claims import OidcSettings


class Rate(msgspec.Struct, frozen=True):
    """How often something may happen: so many a second, and so many at once."""

    per_second: float
    burst: float


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The rates there are; None: as often as one likes. `failures` are failed logins a source."""

    token: Rate | None = None
    actor: Rate | None = None
    source: Rate | None = None
    failures: Rate | None = Rate(1, 60)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the door behaves.

    `threads` ask the desk at once, `waiting_max` requests wait for one, `waiting_seconds_max` long;
    `long_max` of them may be of the kind that takes minutes. `cursor_key` signs cursors; None: the
    book's, else a random one. `full_from` is the share of a subnet in use from which the metrics
    name it.
    """

    threads: int = 64
    waiting_max: int = 2_000
    waiting_seconds_max: float = 5.0
    long_max: int = 8
    body_bytes_max: int = 1 << 20
    batch_bytes_max: int = 16 << 20
    body_seconds_max: float = 30.0
    cursor_key: bytes | None = None
    trusted_proxies: tuple[Prefix, ...] = ()
    rates: Rates = Rates()
    streams_max: int = 100
    poll_seconds: float = 0.5
    heartbeat_seconds: float = 15.0
    full_from: float = 0.8
    log_requests: bool = True

    def __repr__(self) -> str:
        return f"Settings(threads={self.threads}, waiting_max={self.waiting_max}, ...)"


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how the server listens, and what it serves."""

    database: str | None = None
    create: bool = False
    first_token: bool = False
    host: str = "127.0.0.1"
    port: int = 8470
    workers: int = 1
    tls_cert: str | None = None
    tls_key: str | None = None
    allow_plain_http: bool = False
    grace_seconds: int = 30
    log_format: Literal["json", "text"] = "json"
    oidc: OidcSettings | None = None
    door: Settings = Settings()
