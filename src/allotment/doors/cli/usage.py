"""`allotment usage`: how full things are.

Invariant: free, quarantined and held add up to the size of the pools.
"""

from __future__ import annotations

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import containers
from allotment.model.queries import GetUtilisation
from allotment.model.results import Utilisation


@click.command("usage", cls=DoorCommand)
@click.argument("names", metavar="[SUBNET|POOL|SCOPE]...", nargs=-1, shell_complete=containers)
@options.in_scope
@click.option(
    "--kind",
    type=click.Choice(["subnet", "pool", "scope"]),
    help="What NAME is, or which to list. Default without a name: scope.",
)
@options.paged
@click.pass_obj
def usage(invocation: Invocation, names: tuple[str, ...], kind: str | None) -> None:
    """Show how full a subnet, subnet pool or address scope is; without a name: all address scopes.

    What is held, quarantined and free adds up to the size of the pools.

    \b
    Examples:
      allotment usage
      allotment usage web
      allotment usage --kind subnet --scope corp --all
    """
    query = GetUtilisation(containers=names, scope=invocation.scope, kind=kind)
    if len(names) == 1:
        output.resource(invocation, invocation.ask(query).items[0])
    else:
        output.listing(invocation, query, Utilisation)
