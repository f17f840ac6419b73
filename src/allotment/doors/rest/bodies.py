"""JSON bodies: read by type, and when one is refused, why and where.

Invariant: a body that is taken has no unknown and no doubled member, and no value of a wrong type;
one that is refused is told with a pointer to the place.
"""

from __future__ import annotations

import json
import re
from functools import reduce
from typing import Any, Final, NoReturn

import msgspec

from allotment.errors import InvalidValue
from allotment.model.wire import from_wire

DEPTH_MAX: Final = 32
MEMBERS_MAX: Final = 1000
NO_JSON: Final = "it must be JSON, in UTF-8"

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_AT = re.compile(r"(?s)(?P<rule>.*?)(?: - at `\$(?P<path>.*)`)?")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_EXTRA = re.compile(r"(?s)Object contains unknown field `(.*)`")


class _Doubled(ValueError):
    """A member is named twice, or there are too many."""


def _no_path(kind: type[Any], text: object) -> object:
    """As `from_wire`; msgspec adds the place to what is a ValueError."""
    try:
        return from_wire(kind, text)
    except InvalidValue as error:
        raise ValueError(str(error.facts["rule"])) from error


class Body:
    """The body of one kind of request."""

    def __init__(self, kind: Any) -> None:  # Any: a struct made for the route
        self._decoder = msgspec.json.Decoder(kind, dec_hook=_no_path)

    def read(self, raw: bytes) -> Any:  # Any: of that struct
        """The body's value.

        Raises:
            InvalidValue: naming the place, the value and the rule.
        """
        try:
            value = self._decoder.decode(raw)
            json.loads(raw, object_pairs_hook=_members)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            _refuse(raw, error)
        return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Doubled(f"member {twice[:60]!r} is there twice")
    if len(pairs) > MEMBERS_MAX:
        raise _Doubled(f"an object may have {MEMBERS_MAX} members, not {len(pairs)}")
    return found


def _refuse(raw: bytes, error: Exception) -> NoReturn:
    shown = raw[:60].decode("utf-8", "replace")
    if _depth(raw) > DEPTH_MAX:
        raise _at("", shown, f"JSON may be nested {DEPTH_MAX} deep") from error
    try:
        found = json.loads(raw, object_pairs_hook=_members)
    except _Doubled as doubled:
        raise _at("", shown, str(doubled)) from error
    except (ValueError, RecursionError):
        raise _at("", shown, NO_JSON) from error
    if not isinstance(error, msgspec.ValidationError):
        raise _at("", shown, NO_JSON) from error
    match = _AT.fullmatch(str(error))
    assert match is not None, "the pattern takes any text"
    rule = match["rule"]
    steps = [name or int(place) for name, place in _STEP.findall(match["path"] or "")]
    extra = _EXTRA.fullmatch(rule)
    if extra is not None:
        steps.append(extra[1])
        rule = "there is no such field"
    raise _at(pointer(steps), _value_at(found, steps, shown), rule) from error


def pointer(steps: list[Any]) -> str:  # Any: names and places
    """A JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _at(place: str, value: object, rule: str) -> InvalidValue:
    error = InvalidValue(place.lstrip("/").replace("/", ".") or "body", value, rule)
    error.facts["pointer"] = place
    return error


def _value_at(found: Any, steps: list[Any], otherwise: str) -> Any:  # Any: JSON
    try:
        value = reduce(lambda value, step: value[step], steps, found)
    except (LookupError, TypeError):
        return otherwise
    return json.dumps(value)[:80] if isinstance(value, dict | list) else value


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return 0
    for token in _TOKEN.findall(raw):
        if token in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in (b"]", b"}"):
            depth -= 1
    return deepest
