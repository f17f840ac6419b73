"""Who is at the door: what turns a bearer token into an actor.

Invariant: there is no way in without a doorkeeper's word, given anew for each request.
"""

from __future__ import annotations

from typing import Protocol

from allotment.model.access import Actor
from allotment.model.address import Address


class Doorkeeper(Protocol):
    """Knows tokens: the book's own, or an identity provider's."""

    def authenticate(self, bearer: str, source: Address | None) -> Actor:
        """The actor that a token stands for.

        Raises:
            Unauthenticated: nobody is known by it, or it may not be used from there.
        """
        ...
