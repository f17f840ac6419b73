"""Who may do what: the one decision every command and query passes.

Invariant: deny by default, and a denial beats every grant; a `Permit` is made nowhere but in
`authorize`, and nothing runs without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Final, Generic, NamedTuple, TypeVar, final
from uuid import UUID

from allotment.errors import Bug, Forbidden
from allotment.model.access import PREFIX, Actor, ActorKind, Role
from allotment.model.commands import Command
from allotment.model.queries import Query

Request = TypeVar("Request", bound=Command[Any] | Query[Any])  # Any: whatever it answers

Place = frozenset[UUID]
"""A thing and all it is inside of: its pools, its scope, and the projects that own any of these.

The installation is around everything, and is not named.
"""

INSTALLATION: Final = UUID(int=0)
ANYWHERE: Final[Place] = frozenset()
LEVELS: Final[Mapping[Role, int]] = {role: level for level, role in enumerate(Role, start=1)}
NOTHING: Final = 0
EVERYTHING: Final = LEVELS[Role.ADMIN]
FOREVER: Final = 1 << 62
LEVELS_KEPT_MAX: Final = 10_000

_SEAL: Final = object()


class GrantFact(NamedTuple):
    """A grant as the decision needs it; `expires_at` in UTC milliseconds, exclusive."""

    target_id: UUID
    role: Role
    deny: bool
    expires_at: int | None


class Want(NamedTuple):
    """A role that a request needs at a place.

    Without a place: somewhere at least. Without a role: nothing but to be known.
    """

    role: Role | None
    place: Place | None


class Bounds(NamedTuple):
    """What a token is bound to: a project, a time; and the epoch its rights were read at."""

    home: UUID | None = None
    until: int | None = None
    epoch: int = -1


NO_BOUNDS: Final = Bounds()


@final
class Rights:
    """What an actor may do, from a moment until `valid_until` (UTC milliseconds, exclusive)."""

    __slots__ = (
        "_allowed", "_capped", "_facts", "_levels", "actor", "epoch", "home", "valid_until",
    )  # fmt: skip

    def __init__(
        self,
        actor: Actor,
        facts: Iterable[GrantFact],
        now: int,
        bounds: Bounds = NO_BOUNDS,
    ) -> None:
        self.actor = actor
        self.home, until, self.epoch = bounds
        self.valid_until = FOREVER if until is None else until
        self._facts = tuple(facts)
        self._allowed: dict[UUID, int] = {}
        self._capped: dict[UUID, int] = {}
        self._levels: dict[Place, int] = {}
        for fact in self._facts:
            if fact.expires_at is not None:
                if fact.expires_at <= now:
                    continue
                self.valid_until = min(self.valid_until, fact.expires_at)
            level = LEVELS[fact.role]
            if fact.deny:
                before = self._capped.get(fact.target_id, EVERYTHING)
                self._capped[fact.target_id] = min(before, level - 1)
            else:
                before = self._allowed.get(fact.target_id, NOTHING)
                self._allowed[fact.target_id] = max(before, level)

    def of(self, actor: Actor) -> Rights:
        """The same rights for another request of the same actor."""
        if actor is self.actor:
            return self
        twin = copy(self)
        twin.actor = actor
        return twin

    @property
    def whole(self) -> int:
        """The level at everything there is, without exception."""
        return NOTHING if self._capped else self._allowed.get(INSTALLATION, NOTHING)

    @property
    def unbounded(self) -> bool:
        """Whether nothing that a request says can matter: everything, for ever, for no project."""
        for_ever = self.lasts_until(Role.ADMIN, ANYWHERE) == FOREVER
        return self.whole == EVERYTHING and self.home is None and for_ever

    @property
    def seen(self) -> Place:
        """What the actor was granted any role on."""
        return frozenset(self._allowed)

    @property
    def hidden(self) -> Place:
        """What the actor may not even see."""
        return frozenset(one for one, cap in self._capped.items() if cap == NOTHING)

    @property
    def denied(self) -> Place:
        """What the actor was denied some role on."""
        return frozenset(self._capped)

    def granted(self, place: Place) -> int:
        """The level that grants alone give at a place."""
        best = self._allowed.get(INSTALLATION, NOTHING)
        for one in place:
            best = max(best, self._allowed.get(one, NOTHING))
        return best

    def cap(self, place: Place) -> int:
        """The level that denials leave at a place."""
        least = self._capped.get(INSTALLATION, EVERYTHING)
        for one in place:
            least = min(least, self._capped.get(one, EVERYTHING))
        return least

    def level(self, place: Place) -> int:
        """The level at a place; what was found out once is kept in mind."""
        level = self._levels.get(place)
        if level is None:
            level = min(self.granted(place), self.cap(place))
            if len(self._levels) < LEVELS_KEPT_MAX:
                self._levels[place] = level
        return level

    def has(self, role: Role, place: Place) -> bool:
        """Whether the actor has a role at a place."""
        return self.level(place) >= LEVELS[role]

    def may_touch(self, place: Place, owner: UUID | None) -> bool:
        """Whether the actor may change or release what is held at a place.

        What a project owns is the project's: it takes a role there, or an operator of the place.
        """
        needed = LEVELS[Role.ALLOCATOR]
        if owner is None:
            return self.level(place) >= needed
        if self.cap(place | {owner}) < needed:
            return False
        operates = self.granted(place) >= LEVELS[Role.OPERATOR]
        return operates or (self.granted(frozenset({owner})) >= needed and bool(self.level(place)))

    def lasts_until(self, role: Role, place: Place) -> int:
        """Until when (UTC milliseconds) grants give a role at a place, at the longest."""
        ends = [
            FOREVER if fact.expires_at is None else fact.expires_at
            for fact in self._facts
            if not fact.deny
            and LEVELS[fact.role] >= LEVELS[role]
            and (fact.target_id == INSTALLATION or fact.target_id in place)
        ]
        return max(ends, default=0)

    def placed(self, role: Role) -> Place:
        """What the actor was granted a role on, or a higher one."""
        return frozenset(one for one, level in self._allowed.items() if level >= LEVELS[role])

    def satisfies(self, want: Want) -> bool:
        """Whether a wanted role is there."""
        if want.role is None:
            return True
        if want.place is not None:
            return self.has(want.role, want.place)
        if self._capped.get(INSTALLATION, EVERYTHING) < LEVELS[want.role]:
            return False
        return any(level >= LEVELS[want.role] for level in self._allowed.values())


def owner_rights(actor: Actor) -> Rights:
    """What the owner of a book may do: everything.

    Raises:
        Forbidden: it is no owner, or bears the name of somebody who needs grants.
    """
    if actor.kind is not ActorKind.OWNER or actor.name.startswith(tuple(PREFIX.values())):
        raise Forbidden(actor.name, "act as the owner of the book")
    return Rights(actor, [GrantFact(INSTALLATION, Role.ADMIN, deny=False, expires_at=None)], 0)


@final
class Permit(Generic[Request]):
    """Proof that an actor may make a request; carries both, so it fits no other.

    `request` is as it was asked; `resolved` the same with its references as ids, where grants had
    to be looked at. `epoch` says of which access rules it speaks (None: of none).
    """

    __slots__ = ("actor", "epoch", "request", "resolved", "rights")

    def __init__(
        self,
        seal: object,
        rights: Rights,
        request: Request,
        resolved: Request,
        epoch: int | None,
    ) -> None:
        if seal is not _SEAL:
            raise Bug("a permit comes from authorize() only")
        self.actor = rights.actor
        self.rights = rights
        self.request = request
        self.resolved = resolved
        self.epoch = epoch


def authorize(
    rights: Rights,
    request: Request,
    resolved: Request | None = None,
    wants: Sequence[Want] = (),
    epoch: int | None = None,
) -> Permit[Request]:
    """Let the actor make the request, or refuse.

    `wants` are the roles that it needs at the places it is about; without them, the role is needed
    at everything there is.

    Raises:
        Forbidden: no grant allows it, or one denies it.
    """
    needs = request.needs
    if isinstance(needs, Role):
        enough = all(map(rights.satisfies, wants)) if wants else rights.whole >= LEVELS[needs]
        if enough:
            return Permit(_SEAL, rights, request, resolved or request, epoch)
    action = f"do {type(request).__name__}: this needs the role {needs}"
    raise Forbidden(rights.actor.name, action)
