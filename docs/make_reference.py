"""Write docs/reference/ from the code: operations, errors, command line.

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
from allotment.model import commands, events, grants, queries
from allotment.operations.answers import answer_type

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
            if isinstance(kind, type) and issubclass(kind, root) and kind is not root:
                yield kind


def operations(root: type[msgspec.Struct], *modules: Any) -> Iterator[str]:
    """One section for each command or query."""
    for kind in kinds(root, *modules):
        answer = shown(answer_type(kind))
        yield f"## {kind.__name__} → {answer}\n"
        yield f"{inspect.getdoc(kind)}\n"
        yield f"Needs the role `{kind.needs}`.\n"
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
    python += ["# Commands\n", *operations(commands.Command, commands, grants, events)]
    python += ["# Queries\n", *operations(queries.Query, queries, grants, events)]
    table = ["# Errors\n", MADE, *error_rows()]
    shell = ["# Command line\n", MADE, *words(cli, context_of(cli, None, "allotment"))]
    made = {"operations.md": python, "errors.md": table, "command-line.md": shell}
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def main() -> None:
    """Write every page."""
    HERE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (HERE / name).write_text(text)
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
