"""An error again from what another process said of it.

Invariant: what has a known code becomes that very class, with its facts; anything else stays an
error, with the code it came with among its facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from allotment.errors.root import AllotmentError
from allotment.errors.store import ConstraintFailed, StoreError


def restored(code: str, message: str, facts: Mapping[str, object]) -> AllotmentError:
    """The error with a code, its message and its facts as they are."""
    kind = by_code().get(code)
    known = dict(facts) if kind is not None else {**facts, "code": code}
    kind = kind or AllotmentError
    error = kind.__new__(kind)
    error.args = (message,)
    error.message = message
    error.facts = known
    if isinstance(error, StoreError):
        _restore_phase(error)
    return error


def _restore_phase(error: StoreError) -> None:
    phase, state = error.facts.get("phase"), error.facts.get("state")
    for known in ("connect", "begin", "statement", "commit"):
        if phase == known:
            error.phase = known
            break
    else:
        error.phase = "statement"
    error.state = state if isinstance(state, str) else None
    if isinstance(error, ConstraintFailed):
        error.constraint = str(error.facts.get("constraint", ""))


@cache
def by_code() -> Mapping[str, type[AllotmentError]]:
    """The class of each code that a desk may answer with."""
    own = (
        kind for kind in _below(AllotmentError) if kind.__module__.startswith("allotment.errors")
    )
    return {kind.code: kind for kind in own}


def _below(kind: type[AllotmentError]) -> Iterator[type[AllotmentError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)
