"""Values from the text of a path or a query string, as a field's type says.

Invariant: one value has one spelling: `true` and `false`, whole numbers without a plus or leading
zeros, and what the model's own parsers take.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from allotment.errors import InvalidValue
from allotment.model.wire import from_wire

Reader = Callable[[str, str], Any]
"""From a field's name and a text to its value."""

_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,38}")
_WORDS: Final = {"true": True, "false": False}


def kinds_of(hint: Any) -> tuple[Any, ...]:  # Any: an annotation
    """The types that a value may have, None and unset left out."""
    origin = get_origin(hint)
    if origin is Annotated:
        return kinds_of(get_args(hint)[0])
    if origin in (Union, UnionType):
        return tuple(kind for part in get_args(hint) for kind in kinds_of(part))
    return () if hint in (type(None), msgspec.UnsetType) else (hint,)


def element_of(hint: Any) -> Any | None:  # Any: an annotation
    """The type of the elements, where the values are tuples."""
    for kind in kinds_of(hint):
        if get_origin(kind) is tuple:
            return get_args(kind)[0]
    return None


def reader_of(hint: Any) -> Reader:  # Any: an annotation
    """What reads texts as values of a type."""
    kinds = kinds_of(hint)
    if str in kinds:
        return _as_it_is
    if bool in kinds:
        return _truth
    if int in kinds:
        return _number
    assert len(kinds) == 1, "a text would have several readings"
    return _reader_of_one(kinds[0])


def _reader_of_one(kind: Any) -> Reader:  # Any: a type of the model
    def read(field: str, text: str) -> Any:
        try:
            return msgspec.convert(text, kind, dec_hook=from_wire)
        except msgspec.ValidationError as error:
            raise InvalidValue(field, text, str(error)) from error

    return read


def _as_it_is(_: str, text: str) -> str:
    return text


def _truth(field: str, text: str) -> bool:
    found = _WORDS.get(text)
    if found is None:
        raise InvalidValue(field, text, "must be true or false")
    return found


def _number(field: str, text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise InvalidValue(field, text, "must be a whole number in decimal digits")
    return int(text)
