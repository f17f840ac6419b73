"""The cells of one row as values of the model.

Invariant: an empty cell says nothing; any other is a valid value, or its row is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import UNSET, UnsetType

from allotment.doors.cli.csv_text import restore
from allotment.doors.exchange.csv_file import COLUMNS, Line
from allotment.errors import InvalidValue
from allotment.model.address import Address, parse_address
from allotment.model.address_range import AddressRange, parse_range
from allotment.model.mac import Mac, parse_mac
from allotment.model.names import NAME
from allotment.model.prefix import Prefix, parse_prefix

E = TypeVar("E", bound=StrEnum)

NONE: Final = "none"
# Without a column `kind`, these mean something and all others are tags.
PLAIN: Final = frozenset({"prefix", "scope", "name", "project", "tags", "description"})
_WHOLE: Final = re.compile(r"\A(?:0|[1-9][0-9]{0,9})\Z")


class Cells:
    """One row, read by column."""

    def __init__(self, line: Line) -> None:
        self.number = line.number
        self._cells = line.cells
        self._known = frozenset(COLUMNS) if "kind" in line.cells else PLAIN

    def text(self, column: str) -> str:
        """What stands in a column; nothing where there is none, or where it means a tag."""
        return self._cells.get(column, "") if column in self._known else ""

    def kind(self) -> str:
        """What the row is about; a pool where nobody says."""
        return self.text("kind") or "pool"

    def name(self, column: str) -> str | None:
        """A name of something.

        Raises:
            InvalidValue: it breaks the rule for names.
        """
        found = self.text(column)
        if found:
            NAME.check(found, column)
        return found or None

    def parts(self, column: str) -> tuple[str, ...]:
        """The parts of a list with commas."""
        found = self.text(column)
        return tuple(map(restore, found.split(","))) if found else ()

    def prefixes(self) -> tuple[Prefix, ...]:
        """The prefixes; at least one.

        Raises:
            InvalidValue: one of them is none.
        """
        parts = self.parts("prefix") or ("",)
        return tuple(sorted(parse_prefix(part, "prefix") for part in parts))

    def prefix(self) -> Prefix:
        """The only prefix."""
        return parse_prefix(self.text("prefix"), "prefix")

    def address(self) -> Address | None:
        """The address."""
        found = self.text("address")
        return parse_address(found, "address") if found else None

    def mac(self) -> Mac | None:
        """The MAC address."""
        found = self.text("mac")
        return parse_mac(found, "mac") if found else None

    def gateway(self) -> Address | None | UnsetType:
        """The gateway; `none` for none, unset where nothing is said."""
        found = self.text("gateway")
        if not found:
            return UNSET
        return None if found == NONE else parse_address(found, "gateway")

    def ranges(self) -> tuple[AddressRange, ...] | UnsetType:
        """The allocation pools; `none` for none, unset where nothing is said."""
        if self.text("ranges") == NONE:
            return ()
        return tuple(parse_range(part, "ranges") for part in self.parts("ranges")) or UNSET

    def whole(self, column: str) -> int | None:
        """A whole number.

        Raises:
            InvalidValue: it is none, or has more than ten digits.
        """
        found = self.text(column)
        if found and not _WHOLE.match(found):
            raise InvalidValue(column, found, "it must be a whole number, such as 24")
        return int(found) if found else None

    def choice(self, column: str, kind: type[E], otherwise: E) -> E:
        """One of some words.

        Raises:
            InvalidValue: it is another word.
        """
        found = self.text(column)
        try:
            return kind(found) if found else otherwise
        except ValueError as error:
            choices = ", ".join(kind)
            raise InvalidValue(column, found, f"it is one of {choices}") from error

    def others(self) -> Iterator[tuple[str, str]]:
        """The filled cells of the columns that mean nothing here."""
        for column, found in self._cells.items():
            if column not in self._known and found:
                yield column, found
