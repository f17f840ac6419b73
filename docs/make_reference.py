"""Write docs/reference/ from the code: operations, errors, command line, HTTP.

Invariant: the reference says what the code says; a test makes it anew and compares.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import click
import msgspec

from allotment import errors
from allotment.doors.cli.app import root as cli
from allotment.doors.rest import openapi, problems
from allotment.model import commands, events, grants, history, queries
from allotment.model.answers import answer_type
from allotment.model.routes import ROUTES

HERE = Path(__file__).parent / "reference"
HOMES = (
    "address_range.",
    "address.",
    "prefix.",
    "mac.",
    "results.",
    "commands.",
    "access.",
    "grants.",
    "events.",
    "history.",
    "secret.",
)
MADE = "<!-- made by docs/make_reference.py: change the code, then run it -->\n"


def shown(hint: Any) -> str:
    """A type as a reader wants it."""
    text = str(getattr(hint, "__name__", hint) if isinstance(hint, type) else hint)
    for module in ("allotment.model.", "msgspec._core.", "typing.", "uuid."):
        text = text.replace(module, "")
    for home in HOMES:
        text = text.replace(home, "")
    return text.replace("NoneType", "None").replace("UnsetType", "unset")


def default(field: Any) -> str:
    """What a field is when it is not given."""
    if field.required:
        return "(required)"
    value = field.default
    if value is msgspec.UNSET:
        return "unset: unchanged, or as the text says"
    return "empty" if value in ((), "") else str(value)


def kinds(root: type[msgspec.Struct], *modules: Any) -> Iterator[Any]:
    """The commands or queries of some modules, in the order of the code."""
    for module in modules:
        for kind in vars(module).values():
            known = isinstance(kind, type) and issubclass(kind, root) and kind is not root
            if known and kind.__module__ == module.__name__:  # or it was imported there
                yield kind


def operations(root: type[msgspec.Struct], *modules: Any) -> Iterator[str]:
    """One section for each command or query."""
    for kind in kinds(root, *modules):
        answer = shown(answer_type(kind))
        yield f"## {kind.__name__} → {answer}\n"
        yield f"{inspect.getdoc(kind)}\n"
        yield f"Needs the role `{kind.needs}`.\n"  # type: ignore[attr-defined]
        fields = msgspec.structs.fields(kind)
        if not getattr(kind, "takes_key", True):
            fields = tuple(field for field in fields if field.name != "idempotency_key")
        if fields:
            hints = get_type_hints(kind)
            yield "| field | type | when not given |\n|---|---|---|"
            for field in fields:
                hint = shown(hints[field.name]).replace("|", "or")
                yield f"| `{field.name}` | {hint} | {default(field)} |"
            yield ""


def error_rows() -> Iterator[str]:
    """One row for each error."""
    yield "| code | error | kind | try again? | meaning |\n|---|---|---|---|---|"
    for name in sorted(errors.__all__):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.AllotmentError):
            again = "yes" if kind.retryable else "no"
            meaning = (kind.__doc__ or "").strip().split("\n")[0].replace("|", "or")
            yield f"| `{kind.code}` | {name} | {kind.kind} | {again} | {meaning} |"


REST = """\
`allotment serve` serves the book over HTTP/1.1 and JSON. The whole description is
[openapi.json](openapi.json), served at `/openapi.json` and, for people, at `/docs`.

- **Who you are**: `Authorization: Bearer TOKEN`, everywhere but at `/healthz` and `/readyz`.
- **Paths**: one segment is one percent-encoded reference; `10.1.0.0/24` is `10.1.0.0%2F24`.
- **Fields** that the path does not name stand in the body (POST, PUT, PATCH: JSON) or in the query
  string (GET, DELETE: repeated for a list, `true` and `false`). Unknown and doubled ones are
  refused.
- **Versions**: what has a `version` is answered with an `ETag`; PATCH and PUT of it need `If-Match`
  (or `version` in the body): 428 without, 412 when it is another by now.
- **Again, but not twice**: `Idempotency-Key` on POST, PUT, PATCH and DELETE gives the first answer
  again.
- **Pages**: `limit`, and `Link: <...>; rel="next"`. A cursor is good for its listing, filters and
  actor, and for nothing else.
- **Events as they happen**: `GET /v1/events` with `Accept: text/event-stream`; `Last-Event-ID` goes
  on after an event.
- **Limits**: a body of 1 MiB (a batch: 16 MiB), 16 KiB of path and headers, JSON 32 deep. Rates:
  `allotment serve --rate`. Beyond what waits already: 503 and `Retry-After`.
- **Errors** are problem documents (RFC 9457): `code` is stable, `retryable` says whether the same
  request may go well later, `errors` where in the request a value breaks which rule.
- `/metrics` is for Prometheus; it needs the role `viewer` on the installation.
"""


def routes() -> Iterator[str]:
    """One row for each route."""
    yield "| request | operation | needs | answers |\n|---|---|---|---|"
    for route in ROUTES:
        kind = route.request
        tail = f", with `{route.when}` in the body" if route.when else ""
        tail += f": its `{route.part}`" if route.part else ""
        asked = f"`{route.method} {route.path}`{tail}"
        yield f"| {asked} | {kind.__name__} | {kind.needs} | {route.success} |"


def statuses() -> Iterator[str]:
    """One row for each error, by status."""
    yield "| status | code | meaning |\n|---|---|---|"
    for kind in sorted(problems.every_error(), key=lambda one: (problems.status_of(one), one.code)):
        yield f"| {problems.status_of(kind)} | `{kind.code}` | {problems.summary_of(kind)} |"


def words(command: click.Command, context: click.Context) -> Iterator[str]:
    """The help of a command and of all below it."""
    yield f"## `{context.command_path}`\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from words(below, context_of(below, context, name))


def context_of(command: click.Command, parent: click.Context | None, name: str) -> click.Context:
    """A context as wide as the page."""
    names = {"help_option_names": ["-h", "--help"]} if parent is None else {}
    return click.Context(command, parent=parent, info_name=name, terminal_width=96, **names)


def pages() -> dict[str, str]:
    """The reference: file names and their texts."""
    python = ["# Operations\n", MADE]
    python += ["# Commands\n", *operations(commands.Command, commands, history, grants, events)]
    python += ["# Queries\n", *operations(queries.Query, queries, history, grants, events)]
    table = ["# Errors\n", MADE, *error_rows()]
    shell = ["# Command line\n", MADE, *words(cli, context_of(cli, None, "allotment"))]
    http = ["# REST\n", MADE, REST, "## Routes\n", *routes(), "\n## Problems\n", *statuses()]
    made = {"operations.md": python, "errors.md": table, "command-line.md": shell, "rest.md": http}
    texts = {name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}
    return texts | {"openapi.json": openapi.encoded().decode()}


def main() -> None:
    """Write every page."""
    HERE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (HERE / name).write_text(text)
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
