"""The root of the command line: its commands, imported on use, and where every error ends.

Invariant: whatever happens, the process ends with a documented exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from allotment import __version__
from allotment.doors.cli.failures import (
    DONE,
    EXIT_CODES_TOLD,
    PIPE_CLOSED,
    tell,
    wants_json,
)
from allotment.doors.cli.grammar import DoorGroup, kept_option
from allotment.doors.cli.invocation import Invocation


class Home(NamedTuple):
    """Where a command is defined, below allotment.doors.cli, and what the help says of it."""

    module: str
    name: str
    purpose: str


SECTIONS: Final[Mapping[str, Mapping[str, Home]]] = {
    "The book": {
        "init": Home("book", "init", "Make the book, or upgrade an older one."),
        "status": Home("book", "status", "Show where the book is, and how much it holds."),
        "check": Home("book", "check", "Prove the book consistent, or name what is not."),
        "demo": Home("demo", "demo_command", "Fill a book with a realistic plan to try."),
    },
    "Plan the address space": {
        "scope": Home("scopes", "scope_group", "Address scopes: where addresses are unique."),
        "pool": Home("pools", "pool_group", "Subnet pools: prefixes to carve subnets from."),
        "subnet": Home("subnets", "subnet_group", "Subnets: prefixes to hand out addresses of."),
        "project": Home("projects", "project_group", "Projects: the tenants that own things."),
    },
    "Hand out, take back": {
        "allocate": Home("allocate", "allocate", "Hold one address of a subnet, or many at once."),
        "release": Home("release", "release", "Give addresses back to their subnet."),
        "allocation": Home("allocations", "allocation_group", "The addresses that are held."),
    },
    "Look around": {
        "lookup": Home("look", "lookup", "Say what an address, a prefix or a name is."),
        "search": Home("look", "search", "Find all that begins with a word."),
        "tree": Home("tree", "tree", "Draw the prefixes as a tree, with how full they are."),
        "usage": Home("usage", "usage", "Show how full things are."),
        "free": Home("look", "free", "List free space, as ranges or prefixes."),
        "history": Home("history", "history", "List who held an address, or who held it then."),
        "forget": Home("history", "forget", "Forget who held addresses, up to a time."),
    },
    "Who may do what, and who did": {
        "login": Home("login", "login", "Work on the book of a server from now on."),
        "logout": Home("login", "logout", "Forget the login."),
        "whoami": Home("login", "whoami", "Show which book is asked, and whom it takes you for."),
        "token": Home("tokens", "token_group", "API tokens: who comes in without a person."),
        "grant": Home("grants", "grant_group", "Grants: who may do what, on what."),
        "events": Home("events", "events", "List the changes of the book, or follow them."),
        "operation": Home("events", "operation", "Find out what became of a keyed command."),
        "audit": Home("audit", "audit_group", "The audit log, and the proof that it is whole."),
    },
    "Bring in, take along": {
        "import": Home("exchange", "import_group", "Bring in address plans from elsewhere."),
        "export": Home("exchange", "export_group", "Write the book out as CSV or JSON."),
        "completion": Home("completion", "completion", "Print a shell's completion script."),
    },
    "Beside an OpenStack": {
        "neutron": Home("neutron", "neutron_group", "Keep Neutron and the book at one."),
    },
    "Serve": {
        "serve": Home("serve", "serve", "Serve the book to others, over HTTP."),
    },
}


class RootGroup(DoorGroup):
    """All commands by name; the module of one is imported when it is asked for."""

    homes: Final = {word: home for words in SECTIONS.values() for word, home in words.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the help."""
        return list(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        home = self.homes.get(cmd_name)
        if home is None:
            return None
        found = getattr(import_module(f"allotment.doors.cli.{home.module}"), home.name)
        assert isinstance(found, click.Command), "a command is at home there"
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; a mistyped one is told with those it may be."""
        if args[0] not in self.homes and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.homes, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by topic; none is imported for it."""
        for heading, words in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(word, home.purpose) for word, home in words.items()])

    def invoke(self, ctx: click.Context) -> Any:  # Any: as click has it
        """Run the command; a reader that went away (`| head`) is no error of ours."""
        ctx.call_on_close(ctx.ensure_object(Invocation).close)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence(sys.stdout)
            raise click.exceptions.Exit(PIPE_CLOSED) from None
        return result

    def main(  # type: ignore[override]  # click's overloads tell standalone_mode apart
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:  # Any: as click has it
        """Run a command line and end the process with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        if not extra.pop("standalone_mode", True):
            return super().main(arguments, prog_name, standalone_mode=False, **extra)
        sys.exit(self._run(arguments, prog_name, extra))

    def _run(self, arguments: list[str], prog_name: str | None, extra: dict[str, Any]) -> int:
        try:
            code = super().main(arguments, prog_name, standalone_mode=False, **extra)
        except Exception as error:  # noqa: BLE001 - the last resort: one line, and an exit code
            return tell(error, as_json=wants_json(arguments), debug=_debugging(arguments))
        return code if isinstance(code, int) else DONE


def _debugging(arguments: Sequence[str]) -> bool:
    return "--debug" in arguments or os.environ.get("ALLOTMENT_DEBUG", "") not in ("", "0")


def _silence(stream: Any) -> None:  # Any: whatever stands in for the standard output
    """Send what is left to nobody, so that closing the stream at exit does not fail again."""
    try:
        descriptor = stream.fileno()
    except OSError:
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


@click.command(
    "allotment",
    cls=RootGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"""\b
Begin with:
  allotment scope create corp
  allotment subnet create 10.0.0.0/24 --name web
  allotment allocate web --hostname www
  allotment tree

{EXIT_CODES_TOLD}""",
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context) -> None:
    """Keep the book of your address space: plan it, hand out addresses, each only once.

    A SUBNET is an id, a name or a CIDR; a POOL or SCOPE is an id or a name. Where a name is in
    several address scopes, --scope says which.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


root.params.append(
    kept_option(
        "--scope", name="scope", metavar="SCOPE", help="The address scope meant, by name or id."
    )
)
