"""What one transaction of Neutron's has done in the book, and what is left for its end.

Invariant: nothing that Neutron may still hold is ever free in the book: what is taken is given back
only when the transaction surely failed, and what is given back goes only when it has committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

Act = Callable[[], None]
Tell = Callable[[str, Exception], None]
Mark = tuple[object, ...]
"""The savepoints, innermost first, that were open when something was noted."""


def _nothing() -> None:
    """What there is to do where nothing is."""


@dataclass(eq=False)
class Entry:
    """One thing done, or to be done: what a commit completes, and what a rollback undoes.

    `key` is what it is about; `off` takes it out of the ledger, and may be turned back.
    """

    what: str
    key: object
    mark: Mark
    held: Any = None  # Any: an allocation or a subnet of the book
    on_commit: Act = _nothing
    on_rollback: Act = _nothing
    leaving: bool = False
    off: bool = False


@dataclass(eq=False)
class Ledger:
    """The entries of one transaction, in their order.

    `tell` hears of what could not be done: the transaction is over, so nobody else can.
    """

    tell: Tell
    entries: list[Entry] = field(default_factory=list)
    asked_to_commit: bool = False

    def note(self, entry: Entry) -> Entry:
        """Add an entry."""
        self.entries.append(entry)
        return entry

    def taken(self, key: object, mark: Mark) -> Entry | None:
        """What this transaction took under a key at the same depth, if it still has it."""
        return self._last(
            lambda one: one.key == key and not one.leaving and one.mark == mark and not one.off
        )

    def leaving(self, wanted: Callable[[object], bool]) -> Entry | None:
        """The last thing of a kind that this transaction is to give back at its end."""
        return self._last(lambda one: one.leaving and not one.off and wanted(one.key))

    def _last(self, fits: Callable[[Entry], bool]) -> Entry | None:
        return next((one for one in reversed(self.entries) if fits(one)), None)

    def commit(self) -> None:
        """The transaction is in Neutron's database: complete it here."""
        for entry in self._emptied():
            self._act(entry, entry.on_commit)

    def roll_back(self) -> None:
        """The transaction was surely not done: undo it here, the last thing first."""
        for entry in reversed(self._emptied()):
            self._act(entry, entry.on_rollback)

    def roll_back_to(self, savepoint: object) -> None:
        """What was done since a savepoint was surely not done: undo it here."""
        gone = [one for one in self.entries if savepoint in one.mark]
        self.entries = [one for one in self.entries if savepoint not in one.mark]
        for entry in reversed(gone):
            if not entry.off:
                self._act(entry, entry.on_rollback)

    def leave_open(self) -> list[str]:
        """Nobody knows whether the transaction was done: all stays held, and is named."""
        return [entry.what for entry in self._emptied()]

    def _emptied(self) -> list[Entry]:
        entries, self.entries = self.entries, []
        self.asked_to_commit = False
        return [one for one in entries if not one.off]

    def _act(self, entry: Entry, act: Act) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - Neutron's transaction has ended: none may stop it
            self.tell(entry.what, error)


INFO_KEY: Final = "allotment.ledger"
"""Where a session of Neutron's keeps the ledger of its transaction."""
