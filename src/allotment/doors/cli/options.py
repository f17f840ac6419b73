"""Options that several commands share, so that one word means one thing.

Invariant: an option of a listing changes which part is shown, never what is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from allotment.doors.cli.grammar import kept_option
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import projects, scopes

F = TypeVar("F", bound=Callable[..., object])


def _added(option: click.Option) -> Callable[[F], F]:
    """A decorator that adds an option made elsewhere, as click's own decorators do."""

    def add(function: F) -> F:
        known = function.__dict__.setdefault("__click_params__", [])
        known.append(option)
        return function

    return add


in_scope: Final = _added(
    kept_option(
        "--scope",
        name="scope",
        metavar="SCOPE",
        shell_complete=scopes,
        help="The address scope meant, where a name or CIDR is in several.",
    )
)


def paged(function: F) -> F:
    """Options of a listing: which page, or all of them."""

    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        # Any: what click's types make of the word
        if value is not None and parameter.name is not None:
            setattr(context.ensure_object(Invocation).listing, parameter.name, value)

    for option in (
        click.option(
            "--limit",
            type=int,
            metavar="N",
            callback=keep,
            expose_value=False,
            help="How many at most, 1 to 1000. Default: 100.",
        ),
        click.option(
            "--cursor",
            metavar="CURSOR",
            callback=keep,
            expose_value=False,
            help="Go on from the `next` of the page before.",
        ),
        click.option(
            "--all",
            "everything",
            is_flag=True,
            default=None,
            callback=keep,
            expose_value=False,
            help="All pages, to the end.",
        ),
    ):
        function = option(function)
    return function


description: Final = click.option("--description", metavar="TEXT", help="What it is for.")
tags: Final = click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; repeatable.")
no_tags: Final = click.option("--no-tags", is_flag=True, help="Remove all tags.")
key: Final = click.option(
    "--key",
    metavar="IDEMPOTENCY-KEY",
    help="Asking again with the same key gets the first answer, and changes nothing.",
)
if_version: Final = click.option(
    "--if-version", type=int, metavar="N", help="Only if it is still at this version."
)
project: Final = click.option(
    "--project", metavar="PROJECT", shell_complete=projects, help="The project that owns it."
)
no_project: Final = click.option("--no-project", is_flag=True, help="It belongs to no project.")
owner: Final = click.option(
    "--owner", metavar="PROJECT", shell_complete=projects, help="The project that holds it."
)
identifier: Final = click.option(
    "--identifier",
    metavar="I",
    help="Your own key for it: asking again with it returns the same allocation.",
)
cascade: Final = click.option(
    "--cascade", is_flag=True, help="Remove what is inside, too; shows it first, and asks."
)
yes: Final = click.option("--yes", is_flag=True, help="Do not ask.")
dry_run: Final = click.option(
    "--dry-run", is_flag=True, help="Only show what a delete with --cascade would remove."
)
