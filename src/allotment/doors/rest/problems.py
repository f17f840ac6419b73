"""Errors in HTTP's tongue: a status, and a problem document (RFC 9457).

Invariant: every error has a status; no answer holds the words of a driver, or a traceback.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from allotment import errors
from allotment.doors.rest import faults
from allotment.doors.rest.answers import Answer, Header
from allotment.errors import AllotmentError, InvalidValue, Kind, StoreError

MEDIA_TYPE: Final = b"application/problem+json"
RETRY_AFTER_MS: Final = 1_000

STATUS_OF_KIND: Final[Mapping[Kind, int]] = {
    "invalid": 400,
    "not-found": 404,
    "conflict": 409,
    "exhausted": 409,
    "refused": 403,
    "unavailable": 503,
    "unexpected": 500,
}
STATUS_OF_CODE: Final[Mapping[str, int]] = {
    errors.Unauthenticated.code: 401,
    errors.VersionMismatch.code: 412,
    errors.VersionRequired.code: 428,
    errors.IdempotencyMismatch.code: 422,
    errors.TooLarge.code: 413,
    errors.RateLimited.code: 429,
    errors.DeadlineExceeded.code: 504,
    errors.StoreFull.code: 507,
    faults.MethodNotAllowed.code: 405,
    faults.UnsupportedMediaType.code: 415,
    faults.HeadersTooLarge.code: 431,
    faults.TooSlow.code: 408,
}
WHERE: Final = ("pointer", "parameter", "header")
"""Facts of an InvalidValue that say where in the request the value stood."""


class Wrong(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One value that breaks a rule, and where in the request it stands."""

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    field: str
    value: str
    rule: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as RFC 9457 has it, and our own members.

    `code` is stable; `facts` are the error's fields; `errors` say which values break which rule.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    request_id: str
    retry_after_ms: int | None = None
    facts: dict[str, Any] = {}  # Any: facts are of any type that JSON has
    errors: tuple[Wrong, ...] = ()


def every_error(kind: type[AllotmentError] = AllotmentError) -> Iterator[type[AllotmentError]]:
    """Every class of error that this door may meet."""
    for room in (errors, faults):
        for name in sorted(vars(room)):
            found = getattr(room, name)
            if isinstance(found, type) and issubclass(found, kind) and _is_at_home(found, room):
                yield found


def _is_at_home(kind: type, room: object) -> bool:
    return kind.__module__.startswith(getattr(room, "__name__", ""))


def status_of(kind: type[AllotmentError]) -> int:
    """The HTTP status of an error."""
    return STATUS_OF_CODE.get(kind.code) or STATUS_OF_KIND[kind.kind]


def title_of(code: str) -> str:
    """A code as a title: `pool-exhausted` is "Pool exhausted"."""
    return code.replace("-", " ").capitalize()


def summary_of(kind: type[AllotmentError]) -> str:
    """The first sentence of an error's description."""
    return (kind.__doc__ or kind.code).strip().split("\n", maxsplit=1)[0]


def refusal(error: AllotmentError, instance: str, request_id: str) -> Answer:
    """The answer that tells an error."""
    kind = type(error)
    status = status_of(kind)
    wait = _wait_ms(error, status)
    plain = kind.kind == "unexpected" or isinstance(error, StoreError)
    problem = Problem(
        type=f"/problems/{error.code}",
        title=title_of(error.code),
        status=status,
        detail=summary_of(kind) if plain else error.message,
        instance=instance,
        code=error.code,
        retryable=error.retryable,
        request_id=request_id,
        retry_after_ms=wait,
        facts={} if plain else {k: v for k, v in error.facts.items() if k not in WHERE},
        errors=_wrong(error),
    )
    body = msgspec.json.encode(problem, enc_hook=str)
    return Answer(status, body, MEDIA_TYPE, tuple(_headers(error, status, wait)), error.code)


def unexpected(instance: str, request_id: str) -> Answer:
    """The answer where the program failed in a way nobody foresaw."""
    return refusal(AllotmentError("the program failed"), instance, request_id)


def _wait_ms(error: AllotmentError, status: int) -> int | None:
    known = error.facts.get("retry_after_ms")
    if isinstance(known, int):
        return known
    return RETRY_AFTER_MS if status == 503 and error.retryable else None


def _headers(error: AllotmentError, status: int, wait_ms: int | None) -> Iterator[Header]:
    if status == 401:
        yield b"www-authenticate", b'Bearer realm="allotment"'
    if isinstance(error, faults.MethodNotAllowed):
        yield b"allow", error.allowed.encode()
    if wait_ms is not None or status == 503:
        seconds = math.ceil((wait_ms or 30_000) / 1000)
        yield b"retry-after", str(max(1, seconds)).encode()
    if status in (408, 413, 431):
        yield b"connection", b"close"


def _wrong(error: AllotmentError) -> tuple[Wrong, ...]:
    if not isinstance(error, InvalidValue):
        return ()
    facts = error.facts
    where = {name: str(facts[name]) for name in WHERE if name in facts}
    told = {name: str(facts[name]) for name in ("field", "value", "rule")}
    return (Wrong(**where, **told),)
