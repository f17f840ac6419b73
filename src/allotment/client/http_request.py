"""A command or query as the HTTP request that stands for it.

Invariant: the routes of the model alone say where a request goes; a field that is as it would be
anyway is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from allotment.model import wire
from allotment.model.answers import Request
from allotment.model.commands import Batch, Command
from allotment.model.routes import Route, by_request

# What travels in a header.
_KEY = "idempotency_key"
_VERSION = "version"


class HttpRequest(NamedTuple):
    """One request; `target` is its path and query string."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


def http_request(request: Request) -> HttpRequest:
    """What to send for a command or query: the first route of its kind whose path it fills."""
    fields = _given(request)
    route = next(one for one in by_request()[type(request)] if fields.keys() >= {*one.in_path})
    headers = _headers(fields)
    if "If-Match" not in headers and _is_versioned(route):
        headers["If-Match"] = "*"
    path = route.path
    for name in route.in_path:
        path = path.replace("{" + name + "}", _segment(str(fields.pop(name))))
    if route.has_body:
        headers["Content-Type"] = "application/json"
        return HttpRequest(route.method, path, headers, msgspec.json.encode(fields))
    pairs = [(name, text) for name, value in fields.items() for text in _texts(value)]
    query = f"?{urlencode(pairs)}" if pairs else ""
    return HttpRequest(route.method, path + query, headers, None)


def _given(request: Request) -> dict[str, Any]:  # Any, here and below: JSON values
    """The fields that differ from their defaults, as JSON has them."""
    given = {}
    for field in msgspec.structs.fields(request):
        value = getattr(request, field.name)
        if value is not msgspec.UNSET and value != field.default:
            given[field.name] = wire.plain(value)
    if isinstance(request, Batch):
        given["commands"] = [_tagged(part) for part in request.commands]
    return given


def _tagged(part: Command[Any]) -> dict[str, Any]:
    return {"do": type(part).__name__, **_given(part)}


def _headers(fields: dict[str, Any]) -> dict[str, str]:
    headers = {}
    if _KEY in fields:
        headers["Idempotency-Key"] = fields.pop(_KEY)
    if _VERSION in fields:
        headers["If-Match"] = f'"{fields.pop(_VERSION)}"'
    return headers


def _is_versioned(route: Route) -> bool:
    """Whether a change must say which version it is of, be it any."""
    return _VERSION in route.request.__struct_fields__ and route.method in ("PATCH", "PUT")


def _segment(text: str) -> str:
    """One segment of a path; a dot or two would be taken for a way up."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _texts(value: Any) -> list[str]:
    """A field's value in a query string; one of several parts is repeated."""
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)]
