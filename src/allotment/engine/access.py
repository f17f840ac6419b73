"""Who may do what: the one decision every command and query passes.

Invariant: deny by default; a `Permit` is made nowhere but in `authorize`, and nothing runs
without one.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar, final

from allotment.errors import Bug, Forbidden
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.commands import Command
from allotment.model.queries import Query

Request = TypeVar("Request", bound=Command[Any] | Query[Any])  # Any: whatever it answers

_SEAL: Final = object()


@final
class Permit(Generic[Request]):
    """Proof that an actor may make a request; carries both, so it fits no other."""

    __slots__ = ("actor", "request")

    def __init__(self, seal: object, actor: Actor, request: Request) -> None:
        if seal is not _SEAL:
            raise Bug("a permit comes from authorize() only")
        self.actor = actor
        self.request = request


def authorize(actor: Actor, request: Request) -> Permit[Request]:
    """Let the actor make the request, or refuse.

    Raises:
        Forbidden: no grant allows it.
    """
    if actor.kind is ActorKind.OWNER and isinstance(request.needs, Role):
        return Permit(_SEAL, actor, request)
    raise Forbidden(actor.name, f"do {type(request).__name__}: this needs the role {request.needs}")
