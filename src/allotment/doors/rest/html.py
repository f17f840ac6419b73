"""Pages for people, written on the server: no script, nothing from elsewhere.

Invariant: every text is escaped where it is written; the one style sheet is allowed by its digest.
"""

from __future__ import annotations

import hashlib
import inspect
from base64 import b64encode
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final

from allotment.doors.rest.answers import Header
from allotment.doors.rest.faults import NoSuchPath
from allotment.doors.rest.openapi import description
from allotment.doors.rest.problems import every_error, status_of, title_of
from allotment.errors import AllotmentError, StoreError

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1f24}code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{background:#f4f6f8;padding:.75rem;overflow:auto}table{border-collapse:collapse}"
    "td,th{border:1px solid #d5dae0;padding:.25rem .6rem;text-align:left;vertical-align:top}"
    "section{border-top:1px solid #d5dae0;margin-top:1.5rem}"
)
_DIGEST: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final[Header] = (
    b"content-security-policy",
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'".encode(),
)


def page_of() -> str:
    """The description of the service as a page."""
    told = description()
    parts = [f"<p>{escape(told['info']['description'])}</p>"]
    parts.append('<p><a href="/openapi.json">OpenAPI</a> · <a href="/problems">Problems</a></p>')
    for path, item in told["paths"].items():
        for method, operation in item.items():
            parts.append(_operation(f"{method.upper()} {path}", operation))
    parts.append("<h2>Schemas</h2>")
    parts += [_schema(name, schema) for name, schema in told["components"]["schemas"].items()]
    return _page(f"{told['info']['title']} {told['info']['version']}", parts)


def problems_page() -> str:
    """Every error there is."""
    rows = [
        (f'<a href="/problems/{kind.code}"><code>{kind.code}</code></a>', status, told)
        for kind in every_error()
        for status, told in [(str(status_of(kind)), escape(_text(kind)))]
    ]
    return _page("Problems", [_table(("code", "status", "meaning"), rows)])


def problem_page(code: str) -> str:
    """One error: what it means, and what is told with it.

    Raises:
        NoSuchPath: there is no such error.
    """
    kinds = [kind for kind in every_error() if kind.code == code]
    if not kinds:
        raise NoSuchPath(f"/problems/{code}")
    kind = kinds[0]
    again = "Yes: it may go well the next time." if kind.retryable else "No, not as it is."
    rows = [
        ("Status", str(status_of(kind))),
        ("Kind", escape(kind.kind)),
        ("Try again?", again),
        ("Facts", ", ".join(f"<code>{escape(fact)}</code>" for fact in _facts(kind)) or "none"),
    ]
    parts = [f"<p><code>{escape(code)}</code></p><p>{escape(_text(kind))}</p>", _table((), rows)]
    parts.append('<p><a href="/problems">All problems</a></p>')
    return _page(title_of(code), parts)


def _facts(kind: type[AllotmentError]) -> Iterator[str]:
    if issubclass(kind, StoreError) or kind is AllotmentError:
        return
    yield from list(inspect.signature(kind.__init__).parameters)[1:]


def _text(kind: type[AllotmentError]) -> str:
    return inspect.cleandoc(kind.__doc__ or kind.code)


def _operation(title: str, operation: dict[str, Any]) -> str:  # Any: JSON
    rows = [
        (f"<code>{escape(p['name'])}</code>", escape(p["in"]), _type(p["schema"]))
        for p in operation.get("parameters", [])
    ]
    parts = [f"<h3><code>{escape(title)}</code></h3>"]
    parts.append(f"<p>{escape(operation.get('description', operation['summary']))}</p>")
    if rows:
        parts.append(_table(("parameter", "in", "type"), rows))
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_content(operation['requestBody'])}</p>")
    for code, answer in operation["responses"].items():
        if code.startswith("2"):
            parts.append(f"<p>Answer {escape(code)}: {_content(answer)}</p>")
    refused = ", ".join(code for code in operation["responses"] if not code.startswith("2"))
    parts.append(f"<p>Problems: {escape(refused)}</p>" if refused else "")
    return f'<section id="{escape(operation["operationId"])}">{"".join(parts)}</section>'


def _content(told: dict[str, Any]) -> str:  # Any: JSON
    found = told.get("content", {}).get("application/json", {}).get("schema")
    return _type(found) if found else "as its media type says"


def _schema(name: str, schema: dict[str, Any]) -> str:  # Any: JSON
    required = schema.get("required", [])
    rows = [
        (f"<code>{escape(field)}</code>", _type(kind), "yes" if field in required else "")
        for field, kind in schema.get("properties", {}).items()
    ]
    table = _table(("field", "type", "required"), rows) if rows else _type(schema)
    text = escape(schema.get("description", ""))
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p>{table}</section>'
    )


def _type(schema: Any) -> str:  # Any: JSON
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(map(_type, schema[word]))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{w} {schema[w]}" for w in ("minimum", "maximum", "maxLength") if w in schema]
    said = schema.get("title") or schema.get("type", "anything")
    return escape(f"{said} ({', '.join(limits)})" if limits else str(said))


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _page(title: str, parts: Iterable[str]) -> str:
    name = escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{name}</h1>{''.join(parts)}</body></html>\n"
    )
