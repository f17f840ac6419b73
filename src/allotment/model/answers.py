"""The answer type of each command and query, read from its type parameter.

Invariant: nothing is listed by hand, so no command can be forgotten.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args, get_origin

from allotment.model import wire
from allotment.model.commands import Batch, Command
from allotment.model.queries import Query

Request = Command[Any] | Query[Any]  # Any, here and below: whatever it answers


@cache
def answer_type(kind: type[Command[Any]] | type[Query[Any]]) -> Any:  # Any: a type expression
    """What a command or query of this kind is answered with."""
    (parent,) = kind.__orig_bases__  # type: ignore[union-attr]  # set by typing on generics
    assert get_origin(parent) in (Command, Query), f"{kind.__name__} says not what it answers"
    return get_args(parent)[0]


def decode_answer(request: Request, raw: bytes) -> Any:
    """The answer to a request from its JSON; a batch's is a tuple, by part.

    Raises:
        InvalidValue: it is no such answer.
    """
    if isinstance(request, Batch):
        kinds = tuple(answer_type(type(part)) for part in request.commands)
        return wire.decode_each(kinds, raw)
    return wire.decode(answer_type(type(request)), raw)
