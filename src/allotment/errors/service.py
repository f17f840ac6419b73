"""Errors about who asks, how much, and how often.

Invariant: none says whether something exists that the asker may not see.
"""

from __future__ import annotations

from allotment.errors.root import AllotmentError


class Unauthenticated(AllotmentError):
    """Nobody is known by what was presented: no token, or one that is wrong, expired or revoked."""

    code = "unauthenticated"
    kind = "refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; present a valid token", reason=reason)


class QuotaExceeded(AllotmentError):
    """The project may not own so much."""

    code = "quota-exceeded"
    kind = "exhausted"

    def __init__(self, project: str, what: str, limit: int, used: int, wanted: int) -> None:
        super().__init__(
            f"project {project} may own {limit} {what}, and owns {used}: {wanted} more is too much;"
            " release some, or ask an administrator for a larger quota",
            project=project,
            what=what,
            limit=limit,
            used=used,
            wanted=wanted,
        )


class OperationFenced(AllotmentError):
    """The key was resolved as not done, for ever: run the command under a new key."""

    code = "operation-fenced"
    kind = "conflict"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was resolved as not done, and stays so; use a new key",
            key=key,
        )


class VersionRequired(AllotmentError):
    """A change of a resource says which version it changes."""

    code = "version-required"
    kind = "invalid"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"a change of a {what} needs If-Match with the ETag that was read (or '*')", what=what
        )


class TooLarge(AllotmentError):
    """The request is larger than is taken."""

    code = "too-large"
    kind = "invalid"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"{what} is larger than {limit}; send less at once", what=what, limit=limit
        )


class RateLimited(AllotmentError):
    """Too many requests in too short a time."""

    code = "rate-limited"
    kind = "unavailable"
    retryable = True

    def __init__(self, who: str, retry_after_ms: int) -> None:
        super().__init__(
            f"{who} asks too often; wait {retry_after_ms} ms",
            who=who,
            retry_after_ms=retry_after_ms,
        )
