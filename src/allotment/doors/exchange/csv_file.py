"""The rows of a CSV file, as they stand: RFC 4180, UTF-8, a header line.

Invariant: a file whose shape is broken is refused whole, with the number of the line; nothing is
guessed: no other encoding, no missing or surplus cell, no other delimiter.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from allotment.doors.cli.csv_text import restore
from allotment.errors import InvalidValue

BYTES_MAX: Final = 512 << 20
LINE_BYTES_MAX: Final = 1 << 20
ROWS_MAX: Final = 1_000_000
COLUMNS_MAX: Final = 64

# What `export csv` writes, in its order.
COLUMNS: Final = (
    *("kind", "scope", "prefix", "address", "name", "status", "project", "hostname", "mac"),
    *("identifier", "gateway", "ranges", "placement", "quarantine_seconds", "default_length"),
    *("tags", "description"),
)


class Line(NamedTuple):
    """One row: the number of its first line in the file, and its cells by column."""

    number: int
    cells: dict[str, str]


def broken(number: int, value: object, rule: str) -> InvalidValue:
    """The refusal of a file, naming the line."""
    return InvalidValue(f"line {number}", value, rule)


class Lines(NamedTuple):
    """A file: its columns, and its rows as they are read."""

    columns: list[str]
    rows: Iterator[Line]


def read_lines(stream: BinaryIO) -> Lines:
    """The header, and the rows below it, without the apostrophes that keep formulas from running.

    Raises:
        InvalidValue: now or while the rows are read: the file is too large, not UTF-8, not CSV,
            has no usable header, or a row has more or fewer cells than the header.
    """
    rows = _rows(stream)
    first = next(rows, None)
    if first is None:
        raise broken(1, "", "the file is empty; its first line names the columns")
    columns = _columns(first[1])
    return Lines(columns, _lines(columns, rows))


def _lines(columns: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[Line]:
    for count, (number, cells) in enumerate(rows, 1):
        if count > ROWS_MAX:
            raise broken(number, count, f"more than {ROWS_MAX:,} rows; cut the file into several")
        if not cells:
            continue
        if len(cells) != len(columns):
            rule = f"it has {len(cells)} cells, and the header {len(columns)}"
            raise broken(number, ",".join(cells), rule)
        yield Line(number, dict(zip(columns, map(restore, cells), strict=True)))


def _columns(header: list[str]) -> list[str]:
    """The names of the columns; one that means something here is known in any case."""
    columns = [_known(restore(name).strip()) for name in header]
    if len(columns) > COLUMNS_MAX:
        raise broken(1, len(columns), f"more than {COLUMNS_MAX} columns")
    for name in columns:
        if not name or not name.isprintable():
            raise broken(1, ",".join(columns), "a column has no printable name")
        if columns.count(name) > 1:
            raise broken(1, name, "two columns have this name")
    return columns


def _known(name: str) -> str:
    return name.lower() if name.lower() in COLUMNS else name


def _rows(stream: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_text(stream), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise broken(max(number, reader.line_num), "", f"it is not CSV: {error}") from error
        yield number, cells


def _text(stream: BinaryIO) -> Iterator[str]:
    """The lines as text; a byte order mark before the first is skipped."""
    size, number = 0, 0
    while raw := stream.readline(LINE_BYTES_MAX + 1):
        number, size = number + 1, size + len(raw)
        if len(raw) > LINE_BYTES_MAX:
            raise broken(number, len(raw), f"it is longer than {LINE_BYTES_MAX:,} bytes")
        if size > BYTES_MAX:
            raise broken(number, size, f"the file is larger than {BYTES_MAX:,} bytes")
        if b"\0" in raw:
            raise broken(number, "NUL", "it holds a NUL byte; save the file as CSV in UTF-8")
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            rule = f"byte {error.start + 1} is not UTF-8; save the file as CSV in UTF-8"
            raise broken(number, error.object[error.start : error.end].hex(), rule) from error
