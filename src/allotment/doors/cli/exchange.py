"""`allotment import` and `allotment export`: books brought in and taken along.

Invariant: each command opens a file or a stream and leaves the translation to doors.exchange.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final

import click

from allotment.doors.cli import import_report, neutron, options
from allotment.doors.cli.failures import DONE, EXIT_CODES
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.progress import progress
from allotment.doors.cli.safe_text import escape_hidden
from allotment.doors.exchange import csv_import, export, netbox
from allotment.doors.exchange import neutron as exchange_neutron
from allotment.doors.exchange.rehearsal import Rehearsal
from allotment.doors.exchange.report import Outcome, Report
from allotment.doors.exchange.seat import DeskSeat, Seat

_Import = Callable[[Seat, BinaryIO, Report], None]

_file: Final = click.argument("file", type=click.File("rb"))
_dry_run: Final = click.option(
    "--dry-run", is_flag=True, help="Change nothing; show what would happen."
)


@click.group("import", cls=DoorGroup)
def import_group() -> None:
    """Bring in address space from a file; running it again changes nothing."""


@import_group.command("netbox")
@_file
@_dry_run
@click.pass_obj
def import_netbox(invocation: Invocation, file: BinaryIO, dry_run: bool) -> int:
    """Bring in the address space of a NetBox fixture (`manage.py dumpdata ipam tenancy`).

    VRFs become address scopes (the global table: Global), tenants projects, aggregates and
    containers subnet pools, other prefixes subnets, IP addresses allocations. Tells what the book
    has no place for. Ends with 4 when rows were refused.

    \b
    Examples:
      allotment import netbox ipam.json --dry-run
      allotment import netbox ipam.json --output json > report.json
    """
    return _run(invocation, file, netbox.import_netbox, (netbox.FORMAT, dry_run))


@import_group.command("csv")
@_file
@options.in_scope
@_dry_run
@click.pass_obj
def import_csv(invocation: Invocation, file: BinaryIO, dry_run: bool) -> int:
    """Bring in a CSV file with a header: a column `prefix`, and others that become tags.

    Each prefix becomes a subnet pool, inside the smaller ones around it. The columns scope, name,
    project, tags and description say what they are called. With a column `kind` (project, scope,
    pool, subnet, allocation) it reads whatever 'allotment export csv' writes. Ends with 4 when
    rows were refused.

    \b
    Examples:
      allotment import csv prefixes.csv --scope internet
      allotment export csv | allotment import csv - --database sqlite:///copy.db
    """

    def bring_in(seat: Seat, stream: BinaryIO, report: Report) -> None:
        csv_import.import_csv(seat, stream, report, invocation.scope)

    return _run(invocation, file, bring_in, (csv_import.FORMAT, dry_run))


@import_group.command("neutron")
@neutron.source_argument
@_dry_run
@click.pass_obj
def import_neutron(invocation: Invocation, source: str | None, dry_run: bool) -> int:
    """Take over the address space of a running Neutron, for its driver 'allotment'.

    Address scopes, subnet pools, subnets with their allocation pools, and the addresses of ports
    are read from Neutron's database, as of one moment. The source is Neutron's configuration file,
    which also says which book is meant and how it is laid out, or the URL of its database. With
    --database alone, that is Neutron's, and the environment, --server or a login names the book.
    Ends with 4 when rows were refused.

    \b
    Examples:
      allotment import neutron /etc/neutron/neutron.conf --dry-run
      allotment import neutron mysql+pymysql://neutron@db/neutron --output json > report.json
    """
    source = neutron.source_of(invocation, source)
    conf = neutron.meant(invocation, source)
    report = Report(neutron.shown(source), exchange_neutron.FORMAT, dry_run)

    def bring_in(seat: Seat) -> None:
        tables = neutron.opened(conf, snapshot=True)
        exchange_neutron.import_neutron(seat, tables, report, conf.plan)

    return _reported(invocation, report, bring_in)


def _run(invocation: Invocation, file: BinaryIO, bring_in: _Import, how: tuple[str, bool]) -> int:
    form, dry_run = how
    report = Report(getattr(file, "name", "-"), form, dry_run)
    return _reported(invocation, report, lambda seat: bring_in(seat, file, report))


def _reported(invocation: Invocation, report: Report, bring_in: Callable[[Seat], None]) -> int:
    with progress(f"reading {report.format}") as advance:
        told = 0

        def on_told() -> None:
            nonlocal told
            told += 1
            advance(told, len(report.rows))

        report.on_told = on_told
        bring_in(_rehearsal(invocation) if report.dry_run else invocation)
    import_report.show(invocation, report)
    return EXIT_CODES["conflict"] if report.counts()[Outcome.REFUSED] else DONE


def _rehearsal(invocation: Invocation) -> Seat:
    """A seat that changes nothing; a book that does not exist yet stays so."""
    from allotment.bootstrap import local_owner, open_book

    memory = open_book("sqlite://")
    click.get_current_context().call_on_close(memory.close)
    stage = DeskSeat(memory, local_owner())
    if invocation.is_new:
        return stage
    return Rehearsal(invocation, stage)


@click.group("export", cls=DoorGroup)
def export_group() -> None:
    """Write all that the book holds to the standard output, in UTF-8."""


@export_group.command("csv")
@options.in_scope
@click.pass_obj
def export_csv(invocation: Invocation) -> None:
    """Write the book, or one address scope, as CSV; 'allotment import csv' reads it back.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.

    Example: allotment export csv --scope corp > corp.csv
    """
    _write(export.csv_lines(invocation, invocation.scope))


@export_group.command("json")
@options.in_scope
@click.pass_obj
def export_json(invocation: Invocation) -> None:
    """Write the book, or one address scope, as one JSON document.

    Example: allotment export json | jq '.subnets | length'
    """
    _write(map(escape_hidden, export.json_pieces(invocation, invocation.scope)))


def _write(pieces: Iterable[str]) -> None:
    """Whatever the terminal's encoding is, a file of it must be complete."""
    stream = sys.stdout.buffer
    for piece in pieces:
        stream.write(piece.encode())
    stream.flush()
