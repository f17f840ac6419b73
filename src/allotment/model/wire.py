"""Commands, queries and results as JSON, and the one check that a value obeys its rules.

Invariant: what `check` lets pass is valid by type, whichever door or program built it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from hashlib import sha256
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, UnsetType

from allotment.errors import InvalidValue
from allotment.model.address import Address, parse_address
from allotment.model.address_range import AddressRange, parse_range
from allotment.model.commands import Command
from allotment.model.limits import BATCH_MAX
from allotment.model.mac import Mac, parse_mac
from allotment.model.prefix import Prefix, parse_prefix
from allotment.model.secret import Secret

T = TypeVar("T")

_PARSERS: dict[type, Callable[[Any], object]] = {  # Any: a parser judges whatever it is given
    Address: parse_address,
    Prefix: parse_prefix,
    AddressRange: parse_range,
    Mac: parse_mac,
    Secret: Secret,
}


class _Rule(Protocol):
    def check(self, value: Any, field: str) -> None: ...  # Any: a rule judges any value


def _to_wire(value: object) -> str:
    if isinstance(value, Address | Prefix | AddressRange | Mac | Secret):
        return str(value)  # of a secret: stars
    raise TypeError(f"{type(value).__name__} has no wire form")


def _revealed(value: object) -> str:
    return value.reveal() if isinstance(value, Secret) else _to_wire(value)


def _to_plain(value: object) -> Any:  # Any: JSON values are of any type
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else _to_wire(value)


def from_wire(kind: type[Any], text: object) -> object:  # Any: a type of the model
    """A value of a type that JSON has no word for, from its text: msgspec's `dec_hook`."""
    parse = _PARSERS.get(kind)
    assert parse is not None, f"{kind.__name__} has no wire form"
    return parse(text)


_encoder = msgspec.json.Encoder(enc_hook=_to_wire)
_revealing = msgspec.json.Encoder(enc_hook=_revealed)


def encode(value: object) -> bytes:
    """The JSON of a command, query or result; integers keep every digit, secrets are stars."""
    return _encoder.encode(value)


def encode_revealing(value: object) -> bytes:
    """The same with secrets in clear: for the answer to the one person they are meant for."""
    return _revealing.encode(value)


def plain(value: object) -> Any:  # Any: JSON values are of any type
    """The same as `encode`, as plain Python values."""
    return msgspec.to_builtins(value, enc_hook=_to_plain)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:  # Any: unions are not types to mypy
    return msgspec.json.Decoder(kind, dec_hook=from_wire)


def decode(kind: type[T], raw: bytes) -> T:
    """A value of `kind` from JSON.

    Raises:
        InvalidValue: the JSON is broken, a field is unknown, or a value breaks its rule.
    """
    try:
        value: T = _decoder(cast("Any", kind)).decode(raw)  # Any: mypy's cache wants Hashable
    except msgspec.ValidationError as error:
        raise InvalidValue("request", raw[:60].decode("utf-8", "replace"), str(error)) from error
    except msgspec.DecodeError as error:
        raise InvalidValue("request", raw[:60].decode("utf-8", "replace"), str(error)) from error
    return value


def decode_each(kinds: Sequence[type[Any]], raw: bytes) -> tuple[Any, ...]:  # Any: of each kind
    """The values of a JSON array, each of its own kind.

    Raises:
        InvalidValue: as `decode`, or there are more or fewer.
    """
    parts = decode(list[msgspec.Raw], raw)
    if len(parts) != len(kinds):
        raise InvalidValue("request", len(parts), f"an array of {len(kinds)} is wanted")
    return tuple(decode(kind, bytes(part)) for kind, part in zip(kinds, parts, strict=True))


def request_hash(command: Command[Any]) -> bytes:  # Any: whatever it answers
    """What tells two requests with one idempotency key apart: a digest of all other fields."""
    return sha256(_encoder.encode(msgspec.structs.replace(command, idempotency_key=None))).digest()


class _Check:
    """One field's permitted types and rules, read from its annotation once."""

    __slots__ = ("element", "field", "kinds", "rules")

    def __init__(self, field: str, hint: Any) -> None:  # Any: an annotation
        self.field = field
        self.rules: list[_Rule] = []
        self.kinds: tuple[type[Any], ...] = ()  # Any: whatever the annotation says
        self.element: _Check | None = None
        self._read(hint)

    @property
    def said(self) -> str:
        """The permitted types, for people."""
        present = set(self.kinds) - {UnsetType, NoneType}
        return " or ".join(sorted(map(_said, present)))

    def _read(self, hint: Any) -> None:  # Any: an annotation
        origin = get_origin(hint)
        if origin is Annotated:
            kind, *rules = get_args(hint)
            self._read(kind)
            self.rules += [rule for rule in rules if hasattr(rule, "check")]
        elif origin in (Union, UnionType):
            for part in get_args(hint):
                self._read(part)
        elif origin is tuple:
            self.kinds += (tuple,)
            self.element = _Check(f"{self.field}[]", get_args(hint)[0])
        else:
            self.kinds += (get_origin(hint) or (NoneType if hint is None else hint),)

    def __call__(self, value: object) -> None:
        absent = value is None or value is UNSET
        if type(value) not in self.kinds and (
            absent or isinstance(value, bool) or not isinstance(value, self.kinds)
        ):
            raise InvalidValue(self.field, value, f"must be {self.said}")
        if absent:
            return
        for rule in self.rules:
            rule.check(value, self.field)
        if self.element is not None and isinstance(value, tuple):
            if len(value) > BATCH_MAX:
                raise InvalidValue(self.field, f"of {len(value)}", f"at most {BATCH_MAX} at once")
            for item in value:
                self.element(item)


def _said(kind: type) -> str:
    choices = f" ({', '.join(map(str, kind))})" if issubclass(kind, Enum) else ""
    return kind.__name__ + choices


@cache
def _checks(kind: type) -> tuple[tuple[str, object, _Check], ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        (field.name, field.default, _Check(field.name, hints[field.name]))
        for field in msgspec.structs.fields(kind)
    )


def check(value: msgspec.Struct) -> None:
    """Check every field of a command, query or actor against its type and rules.

    Raises:
        InvalidValue: naming the field, the value and the rule.
    """
    for name, default, verify in _checks(type(value)):
        found = getattr(value, name)
        if found is not default:
            verify(found)
