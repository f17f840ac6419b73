"""What is known of who may do what, and how it is found out.

Invariant: what was read at one epoch of the access rules is used at no other; whoever is let
through was looked at in the transaction that serves them, or the database looks at the epoch again.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from allotment.engine.access import (
    LEVELS,
    Bounds,
    GrantFact,
    Permit,
    Rights,
    Want,
    authorize,
    owner_rights,
)
from allotment.errors import NotFound, Unauthenticated
from allotment.model.access import GROUP, PREFIX, Actor, ActorKind, Role
from allotment.model.address import Address
from allotment.model.commands import AllocateAddress, Command
from allotment.model.queries import Query
from allotment.operations import aims
from allotment.operations.at_once import plain_subnet
from allotment.store import grants, places, settings
from allotment.store.places import Place
from allotment.store.session import Read
from allotment.store.sight import ALL, Sight

C = TypeVar("C", bound=Command[Any] | Query[Any])  # Any: whatever it answers
_KEPT_MAX = 100_000
FRESH_SECONDS = 0.5
"""How long a token is taken for what it was; what it may do is looked at every time."""

_Who = tuple[str, tuple[str, ...]]


class KnownToken(NamedTuple):
    """A token's row (None: there is no such token) and what its secret is hashed with."""

    row: grants.AnyRow | None
    pepper: bytes


class _Known:
    """What was read at one epoch."""

    __slots__ = ("epoch", "places", "rights", "tokens")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.rights: dict[_Who, Rights] = {}
        self.places: dict[UUID, Place] = {}
        self.tokens: dict[str, KnownToken] = {}


class Gate:
    """Lets requests through that are allowed; thread-safe, as what it keeps is only replaced."""

    def __init__(self) -> None:
        self._known = _Known(-1)
        self._looked_at = -FRESH_SECONDS

    def rights(self, r: Read, actor: Actor) -> Rights:
        """What an actor may do, by the rules this transaction sees.

        Raises:
            Unauthenticated: the actor's token is revoked, expired or not there.
            Forbidden: it names itself owner, and is none.
        """
        if actor.kind is ActorKind.OWNER:
            return owner_rights(actor)
        known = self.known(r)
        who = (actor.name, actor.groups)
        rights = known.rights.get(who)
        if rights is None or rights.valid_until <= r.now:
            rights = _read_rights(r, actor, known)
            if len(known.rights) >= _KEPT_MAX:
                known.rights.clear()
            known.rights[who] = rights
        return rights.of(actor)

    def known(self, r: Read) -> _Known:
        """What was read at the epoch that this transaction sees."""
        at = time.monotonic()
        epoch = grants.epoch(r)
        known = self._known
        if r.new_rules:
            return _Known(epoch)  # what may be rolled back is not kept
        if known.epoch == epoch:
            self._looked_at = at
        elif known.epoch < epoch:
            known = self._known = _Known(epoch)
            self._looked_at = at
        else:
            known = _Known(epoch)  # an older snapshot's: for itself
        return known

    def permit(self, r: Read, rights: Rights, request: C) -> Permit[C]:
        """Look at what a request is about, and let it through.

        Raises:
            Forbidden: what it is about is seen, and a role is missing.
            NotFound, Ambiguous: what it is about is not there, or not seen.
        """
        if rights.unbounded:
            return authorize(rights, request)
        r.sight = sight_of(rights)
        try:
            known = self._known_by(r, rights)
            place = self._place_at_hand(r, rights, request, known)
            if place is not None:
                return authorize(rights, request, wants=[place], epoch=known.epoch)
            aim = aims.of(r, rights, request)
            return authorize(rights, request, aim.resolved, aim.wants)
        finally:
            r.sight = ALL

    def _known_by(self, r: Read, rights: Rights) -> _Known:
        """What was read at the epoch of these rights, and of no other."""
        known = self._known
        if r.new_rules or known.epoch != rights.epoch:
            return _Known(rights.epoch)
        return known

    def plain_permit(
        self, actor: Actor, request: Command[Any], now: int
    ) -> Permit[AllocateAddress] | None:
        """Let a plain request through by what is known, for the database to look at the epoch.

        Returns:
            None where that is not enough: the request takes a transaction.
        """
        subnet_id = plain_subnet(request)
        if subnet_id is None or not isinstance(request, AllocateAddress):
            return None
        if actor.kind is ActorKind.OWNER:
            return authorize(owner_rights(actor), request)
        known = self._known
        rights = known.rights.get((actor.name, actor.groups))
        if rights is None or rights.valid_until <= now or rights.home is not None:
            return None
        if rights.whole >= LEVELS[Role.ALLOCATOR]:
            return authorize(rights.of(actor), request, epoch=known.epoch)
        place = known.places.get(subnet_id)
        if place is None or not rights.has(Role.ALLOCATOR, place):
            return None
        want = Want(Role.ALLOCATOR, place)
        return authorize(rights.of(actor), request, wants=[want], epoch=known.epoch)

    def token(self, key_id: str) -> KnownToken | None:
        """A token that was read not long ago; None: it has to be read."""
        return self._known.tokens.get(key_id) if self._is_fresh() else None

    def read_token(self, r: Read, key_id: str) -> KnownToken:
        """A token as this transaction sees it; of one that is not there, nothing is known."""
        known = self.known(r)
        row = grants.token_by(r, "key_id", key_id)
        found = KnownToken(row, settings.pepper(r, row.pepper) if row is not None else bytes(32))
        if len(known.tokens) >= _KEPT_MAX:
            known.tokens.clear()
        known.tokens[key_id] = found
        return found

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < FRESH_SECONDS

    def _place_at_hand(self, r: Read, rights: Rights, request: C, known: _Known) -> Want | None:
        """The one want of a plain request, of a subnet that is kept in mind."""
        if not isinstance(request, AllocateAddress) or rights.home is not None:
            return None
        subnet_id = plain_subnet(request)
        if subnet_id is None:
            return None
        place = known.places.get(subnet_id)
        if place is None:
            place = places.of_subnets(r, [subnet_id]).get(subnet_id)
            if place is None:
                return None
            if len(known.places) >= _KEPT_MAX:
                known.places.clear()
            known.places[subnet_id] = place
        if not rights.level(place):
            raise NotFound("subnet", request.subnet, "'allotment subnet list' shows what there is")
        return Want(Role.ALLOCATOR, place)


def check_presented(row: grants.AnyRow, now: int, source: Address | None) -> None:
    """Refuse a token that is not valid now, or not from there.

    Raises:
        Unauthenticated: it is not.
    """
    if row.revoked_at is not None or row.expires_at <= now:
        raise Unauthenticated("the token was revoked, or its time is over")
    allowed = grants.sources_of(row)
    if allowed and not (source and any(prefix.contains(source) for prefix in allowed)):
        raise Unauthenticated("the token is not valid from this address")


def sight_of(rights: Rights) -> Sight:
    """What an actor may see."""
    whole = rights.granted(frozenset()) > 0
    return Sight(whole, rights.seen, rights.hidden)


def _read_rights(r: Read, actor: Actor, known: _Known) -> Rights:
    home, until = None, None
    if actor.kind is ActorKind.TOKEN:
        name = actor.name.removeprefix(PREFIX[ActorKind.TOKEN])
        row = grants.token_by(r, "name", name) if name != actor.name else None
        if row is None or row.revoked_at is not None or row.expires_at <= r.now:
            raise Unauthenticated("the token is not valid any more")
        home, until = row.project_id, row.expires_at
    elif not actor.name.startswith(PREFIX[ActorKind.USER]):
        raise Unauthenticated("nobody is known by that name")
    groups = [one for one in actor.groups if one.startswith(GROUP)]
    facts = [
        GrantFact(row.target_id, Role(row.role), row.deny, row.expires_at)
        for row in grants.facts(r, [actor.name, *groups])
    ]
    return Rights(actor, facts, r.now, Bounds(home, until, known.epoch))
