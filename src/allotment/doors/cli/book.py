"""`allotment init`, `status` and `check`: the book itself.

Invariant: `check` ends with 0 only when the book is clean.
"""

from __future__ import annotations

import click

from allotment.doors.cli import output
from allotment.doors.cli.failures import DONE, UNCLEAN
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.tables import COLUMNS
from allotment.errors.counts import counted
from allotment.model.commands import RepairBook
from allotment.model.queries import CheckBook, GetStatus
from allotment.model.results import CheckReport, Fault


@click.command("init", cls=DoorCommand)
@click.option(
    "--partitions",
    type=int,
    metavar="N",
    help="Keep the big tables in N partitions, by subnet (PostgreSQL; for good).",
)
@click.pass_obj
def init(invocation: Invocation, partitions: int | None) -> None:
    """Make the book where there is none, or upgrade one of an older version.

    A new SQLite file needs no init: the first command makes it.

    With --partitions the rows of a book that has some are copied, which takes some 20 seconds a
    million; stop everything that uses the book until then.

    \b
    Examples:
      allotment init --database postgresql://ipam@db/ipam
      allotment init --database postgresql://ipam@db/ipam --partitions 16
    """
    invocation.refuse_server("'init' makes a book in a database, and a server makes its own")
    invocation.create, invocation.partitions = True, partitions
    status = invocation.ask(GetStatus())
    output.resource(invocation, status, f"the book is ready: {status.database}")


@click.command("status", cls=DoorCommand)
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Show where the book is, and how much it holds."""
    output.resource(invocation, invocation.ask(GetStatus()))


@click.command("check", cls=DoorCommand)
@click.option("--repair", is_flag=True, help="Rebuild what is derived; what is held never changes.")
@click.pass_obj
def check(invocation: Invocation, repair: bool) -> int:
    """Prove the book consistent, or name what is not.

    Everything free, quarantined and held must add up to the whole, and nothing may overlap. Ends
    with 0 only when the book is clean, else with 8.
    """
    report = invocation.do(RepairBook()) if repair else invocation.ask(CheckBook())
    if invocation.is_table:
        _tell(invocation, report)
    else:
        output.resource(invocation, report)
    return DONE if report.clean else UNCLEAN


def _tell(invocation: Invocation, report: CheckReport) -> None:
    counts = {
        "address scopes": report.scopes,
        "subnet pools": report.pools,
        "subnets": report.subnets,
        "allocations": report.allocations,
        "free extents": report.extents,
    }
    read = ", ".join(counted(count, nouns) for nouns, count in counts.items())
    output.said(invocation, f"read {read}")
    if report.repaired:
        output.said(invocation, f"repaired {counted(report.repaired, 'containers')}")
    if report.clean:
        output.said(invocation, "the book is clean")
        return
    output.table(report.faults, COLUMNS[Fault])
    output.said(invocation, f"{counted(len(report.faults), 'faults')} found")
    if any(fault.repairable for fault in report.faults):
        output.said(invocation, "'allotment check --repair' mends the repairable ones")
