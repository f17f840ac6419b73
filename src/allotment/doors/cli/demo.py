"""`allotment demo`: something to look at.

Invariant: a book that holds something is left alone unless `--yes` says otherwise.
"""

from __future__ import annotations

from typing import Final

import click

from allotment.doors.cli import output, tree
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.progress import progress
from allotment.doors.cli.tables import COLUMNS, used
from allotment.doors.exchange import demo
from allotment.doors.exchange.demo_names import ACQUIRED, CORPORATE, SCOPES
from allotment.doors.exchange.demo_plan import SIZES
from allotment.errors.counts import counted
from allotment.model.queries import GetStatus, GetUtilisation
from allotment.model.results import Utilisation

# How deep the trees are shown.
_EXCERPT: Final = {CORPORATE: 1, ACQUIRED: 2}
_FULLEST: Final = 8
_FULLEST_SIZE: Final = 32


@click.command("demo", cls=DoorCommand)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another plan.")
@click.option(
    "--size",
    type=click.Choice(list(SIZES)),
    default="full",
    show_default=True,
    help="full: about 2,000 subnets and 30,000 allocations; small: about 100 and 2,000.",
)
@click.option("--yes", is_flag=True, help="Add it to a book that is not empty.")
@click.pass_obj
def demo_command(invocation: Invocation, *, seed: int, size: str, yes: bool) -> None:
    """Build the address plan of an invented enterprise, and show it.

    Sites in IPv4 and IPv6, links, data centres, guests; a second address scope uses the same
    private space. It needs an empty book, or --yes.

    \b
    Examples:
      allotment demo --database sqlite:///demo.db
      allotment demo --size small --output json
    """
    demo.check_room(invocation, add=yes)
    commands = demo.planned(invocation, seed, size)
    with progress("building the demo") as advance:
        finished = 0

        def done(count: int) -> None:
            nonlocal finished
            finished += count
            advance(finished, len(commands))

        demo.build(invocation, commands, done)
    _show(invocation)


def _show(invocation: Invocation) -> None:
    status = invocation.ask(GetStatus())
    if not invocation.is_table:
        output.resource(invocation, status)
        return
    for scope, depth in _EXCERPT.items():
        invocation.scope = scope
        tree.draw(invocation, depth)
        output.write("\n")
    uses = [
        use
        for scope in SCOPES
        for use in invocation.every(GetUtilisation(scope=scope, kind="subnet"))
        if use.pool_size >= _FULLEST_SIZE
    ]
    uses.sort(key=_share, reverse=True)
    output.said(invocation, "The fullest subnets:")
    output.table(uses[:_FULLEST], COLUMNS[Utilisation])
    counts = {
        "address scopes": status.scopes,
        "subnet pools": status.pools,
        "subnets": status.subnets,
        "allocations": status.allocations,
    }
    read = ", ".join(counted(count, nouns) for nouns, count in counts.items())
    output.said(invocation, f"the book {status.database} holds {read}")
    output.said(invocation, "try: allotment tree --scope corporate --depth 3")
    output.said(invocation, "     allotment lookup 10.16.2.5")
    output.said(
        invocation, "     allotment allocate 'amberfield servers' --hostname new.example.net"
    )


def _share(use: Utilisation) -> tuple[int, int]:
    """How full, in millionths; of equally full ones, the larger first."""
    part, whole = used(use)
    return (part * 1_000_000 // whole if whole else 0), whole
