"""Options that every command takes, wherever on the line they stand.

Invariant: `--database`, `--server`, `--output` and `--debug` mean the same before, between and
after the command words, and the last one wins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import click

from allotment.doors.cli.invocation import Invocation

OUTPUTS = ("table", "json", "csv")


def kept_as(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """An option's callback that keeps a given value in the invocation (Any: as click has it)."""

    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        invocation = context.ensure_object(Invocation)
        if value is not None and value is not False:
            setattr(invocation, name, value)

    return keep


def kept_option(*words: str, name: str, **settings: Any) -> click.Option:  # Any: as click has it
    """An option whose value is kept in the invocation instead of being passed on."""
    return click.Option([*words], expose_value=False, callback=kept_as(name), **settings)


@cache
def everywhere() -> tuple[click.Option, ...]:
    """The options that every command and group of commands takes."""
    return (
        kept_option(
            "--database",
            name="database",
            metavar="URL",
            help="Where the book is: sqlite:///path or postgresql://user@host/name."
            " Default: $ALLOTMENT_DATABASE, else a file in your data folder."
            " (Passwords belong in ~/.pgpass.)",
        ),
        kept_option(
            "--server",
            name="server",
            metavar="URL",
            help="The server that keeps the book: https://host. Default: $ALLOTMENT_SERVER, else"
            " what you logged in to. (Tokens belong in 'allotment login', $ALLOTMENT_TOKEN or the"
            " file that $ALLOTMENT_TOKEN_FILE names.)",
        ),
        kept_option(
            "--output",
            name="output",
            type=click.Choice(OUTPUTS),
            help="How to print the answer. Default: table.",
        ),
        kept_option(
            "--debug",
            name="debug",
            is_flag=True,
            help="Show the traceback of an unexpected error (also: ALLOTMENT_DEBUG=1).",
        ),
    )


class DoorCommand(click.Command):
    """A command that takes the options of all commands."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *everywhere(), *own[-1:]]


class DoorGroup(click.Group):
    """A group whose commands take the options of all commands."""

    command_class = DoorCommand
    group_class = type

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *everywhere(), *own[-1:]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of their definition: make, look, change, remove."""
        return list(self.commands)
