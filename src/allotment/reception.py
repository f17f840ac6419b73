"""Who presents a token: looked up, and remembered for a moment.

Invariant: a token that was refused tells nobody why it was, beyond its form, its time and its
source; its secret is compared in a time that says nothing, and kept nowhere.
"""

from __future__ import annotations

import time
from contextlib import suppress
from uuid import UUID

from allotment.engine import token_text
from allotment.engine.token_text import TokenText
from allotment.errors import StoreError, Unauthenticated
from allotment.model.access import PREFIX, Actor, ActorKind
from allotment.model.address import Address
from allotment.operations import perform
from allotment.operations.gate import Gate, KnownToken, check_presented
from allotment.store import grants
from allotment.store.session import Store

LOOK_SECONDS = 5.0
"""How long looking a token up may take: whoever waits for it has not asked for anything yet."""
USE_ENTERED_SECONDS = 60.0
"""How old what the book knows of the use of tokens may grow, while they are used."""
STRANGERS_NOTED_SECONDS = 0.1


class Reception:
    """Knows the tokens of a book; thread-safe."""

    def __init__(self, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate
        self._used: dict[UUID, int] = {}
        self._used_entered_at = time.monotonic()
        self._stranger_noted_at = -STRANGERS_NOTED_SECONDS

    def authenticate(self, bearer: str, source: Address | None = None) -> Actor:
        """The actor that a token stands for; what it may do is asked when it asks for something.

        `source` is the address it comes from, for tokens that are bound to some.

        Raises:
            Unauthenticated: it is no token, or not one that is valid now, from there.
            StoreError: the database failed.
        """
        presented = None
        try:
            presented = token_text.parse(bearer)
            return self._authenticate(presented, source)
        except Unauthenticated as error:
            self._note_stranger(presented, source, error)
            raise

    def recognise(self, bearer: str, source: Address | None = None) -> Actor | None:
        """As `authenticate`, of a token that was looked at just now, without the database.

        Returns:
            None where that is not known, or where it is time to enter who was here: `authenticate`
            finds out, and says why not.
        """
        if self._entering_is_due():
            return None
        try:
            presented = token_text.parse(bearer)
            known = self._gate.token(presented.key_id)
            return self._found(known, presented, source) if known is not None else None
        except Unauthenticated:
            return None

    def _authenticate(self, presented: TokenText, source: Address | None) -> Actor:
        known = self._gate.token(presented.key_id)
        if known is None:
            with self._store.reading(deadline=time.monotonic() + LOOK_SECONDS) as r:
                known = self._gate.read_token(r, presented.key_id)
        actor = self._found(known, presented, source)
        if self._entering_is_due():
            self.enter_uses()
        return actor

    def _found(self, known: KnownToken, presented: TokenText, source: Address | None) -> Actor:
        found = token_text.digest(known.pepper, presented.secret)
        stored = known.row.digest if known.row is not None else bytes(len(found))
        if not token_text.same(found, bytes(stored)) or known.row is None:
            raise Unauthenticated("the token is not known")
        now = self._store.clock()
        check_presented(known.row, now, source)
        self._used[known.row.id] = now
        name = f"{PREFIX[ActorKind.TOKEN]}{known.row.name}"
        return Actor(name=name, source=str(source) if source is not None else None)

    def _note_stranger(
        self, presented: TokenText | None, source: Address | None, error: Unauthenticated
    ) -> None:
        """The event of a token that was refused; of a flood of them, some."""
        if time.monotonic() - self._stranger_noted_at < STRANGERS_NOTED_SECONDS:
            return
        self._stranger_noted_at = time.monotonic()
        key_id = presented.key_id if presented is not None else None
        with suppress(StoreError), self._store.writing(deadline=time.monotonic() + 1.0) as tx:
            perform.record_stranger(tx, key_id, str(source) if source is not None else None, error)

    def _entering_is_due(self) -> bool:
        return time.monotonic() - self._used_entered_at >= USE_ENTERED_SECONDS

    def enter_uses(self) -> None:
        """Enter when each token was last used; where the database fails, that is not known."""
        self._used_entered_at = time.monotonic()
        used, self._used = self._used, {}
        if not used:
            return
        with suppress(StoreError), self._store.writing(deadline=time.monotonic() + 1.0) as tx:
            grants.note_use(tx, list(used.items()))
