"""The issuer's keys, kept: fetched when they get old or one is missing, never as often as asked.

Invariant: whatever tokens arrive, the issuer is asked once per interval at most; keys that could
not be confirmed for a day are not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import Final, NamedTuple

from allotment.doors.rest.jwk import PublicKey
from allotment.doors.rest.refusal import Refusal
from allotment.errors import Unauthenticated

FRESH_SECONDS: Final = 600.0
STALE_SECONDS_MAX: Final = 24 * 3600.0
INTERVAL_SECONDS: Final = 30.0
# How long a request waits for another one's fetch, if it cannot do without.
PATIENCE_SECONDS: Final = 2.0

_log = logging.getLogger("allotment.oidc")


class _Kept(NamedTuple):
    keys: tuple[PublicKey, ...]
    fetched_at: float

    def knows(self, kid: str | None) -> bool:
        if kid is None:
            return bool(self.keys)
        return any(key.kid == kid for key in self.keys)


class KeyCache:
    """Finds keys, fetching them as seldom as it can; `clock` is monotonic, in seconds."""

    def __init__(
        self, fetch: Callable[[], tuple[PublicKey, ...]], clock: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept = _Kept((), float("-inf"))
        self._next_fetch = float("-inf")
        self._fetching = Lock()

    def find(self, kid: str | None, alg: str) -> PublicKey:
        """The key that a JWT names, which fits its algorithm.

        Raises:
            Unauthenticated: there is none, or none could be fetched.
        """
        now = self._clock()
        kept = self._kept
        missing = not kept.knows(kid) or now - kept.fetched_at > STALE_SECONDS_MAX
        if missing or now - kept.fetched_at > FRESH_SECONDS:
            kept = self._refreshed(now, PATIENCE_SECONDS if missing else 0)
        if now - kept.fetched_at > STALE_SECONDS_MAX:
            raise Unauthenticated(Refusal.NO_KEYS)
        return _choose(kept.keys, kid, alg)

    def _refreshed(self, now: float, patience: float) -> _Kept:
        """What is kept after a fetch, ours or another request's, or without one if it is too soon.

        The old keys stay in use for the others meanwhile, and for all if it fails.
        """
        if now < self._next_fetch and not self._fetching.locked():
            return self._kept
        if not self._fetching.acquire(timeout=patience):
            return self._kept
        try:
            if now >= self._next_fetch:  # else another request was quicker
                self._next_fetch = now + INTERVAL_SECONDS
                self._kept = _Kept(self._fetch(), now)
        except OSError as error:
            _log.warning("the issuer's keys could not be fetched: %s", error)
        finally:
            self._fetching.release()
        return self._kept


def _choose(keys: tuple[PublicKey, ...], kid: str | None, alg: str) -> PublicKey:
    if kid is None and len(keys) > 1:
        raise Unauthenticated(Refusal.KEY_NOT_NAMED)
    named = [key for key in keys if kid is None or key.kid == kid]
    if not named:
        raise Unauthenticated(Refusal.KEY_UNKNOWN)
    fitting = [key for key in named if key.fits(alg)]
    if len(fitting) != 1:  # none, or no telling which
        raise Unauthenticated(Refusal.KEY_UNFIT)
    return fitting[0]
