"""One run of the command line: what was asked of all commands, and the desk they talk to.

Invariant: the book is opened at the first question, and closed whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from allotment.choice import Choice
    from allotment.desk import Desk
    from allotment.model.access import Actor
    from allotment.model.commands import Command
    from allotment.model.queries import Query
    from allotment.model.results import Page

R = TypeVar("R")
T = TypeVar("T")
PAGE_SIZE = 100
PAGE_SIZE_MAX = 1000


@dataclass
class Listing:
    """Which part of a listing was asked for."""

    limit: int | None = None
    cursor: str | None = None
    everything: bool = False

    @property
    def page_size(self) -> int:
        """How many items one question asks for."""
        if self.limit is not None:
            return self.limit
        return PAGE_SIZE_MAX if self.everything else PAGE_SIZE


@dataclass
class Invocation:
    """The options that every command has; the last one given wins."""

    database: str | None = None
    server: str | None = None
    output: str = "table"
    scope: str | None = None
    debug: bool = False
    create: bool = False
    partitions: int | None = None
    hurried: bool = False
    listing: Listing = field(default_factory=Listing)
    _at: tuple[Desk, Actor, Choice] | None = None

    @property
    def is_table(self) -> bool:
        """Whether a person reads the answer."""
        return self.output == "table"

    def do(self, command: Command[R]) -> R:
        """Carry a command out on the book.

        Where a commit can be lost on its way, the command gets a key if it has none: with it, the
        desk finds out by itself whether the commit happened. (A server's desk sees to that
        itself.)
        """
        desk, actor, choice = self._open()
        command = _keyed(command, choice)
        with _waiting(command):
            return desk.do(command, actor)

    def ask(self, query: Query[R]) -> R:
        """Answer a query from the book."""
        desk, actor, _ = self._open()
        with _waiting(query):
            return desk.ask(query, actor)

    def pages(self, query: Query[Page[T]]) -> Iterator[Page[T]]:
        """The page that the listing's options name; all from there on with --all."""
        from msgspec.structs import replace

        page = self.ask(replace(query, limit=self.listing.page_size, cursor=self.listing.cursor))
        yield page
        while self.listing.everything and page.next is not None:
            page = self.ask(replace(query, limit=self.listing.page_size, cursor=page.next))
            yield page

    def every(self, query: Query[Page[T]]) -> Iterator[T]:
        """All items of all pages of a query, whatever the listing's options."""
        from msgspec.structs import replace

        cursor: str | None = None
        while True:
            page = self.ask(replace(query, limit=PAGE_SIZE_MAX, cursor=cursor))
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def close(self) -> None:
        """Close the book, if it was opened."""
        if self._at is not None:
            self._at[0].close()
            self._at = None

    @property
    def choice(self) -> Choice:
        """Which book is meant."""
        from allotment.choice import chosen

        return chosen(self.database, self.server)

    @property
    def is_new(self) -> bool:
        """Whether asking for anything would make the book."""
        from allotment.choice import InDatabase

        choice = self.choice
        return isinstance(choice, InDatabase) and choice.is_new

    def refuse_server(self, why: str) -> None:
        """Refuse what can be done only where the database is.

        Raises:
            click.UsageError: the book meant is at a server.
        """
        from allotment.choice import AtServer

        choice = self.choice
        if isinstance(choice, AtServer):
            import click

            raise click.UsageError(f"{why}; the book meant is at {choice.url}: give --database")

    def _open(self) -> tuple[Desk, Actor, Choice]:
        if self._at is None:
            from allotment.bootstrap import open_desk

            choice = self.choice
            desk, actor = open_desk(
                choice, create=self.create, partitions=self.partitions, hurried=self.hurried
            )
            self._at = desk, actor, choice
        return self._at


def _keyed(command: Command[R], choice: Choice) -> Command[R]:
    from allotment.choice import InDatabase
    from allotment.model.keys import wants_key

    if isinstance(choice, InDatabase) and choice.may_lose_answers and wants_key(command):
        from uuid import uuid4

        from msgspec.structs import replace

        return replace(command, idempotency_key=f"cli-{uuid4()}")
    return command


def _waiting(request: Command[Any] | Query[Any]) -> AbstractContextManager[object]:
    """A bar for what may take minutes."""
    if not request.takes_long:
        return nullcontext()
    from allotment.doors.cli.progress import progress, title_of

    return progress(title_of(type(request)))
