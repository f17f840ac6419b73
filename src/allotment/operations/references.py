"""References of commands turned into ids, once per transaction.

Invariant: a reference that cannot be resolved is an error of its own command only.
"""

from __future__ import annotations

from uuid import UUID

from allotment.store import directory
from allotment.store.directory import PROJECT, SUBNET, read_id
from allotment.store.session import Read


class References:
    """What the references met so far stand for."""

    __slots__ = ("_projects", "_r", "_subnets")

    def __init__(self, r: Read) -> None:
        self._r = r
        self._subnets: dict[tuple[str, str | None], UUID] = {}
        self._projects: dict[str, tuple[UUID, str]] = {}

    def subnet(self, reference: str, scope: str | None) -> UUID:
        """The id of a subnet; an id is taken at its word (the caller locks it next).

        Raises:
            NotFound, Ambiguous: as `directory.find_inside`.
        """
        if scope is None:
            known = read_id(reference)
            if known is not None:
                return known
        key = (reference, scope)
        if key not in self._subnets:
            self._subnets[key] = directory.find_inside(self._r, SUBNET, reference, scope).id
        return self._subnets[key]

    def project(self, reference: str | None) -> tuple[UUID | None, str | None]:
        """The id and name of a project; both None when none is named.

        Raises:
            NotFound: there is no such project.
        """
        if reference is None:
            return None, None
        if reference not in self._projects:
            row = directory.find_named(self._r, PROJECT, reference)
            self._projects[reference] = (row.id, row.name)
        return self._projects[reference]
