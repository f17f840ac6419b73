"""Whose held addresses are: who may touch them, and whose quota they count in.

Invariant: what a project owns is changed by those only who have a role there, or operate the place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from allotment.engine.access import EVERYTHING, Rights
from allotment.errors import Forbidden
from allotment.store import places, quotas
from allotment.store.quotas import Counted
from allotment.store.session import Read, Write


def is_seen(r: Read, rights: Rights, container: UUID, owner: UUID | None) -> bool:
    """Whether what is held of a container by a project (None: by nobody) is seen."""
    if not rights.hidden:
        return True
    place = places.of(r, container) or frozenset()
    return bool(rights.level(place if owner is None else place | {owner}))


def check_touch(r: Read, rights: Rights, container: UUID, owners: Iterable[UUID | None]) -> None:
    """Refuse to change what is held of a container by others than the actor may act for.

    Raises:
        Forbidden: there is such a one.
    """
    if rights.whole == EVERYTHING:
        return
    place = places.of(r, container) or frozenset()
    for owner in set(owners):
        if not rights.may_touch(place, owner):
            action = "change or release what another project holds, or what it may only look at"
            raise Forbidden(rights.actor.name, action)


def note_released(tx: Write, owners: Iterable[UUID | None]) -> None:
    """Count each owner's addresses among some as its own no more."""
    for owner, count in Counter(owners).items():
        quotas.note(tx, owner, Counted(addresses=-count))
