"""Which function serves which command or query.

Invariant: every command and query has exactly one, and it is reached with a permit only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from allotment.engine.access import Permit
from allotment.errors import AllotmentError
from allotment.model.commands import Command
from allotment.model.queries import Query
from allotment.store.session import Read, Write

C = TypeVar("C", bound=Command[Any])  # Any, here and below: whatever the request answers
Q = TypeVar("Q", bound=Query[Any])
F = TypeVar("F", bound=Callable[..., Any])


class Again:
    """The outcome of a command that met locked rows: run it alone, and wait for them."""


AGAIN: Final = Again()
Outcome = Any  # Any: a result, an AllotmentError, or AGAIN
Many = Callable[[Write, Sequence[Any]], list[Outcome]]

_one: dict[type[Command[Any]], Callable[..., Any]] = {}
_many: dict[type[Command[Any]], Many] = {}
_answers: dict[type[Query[Any]], Callable[..., Any]] = {}
_with_rights: set[type] = set()


def handles(kind: type[Command[Any]], *, with_rights: bool = False) -> Callable[[F], F]:
    """This function serves a command of that kind: (tx, command) -> its answer.

    `with_rights`: (tx, command, rights), the rights being of the actor who asks.
    """

    def enter(function: F) -> F:
        assert kind not in _one, "served twice"
        assert not kind.together, "served by one that serves many"
        _one[kind] = function
        if with_rights:
            _with_rights.add(kind)
        return function

    return enter


def handles_many(kind: type[Command[Any]]) -> Callable[[F], F]:
    """This function serves several such commands at once: (tx, permits) -> an outcome each.

    One command's failure never spoils its neighbours.
    """

    def enter(function: F) -> F:
        assert kind not in _many, "served twice"
        assert kind.together, "served by one that serves each alone"
        _many[kind] = function
        return function

    return enter


def answers(kind: type[Query[Any]], *, with_rights: bool = False) -> Callable[[F], F]:
    """This function answers a query of that kind: (snapshot, query) -> its answer.

    `with_rights`: (snapshot, query, rights), the rights being of the actor who asks.
    """

    def enter(function: F) -> F:
        assert kind not in _answers
        _answers[kind] = function
        if with_rights:
            _with_rights.add(kind)
        return function

    return enter


def served() -> tuple[frozenset[type], frozenset[type]]:
    """All commands and all queries that are served."""
    return frozenset(_one) | frozenset(_many), frozenset(_answers)


def run(tx: Write, permit: Permit[C]) -> Any:
    """Serve one command."""
    kind = type(permit.request)
    if kind in _with_rights:
        return _one[kind](tx, permit.resolved, permit.rights)
    return _one[kind](tx, permit.resolved)


def run_many(tx: Write, permits: Sequence[Permit[C]]) -> list[Outcome]:
    """Serve several commands of one kind."""
    outcomes = _many[type(permits[0].request)](tx, permits)
    assert len(outcomes) == len(permits), "an outcome for each command"
    return outcomes


def answer(r: Read, permit: Permit[Q]) -> Any:
    """Answer one query."""
    kind = type(permit.request)
    if kind in _with_rights:
        return _answers[kind](r, permit.resolved, permit.rights)
    return _answers[kind](r, permit.resolved)


def failed(outcome: Outcome) -> bool:
    """Whether an outcome is not an answer."""
    return outcome is AGAIN or isinstance(outcome, AllotmentError)
