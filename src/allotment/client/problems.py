"""A server's refusals and failures as the errors that a local desk raises.

Invariant: only a problem document that names a code is taken for the server's own word; what else
comes with a bad status, a proxy's page say, proves nothing about the request.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from allotment.client.transport import HttpAnswer, Lost
from allotment.errors import AllotmentError, Misconfigured, Unauthenticated
from allotment.errors.restored import restored

PROBLEM: Final = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What a client reads of a problem document (RFC 9457); other members are passed over."""

    code: str
    detail: str
    facts: dict[str, Any] = {}  # Any: JSON values; msgspec copies the default
    retryable: bool = False
    retry_after_ms: int | None = None


_decoder: Final = msgspec.json.Decoder(Problem)


class Refusal(NamedTuple):
    """An error that a server answered, whether asking again may help, and not before when."""

    error: AllotmentError
    retryable: bool
    wait_seconds: float


def refusal(answer: HttpAnswer, server: str) -> Refusal:
    """What an answer with a bad status stands for.

    Raises:
        Lost: it is nobody's word on whether the request was carried out.
    """
    problem = _problem(answer)
    if problem is None:
        return Refusal(_stranger(answer, server), False, 0.0)
    wait = max((problem.retry_after_ms or 0) / 1000, answer.retry_after_seconds)
    error = restored(problem.code, problem.detail, problem.facts)
    return Refusal(error, problem.retryable, wait)


def _problem(answer: HttpAnswer) -> Problem | None:
    if answer.kind != PROBLEM:
        return None
    try:
        return _decoder.decode(answer.body)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def _stranger(answer: HttpAnswer, server: str) -> AllotmentError:
    """What an answer that is no problem document means."""
    status = answer.status
    if status >= 500:
        raise Lost(f"{server} answered {status}, and does not say whether anything was done")
    if status == 401:
        return Unauthenticated(f"{server} does not know the token")
    told = f"{server} answered {status}: it is not a server of Allotment, or a proxy is in the way"
    return Misconfigured(told, phase="connect")
