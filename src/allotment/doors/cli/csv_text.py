"""Comma-separated values (RFC 4180) that no spreadsheet takes for formulas.

Invariant: no cell begins with a mark that starts a formula, and `restore` undoes `neutralise`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Final

from allotment.doors.cli.safe_text import without_controls

# = + - @ tab, carriage return and line feed, and the full-width forms of the first four; what is
# blank, or looks like nothing, in front of them is dropped by some programs.
_LEADS = "[\\s\ufeff\u200b]*[=+\\-@\t\r\n＝＋－＠]"
_FORMULA: Final = re.compile(rf"\A'*{_LEADS}")
_NEUTRALISED: Final = re.compile(rf"\A''*{_LEADS}")


def neutralise(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet would run as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def restore(text: str) -> str:
    """The text that `neutralise` was given."""
    return text[1:] if _NEUTRALISED.match(text) else text


def cell(value: object) -> str:
    """A plain value as a cell: nothing for None, lists with commas, text neutralised."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return neutralise(",".join(cell(part) for part in value))
    if isinstance(value, dict):
        return neutralise(",".join(f"{name}={cell(part)}" for name, part in value.items()))
    return neutralise(without_controls(str(value)))


def lines(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterable[str]:
    """The heading and the rows as text, a line at a time."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(heading)
    for row in rows:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([cell(value) for value in row])
    yield buffer.getvalue()
