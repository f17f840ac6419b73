"""How a route's HTTP request becomes its command or query.

Invariant: every field of the request comes from exactly one place (path, query string, body or
header), and nothing that is sent is ignored.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any, Final, NamedTuple, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import asdict, replace

from allotment.doors.rest.bodies import Body
from allotment.doors.rest.faults import UnsupportedMediaType
from allotment.doors.rest.texts import Reader, element_of, reader_of
from allotment.doors.rest.visit import Visit
from allotment.errors import AllotmentError, InvalidValue, VersionRequired
from allotment.model import wire
from allotment.model.commands import Batch, Command
from allotment.model.queries import Query
from allotment.model.routes import ROUTES, Route

Request = Command[Any] | Query[Any]  # Any: whatever it answers

KEY: Final = "idempotency_key"
PARAMETERS_MAX: Final = 1000
_JSON = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE)
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_TAG = re.compile(r'"([0-9]{1,18})"')


class Field(NamedTuple):
    """A field of a request as the wire has it."""

    name: str
    hint: Any  # Any: an annotation
    required: bool
    default: Any  # Any: a value of the field


def batchable() -> list[type[Command[Any]]]:
    """The commands that may be parts of a batch."""
    found = {
        route.request
        for route in ROUTES
        if issubclass(route.request, Command)
        and route.request is not Batch
        and route.request.journaled
        and route.request.takes_key
    }
    return sorted(found, key=lambda kind: kind.__name__)


def fields_of(route: Route) -> list[Field]:
    """The fields of a route's request, but for the one that travels in a header."""
    hints = get_type_hints(route.request, include_extras=True)
    if route.request is Batch:
        hints["commands"] = tuple[reduce(or_, batchable()), ...]  # type: ignore[misc]
    return [
        Field(field.name, hints[field.name], field.required, field.default)
        for field in msgspec.structs.fields(route.request)
        if field.name != KEY
    ]


def body_type(route: Route) -> type[msgspec.Struct]:
    """The struct of a route's body: the fields that the path does not name."""
    members: list[Any] = [
        (field.name, field.hint) if field.required else (field.name, field.hint, field.default)
        for field in fields_of(route)
        if field.name not in route.in_path
    ]
    name = f"{route.request.__name__}Body"
    return msgspec.defstruct(name, members, forbid_unknown_fields=True, kw_only=True, frozen=True)


class Form:
    """How the requests of one route are read."""

    def __init__(self, route: Route) -> None:
        self.route = route
        fields = {field.name: field for field in fields_of(route)}
        self._path = [(name, reader_of(fields[name].hint)) for name in route.in_path]
        others = [field for name, field in fields.items() if name not in route.in_path]
        self._query: dict[str, tuple[Reader, bool]] = {}
        self._required: list[str] = []
        self._body = Body(body_type(route)) if route.has_body else None
        if not route.has_body:
            for field in others:
                element = element_of(field.hint)
                self._query[field.name] = reader_of(element or field.hint), element is not None
            self._required = [field.name for field in others if field.required]
        self._sign = _sign_of(route.when) if route.when is not None else None
        self.versioned = "version" in fields and route.method in ("PATCH", "PUT")
        kind = route.request
        self.takes_key = issubclass(kind, Command) and kind.takes_key and route.method != "GET"

    def is_meant(self, raw: bytes) -> bool:
        """Whether a body has the field by which this route differs from its neighbour."""
        if self._sign is None:
            return False
        try:
            return getattr(self._sign.decode(raw), self.route.when or "") is not msgspec.UNSET
        except (msgspec.MsgspecError, ValueError):
            return False

    def read(self, visit: Visit, values: tuple[str, ...], raw: bytes) -> Request:
        """The command or query that is meant.

        Raises:
            InvalidValue, VersionRequired, UnsupportedMediaType: it says something that it may not.
        """
        fields = self._from_body(visit, raw) if self._body else self._from_query(visit, raw)
        for (name, read), text in zip(self._path, values, strict=True):
            fields[name] = _read(read, name, text)
        self._headers(visit, fields)
        return self.route.request(**fields)

    def locate(self, error: InvalidValue, request: Request) -> None:
        """Say where in the request the value stands that the desk refused."""
        if any(name in error.facts for name in ("pointer", "parameter", "header")):
            return
        if isinstance(request, Batch):
            _locate_part(error, request)
            return
        name, bracket, _ = str(error.facts["field"]).partition("[")
        if name == KEY:
            error.facts["header"] = "idempotency-key"
        elif name in self.route.in_path or name in self._query:
            error.facts["parameter"] = name
        elif name in type(request).__struct_fields__:
            place = _place_in(request, name) if bracket else None
            error.facts["pointer"] = f"/{name}" if place is None else f"/{name}/{place}"

    def _from_body(self, visit: Visit, raw: bytes) -> dict[str, Any]:
        assert self._body is not None, "the route has a body"
        if visit.query:
            raise _parameter("query string", visit.query, "this request has no parameters")
        kind = visit.header("content-type")
        if kind is not None and _JSON.fullmatch(kind) is None:
            raise UnsupportedMediaType(kind)
        encoding = visit.header("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            raise UnsupportedMediaType(encoding)
        if raw and kind is None:
            raise UnsupportedMediaType("without a Content-Type")
        return asdict(self._body.read(raw or b"{}"))

    def _from_query(self, visit: Visit, raw: bytes) -> dict[str, Any]:
        if raw:
            error = InvalidValue("body", f"of {len(raw)} bytes", "this request has no body")
            error.facts["pointer"] = ""
            raise error
        fields: dict[str, Any] = {}
        for name, text in _parameters(visit.query):
            if name not in self._query:
                raise _parameter(name, text, "there is no such parameter")
            read, many = self._query[name]
            if many:
                fields[name] = (*fields.get(name, ()), _read(read, name, text))
            elif name in fields:
                raise _parameter(name, text, "give it once")
            else:
                fields[name] = _read(read, name, text)
        for name in self._required:
            if name not in fields:
                raise _parameter(name, "(none)", "it is required")
        return fields

    def _headers(self, visit: Visit, fields: dict[str, Any]) -> None:
        key = visit.header("idempotency-key")
        if key is not None:
            if not self.takes_key:
                raise _header("idempotency-key", key, "this request takes none")
            fields[KEY] = key
        expected = visit.header("if-match")
        if expected is None:
            if self.versioned and fields.get("version") is None:
                raise VersionRequired(self._what)
            return
        if not self.versioned:
            raise _header("if-match", expected, "this request takes none")
        if fields.get("version") is not None:
            raise _header("if-match", expected, "the body names a version already")
        fields["version"] = _version(expected)

    @property
    def _what(self) -> str:
        return self.route.in_path[-1] if self.route.in_path else "resource"


def _sign_of(name: str) -> msgspec.json.Decoder[Any]:
    hint = msgspec.Raw | msgspec.UnsetType
    return msgspec.json.Decoder(msgspec.defstruct("Sign", [(name, hint, msgspec.UNSET)]))


def _version(text: str) -> int | None:
    """The version that an entity tag names; None: any."""
    if text.strip() == "*":
        return None
    match = _TAG.fullmatch(text.strip())
    if match is None:
        raise _header("if-match", text, "give one ETag as it was answered, or *")
    return int(match[1])


def _read(read: Reader, name: str, text: str) -> Any:  # Any: a value of the field
    try:
        return read(name, text)
    except InvalidValue as error:
        error.facts["parameter"] = name
        raise


def _parameters(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        if not query.isascii() or _BROKEN.search(query):
            raise ValueError("badly encoded")
        return parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError as error:
        rule = "write name=value, joined by &, percent-encoded UTF-8"
        raise _parameter("query string", query, rule) from error


def _parameter(name: str, value: object, rule: str) -> InvalidValue:
    error = InvalidValue(name[:60], value, rule)
    error.facts["parameter"] = name[:60]
    return error


def _header(name: str, value: str, rule: str) -> InvalidValue:
    error = InvalidValue(name, value, rule)
    error.facts["header"] = name
    return error


def _place_in(request: Request, name: str) -> int | None:
    """Which item of a tuple breaks its rule."""
    for place, item in enumerate(getattr(request, name)):
        if _breaks(replace(request, **{name: (item,)})):
            return place
    return None


def _locate_part(error: InvalidValue, batch: Batch) -> None:
    for place, command in enumerate(batch.commands):
        if _breaks(command):
            name = str(error.facts["field"]).partition("[")[0]
            error.facts["pointer"] = f"/commands/{place}/{name}"
            return


def _breaks(request: Request) -> bool:
    try:
        wire.check(request)
    except AllotmentError:
        return True
    return False
