"""Answers on the standard output, as a table, as JSON or as CSV.

Invariant: JSON is one document and CSV one table, with the model's field names; without a terminal
a table has no colour and no line is folded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import Struct, structs

from allotment.doors.cli import csv_text, json_text
from allotment.doors.cli.figures import ascii_only
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.paint import on_terminal
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.tables import COLUMNS, Column, details, rows

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from allotment.errors import AllotmentError
    from allotment.model.queries import Query
    from allotment.model.results import Page

T = TypeVar("T", bound=Struct)
_WIDE = 120
_BATCH = 500


def resource(invocation: Invocation, item: Struct, title: str = "") -> None:
    """One resource: that object, or its fields under a title."""
    if invocation.is_table:
        said(invocation, title)
        fields(details(item))
    else:
        plain_resource(invocation, json_text.plain(item))


def plain_resource(invocation: Invocation, item: Mapping[str, object]) -> None:
    """One resource that is plain already, for a program."""
    if invocation.output == "json":
        write(json_text.document(item))
    else:
        write_all(csv_text.lines(list(item), [list(item.values())]))


def listing(
    invocation: Invocation,
    query: Query[Page[T]],
    kind: type[T],
    *,
    absent: AllotmentError | None = None,
    columns: Callable[[Sequence[T]], Sequence[Column]] | None = None,
) -> None:
    """The pages of a query that the options of the listing ask for.

    `columns`: what a person sees of these items, if not what is usual.

    Raises:
        absent: there is nothing, and this is given.
    """
    pages = invocation.pages(query)
    first = next(pages)
    if not first.items and absent is not None:
        raise absent
    cursor = None if invocation.listing.everything else first.next
    items = chain(first.items, (item for page in pages for item in page.items))
    if columns is None or not invocation.is_table:
        resources(invocation, items, kind, cursor)
        return
    collected = list(items)
    table(collected, columns(collected))
    _tell_more(invocation, cursor)


def resources(
    invocation: Invocation, items: Iterable[T], kind: type[T], cursor: str | None = None
) -> None:
    """Many resources of a kind."""
    match invocation.output:
        case "json":
            write_all(json_text.listing(items, cursor))
        case "csv":
            write_all(_csv(items, kind))
        case _:
            table(list(items), COLUMNS[kind])
            _tell_more(invocation, cursor)


def _tell_more(invocation: Invocation, cursor: str | None) -> None:
    if cursor is not None:
        said(invocation, f"more: --cursor {cursor}, or --all")


def said(invocation: Invocation, sentence: str) -> None:
    """A sentence for a person, nothing for a program."""
    if invocation.is_table and sentence:
        write(visible(sentence) + "\n")


def table(items: Sequence[object], columns: Sequence[Column]) -> None:
    """Results as a table; as aligned columns where there is no terminal."""
    if not items:
        write("(none)\n")
    elif on_terminal(sys.stdout):
        _coloured_table(items, columns)
    else:
        headings = [column.heading.upper() for column in columns]
        _aligned([headings, *rows(items, columns)], [column.right for column in columns])


def fields(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    if not on_terminal(sys.stdout):
        _aligned([[f"{name}:", value] for name, value in pairs], [False, False])
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        grid.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
    draw(grid)


def draw(picture: RenderableType) -> None:
    """Show something of rich's."""
    console = make_console()
    with console.capture() as capture:  # rich must not decide what a closed pipe means
        console.print(picture)
    write(capture.get())


def make_console() -> Console:
    """The standard output as rich sees it: as wide as it takes where it is no terminal."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 10_000
    return Console(file=sys.stdout, highlight=False, emoji=False, width=width)


def write(text: str) -> None:
    """Put text on the standard output; what its encoding lacks becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) if ascii_only() else text)


def flush() -> None:
    """Let a reader have what was written so far."""
    sys.stdout.flush()


def write_all(pieces: Iterable[str]) -> None:
    """Put pieces of text on the standard output, some hundreds at a time."""
    rest = iter(pieces)
    while batch := "".join(islice(rest, _BATCH)):
        write(batch)


def _csv(items: Iterable[Struct], kind: type[Struct]) -> Iterable[str]:
    names = [field.name for field in structs.fields(kind)]
    plain = (json_text.plain(item) for item in items)
    return csv_text.lines(names, ([item[name] for name in names] for item in plain))


def _aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        write("  ".join(cells).rstrip() + "\n")


def _coloured_table(items: Sequence[object], columns: Sequence[Column]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    wide = make_console().width >= _WIDE
    picture = Table(box=box.ROUNDED, header_style="bold", border_style="dim")
    cells: list[list[Text]] = []
    for column in columns:
        texts = [Text(column.read(item), style=column.style(item)) for item in items]
        if (column.wide and not wide) or all(text.plain == "-" for text in texts):
            continue
        cells.append(texts)
        justify: Literal["right", "left"] = "right" if column.right else "left"
        picture.add_column(
            column.heading,
            justify=justify,
            overflow="fold",
            no_wrap=column.whole or column.right,
            min_width=len(column.heading),
        )
    for row in zip(*cells, strict=True):
        picture.add_row(*row)
    draw(picture)
