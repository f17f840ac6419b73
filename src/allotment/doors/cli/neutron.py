"""`allotment neutron` and `allotment import neutron`: the book beside an OpenStack.

Invariant: Neutron's database is only read; the book is changed only where that is asked for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import click

from allotment.choice import is_book_named
from allotment.config import VARIABLE as DATABASE_VARIABLE
from allotment.doors.cli import csv_text, json_text, output
from allotment.doors.cli.failures import DONE, UNCLEAN
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.progress import progress
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.tables import Column
from allotment.doors.neutron.conf_file import NeutronConf, read_source
from allotment.doors.neutron.findings import EXPLAINED, FATES, Fate, Finding

if TYPE_CHECKING:
    from allotment.doors.neutron.source import Source

source_argument: Final = click.argument("source", metavar="[NEUTRON_CONF|URL]", required=False)
_SHOWN_MAX: Final = 200
_DONE: Final = (Fate.REPAIRED, Fate.VANISHED)
_STYLES: Final = {Fate.REPAIRED: "green", Fate.FAILED: "red", Fate.KEPT: "yellow"}


def source_of(invocation: Invocation, source: str | None) -> str:
    """The source that is given; `--database URL` without any is Neutron's, and not the book's.

    Raises:
        click.UsageError: there is none, or nothing says which book is meant.
    """
    if source is not None:
        return source
    source, invocation.database = invocation.database, None
    if source is None:
        raise click.UsageError("give neutron.conf, or the URL of Neutron's database")
    if invocation.server is None and not is_book_named():
        raise click.UsageError(
            f"--database is Neutron's, where nothing else is; say which book by --server or"
            f" ${DATABASE_VARIABLE}, or give Neutron's URL without --database"
        )
    return source


def meant(invocation: Invocation, source: str) -> NeutronConf:
    """The Neutron that is meant; its configuration says which book, unless the options do."""
    conf = read_source(source)
    if invocation.database is None and invocation.server is None:
        invocation.database = conf.book_database
        invocation.server = conf.server if conf.book_database is None else None
    return conf


def shown(source: str) -> str:
    """The source as it may be read by anybody: of a URL, no user, password or parameter."""
    scheme, found, rest = source.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2].partition('?')[0]}" if found else source


def opened(conf: NeutronConf, *, snapshot: bool) -> Source:
    """The database of Neutron, open as long as the command runs."""
    from allotment.bootstrap import open_neutron

    tables = open_neutron(conf.neutron_database, snapshot=snapshot)
    click.get_current_context().call_on_close(tables.close)
    return tables


@click.group("neutron", cls=DoorGroup)
def neutron_group() -> None:
    """OpenStack: keep Neutron and the book at one."""


@neutron_group.command()
@source_argument
@click.option("--repair", is_flag=True, help="Make the book what Neutron says.")
@click.option(
    "--young",
    "young_seconds",
    type=click.IntRange(0),
    default=None,
    metavar="SECONDS",
    help="Leave alone what is so young that a request may still be at it. Default: 600.",
)
@click.pass_obj
def reconcile(
    invocation: Invocation, source: str | None, repair: bool, young_seconds: int | None
) -> int:
    """Compare Neutron's ports, subnets and subnet pools with the book, and say what differs.

    The source is Neutron's configuration file, which also says which book is meant, or the URL of
    its database. Neutron may go on meanwhile. Ends with 0 only if nothing differs any more, else
    with 8.

    \b
    Examples:
      allotment neutron reconcile /etc/neutron/neutron.conf
      allotment neutron reconcile /etc/neutron/neutron.conf --repair --output json
    """
    from allotment.doors.neutron.reconcile import YOUNG_SECONDS, Reconciliation, mend

    conf = meant(invocation, source_of(invocation, source))
    young = YOUNG_SECONDS if young_seconds is None else young_seconds
    found: list[Finding] = []
    with progress("comparing") as advance:
        comparison = Reconciliation(
            invocation, opened(conf, snapshot=False), conf.plan, young_seconds=young
        )
        for finding in comparison.findings(advance):
            if repair:
                mend(finding)
            elif finding.young and finding.fate is Fate.FOUND:
                finding.fate = Fate.YOUNG
            found.append(finding)
    _show(invocation, found)
    return DONE if all(one.fate in _DONE for one in found) else UNCLEAN


def _show(invocation: Invocation, found: list[Finding]) -> None:
    match invocation.output:
        case "json":
            counts = Counter(one.fate.value for one in found)
            head = {"counts": {fate.value: counts[fate.value] for fate in Fate}}
            output.write_all(json_text.report(head, (one.plain() for one in found)))
        case "csv":
            names = ["kind", "subject", "neutron", "book", "why", "fate", "detail", "code"]
            output.write_all(csv_text.lines(names, (list(one.plain().values()) for one in found)))
        case _:
            _tell(invocation, found)


def _tell(invocation: Invocation, found: list[Finding]) -> None:
    if not found:
        output.said(invocation, "Neutron and the book are at one")
        return
    output.table(found[:_SHOWN_MAX], _COLUMNS)
    if len(found) > _SHOWN_MAX:
        output.said(invocation, f"and {len(found) - _SHOWN_MAX:,} more; --output json has them all")
    for kind in sorted({one.kind for one in found}):
        output.said(invocation, f"{kind}: {EXPLAINED[kind]}")
    for fate, count in sorted(Counter(one.fate for one in found).items()):
        output.said(invocation, f"{fate} ({count:,}): {FATES[fate]}")


_COLUMNS: Final = (
    Column("what", lambda one: visible(one.kind), style=lambda _: "bold"),
    Column("of", lambda one: visible(one.subject)),
    Column("neutron", lambda one: visible(one.neutron)),
    Column("book", lambda one: visible(one.book), wide=True),
    Column("fate", lambda one: visible(one.fate), style=lambda one: _STYLES.get(one.fate, "")),
    Column("detail", lambda one: visible(one.detail), wide=True),
)
