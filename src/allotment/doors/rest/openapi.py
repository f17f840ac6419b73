"""The description of the service: OpenAPI 3.1, made from the routes.

Invariant: what is described is what is served, no more and no less; a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from allotment.doors.rest import problems
from allotment.doors.rest.examples import body_example, example_of
from allotment.doors.rest.forms import Form, body_type, fields_of
from allotment.doors.rest.shapes import Schema, answer_of, body_schemas, schema_of, schemas
from allotment.doors.rest.texts import element_of
from allotment.model.commands import Command
from allotment.model.results import Page
from allotment.model.routes import ROUTES, Route
from allotment.model.version import VERSION

_TITLE: Final = "Allotment"
_ABOUT: Final = (
    "IP address management that never gives one address twice. A segment of a path is one"
    " percent-encoded reference: the subnet 10.1.0.0/24 is `10.1.0.0%2F24`. Errors are problem"
    " documents (RFC 9457) with a stable `code`. Counts are integers of any size."
)
_ALWAYS: Final = (400, 401, 403, 404, 429, 431, 500, 503, 504)
_CHANGE: Final = (409, 422, 507)
_BODY: Final = (408, 413, 415)
_VERSIONED: Final = (412, 428)
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}


def encoded() -> bytes:
    """The description as JSON."""
    return json.dumps(description(), ensure_ascii=False, indent=1).encode() + b"\n"


@cache
def description() -> Schema:
    """The description as values; nobody changes it."""
    _, answers = schemas([answer_of(route) for route in ROUTES] + [problems.Problem])
    named = answers | body_schemas(list(ROUTES))
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": _TITLE,
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name} for name in sorted({_tag(route) for route in ROUTES})],
        "paths": dict(_paths()) | _own_paths(),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token, or an identity provider's access token.",
                }
            },
            "headers": _headers(),
            "responses": dict(_responses()),
            "schemas": dict(sorted(named.items())),
        },
    }
    plain: Schema = json.loads(json.dumps(found))  # as a reader of the JSON has it
    return plain


def _paths() -> Iterator[tuple[str, Schema]]:
    for path in dict.fromkeys(route.path for route in ROUTES):
        item: Schema = {}
        for route in ROUTES:
            if route.path == path and route.when is None:
                twin = [r for r in ROUTES if r.when and (r.method, r.path) == (route.method, path)]
                item[route.method.lower()] = _operation([route, *twin])
        yield path, item


def _operation(routes: list[Route]) -> Schema:
    """What is said of one method of a path; of its routes, the body chooses one."""
    route = routes[0]
    form = Form(route)
    texts = [(one.request.__doc__ or "").strip() for one in routes]
    needs = getattr(route.request, "needs", None)
    found: Schema = {
        "operationId": _name(route),
        "tags": [_tag(route)],
        "summary": texts[0].split("\n", maxsplit=1)[0],
        "description": "\n\n".join([*texts, f"Needs the role `{needs}`."]),
        "parameters": [*_parameters(route), *_header_parameters(form)],
        "responses": _answers(routes, form),
    }
    if route.has_body:
        found["requestBody"] = _body(routes)
    return found


def _name(route: Route) -> str:
    same = [one for one in ROUTES if one.request is route.request]
    name = route.request.__name__
    return name if route is same[0] else f"{name}-{route.path.split('/')[-1]}"


def _tag(route: Route) -> str:
    return route.path.split("/")[2]


def _parameters(route: Route) -> Iterator[Schema]:
    for field in fields_of(route):
        in_path = field.name in route.in_path
        if route.has_body and not in_path:
            continue
        schema = schema_of(field.hint)
        element = element_of(field.hint)
        if element is not None:
            schema = {"type": "array", "items": schema_of(element)}
        elif "anyOf" in schema:  # nobody writes null into a path or a query string
            schema = _without_null(schema)
        if not in_path and not field.required and isinstance(field.default, int | str):
            schema["default"] = field.default
        yield {
            "name": field.name,
            "in": "path" if in_path else "query",
            "required": in_path or field.required,
            "schema": schema,
            "example": example_of(field.hint, field.name),
        }


def _without_null(schema: Schema) -> Schema:
    left = [part for part in schema["anyOf"] if part != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return rest | left[0] if len(left) == 1 else rest | {"anyOf": left}


def _header_parameters(form: Form) -> Iterator[Schema]:
    yield _header("X-Request-Id", "Your name for the request; else one is made.", "[!-~]{1,128}")
    if form.takes_key:
        text = "Asked again with the same key, the first answer is given; nothing is done twice."
        yield _header("Idempotency-Key", text, "[!-~]{1,255}")
    if form.versioned:
        text = "The ETag that was read, or *. Required unless the body has `version`."
        yield _header("If-Match", text, r'"[0-9]+"|\*')
    if form.route.path == "/v1/events":
        text = "With `Accept: text/event-stream`: the id of the last event that was seen."
        yield _header("Last-Event-ID", text, "[0-9]{1,18}")


def _header(name: str, text: str, pattern: str) -> Schema:
    schema = {"type": "string", "pattern": f"^({pattern})$"}
    return {"name": name, "in": "header", "required": False, "description": text, "schema": schema}


def _body(routes: list[Route]) -> Schema:
    schema = _one_of([{"$ref": f"#/components/schemas/{body_type(r).__name__}"} for r in routes])
    examples = {route.request.__name__: {"value": body_example(route)} for route in routes}
    required = any(
        field.required and field.name not in routes[0].in_path for field in fields_of(routes[0])
    )
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"required": required, "content": content}


def _answers(routes: list[Route], form: Form) -> Schema:
    found, _ = schemas([answer_of(one) for one in routes])
    route = routes[0]
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    for name, shown in (("ETag", _has_version(route)), ("Link", _is_page(route))):
        if shown:
            headers[name] = {"$ref": f"#/components/headers/{name}"}
    content = _json(_one_of(found))
    content["application/json"]["examples"] = {
        one.request.__name__: {"value": example_of(answer_of(one))} for one in routes
    }
    if route.path == "/v1/events":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    codes = [*_ALWAYS, *(_CHANGE if issubclass(route.request, Command) else ())]
    codes += [*(_BODY if route.has_body else ()), *(_VERSIONED if form.versioned else ())]
    success = {"description": "Done.", "headers": headers, "content": content}
    return {str(route.success): success} | {
        str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(codes)
    }


def _one_of(found: list[Schema]) -> Schema:
    different = [schema for place, schema in enumerate(found) if schema not in found[:place]]
    return different[0] if len(different) == 1 else {"oneOf": different}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _has_version(route: Route) -> bool:
    answer = answer_of(route._replace(part=None))
    fields = getattr(answer, "__struct_fields__", ())
    return "version" in fields and answer.__name__ != "BookStatus"


def _is_page(route: Route) -> bool:
    return getattr(answer_of(route), "__origin__", None) is Page


def _headers() -> Schema:
    text: Schema = {"type": "string"}
    return {
        "X-Request-Id": {"description": "The request's name, in logs and events.", "schema": text},
        "ETag": {"description": "The version, for If-Match.", "schema": text},
        "Link": {"description": 'The next page: `<...>; rel="next"`.', "schema": text},
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
        "WWW-Authenticate": {"description": "How to say who you are.", "schema": text},
    }


def _responses() -> Iterator[tuple[str, Schema]]:
    told: dict[int, list[Any]] = {}
    for kind in problems.every_error():
        told.setdefault(problems.status_of(kind), []).append(kind)
    for status, kinds in sorted(told.items()):
        lines = [f"- `{kind.code}`: {problems.summary_of(kind)}" for kind in kinds]
        media = problems.MEDIA_TYPE.decode()
        found: Schema = {
            "description": "\n".join([HTTPStatus(status).phrase + ".", "", *lines]),
            "content": {media: {"schema": _PROBLEM, "example": _problem(kinds[0], status)}},
        }
        names = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
        if status in names:
            found["headers"] = {names[status]: {"$ref": f"#/components/headers/{names[status]}"}}
        yield str(status), found


def _problem(kind: Any, status: int) -> Schema:
    return {
        "type": f"/problems/{kind.code}",
        "title": problems.title_of(kind.code),
        "status": status,
        "detail": problems.summary_of(kind),
        "instance": "/v1/subnets/office",
        "code": kind.code,
        "retryable": kind.retryable,
        "request_id": "8b0d4e1e-5a59-4c0e-9d4c-0b1d0f6f2a11",
    }


def _own_paths() -> Schema:
    """The paths of the service itself."""
    shown = {
        "/healthz": ("IsAlive", "Whether the process lives.", "application/json"),
        "/readyz": ("IsReady", "Whether the database can be reached.", "application/json"),
        "/metrics": ("Metrics", "Figures, as Prometheus reads them.", "text/plain"),
        "/openapi.json": ("Description", "This description.", "application/json"),
        "/docs": ("Documentation", "This description, for people.", "text/html"),
        "/problems": ("Problems", "Every error there is.", "text/html"),
    }
    found: Schema = {}
    for path, (name, text, media) in shown.items():
        responses: Schema = {"200": {"description": text, "content": {media: {}}}}
        operation: Schema = {"operationId": name, "tags": ["service"], "summary": text}
        if path in ("/healthz", "/readyz"):
            operation["security"] = []
        special = {"/healthz": (), "/readyz": (503,), "/metrics": (401, 403, 429, 503)}
        codes = special.get(path, (401, 429, 503))
        for code in codes:
            responses[str(code)] = {"$ref": f"#/components/responses/{code}"}
        found[path] = {"get": operation | {"responses": responses}}
    parameter = {"name": "code", "in": "path", "required": True, "schema": {"type": "string"}}
    page = found["/problems"]["get"]
    responses = page["responses"] | {"404": {"$ref": "#/components/responses/404"}}
    found["/problems/{code}"] = {
        "get": page
        | {"operationId": "Problem", "summary": "One error.", "parameters": [parameter]}
        | {"responses": responses}
    }
    return found
