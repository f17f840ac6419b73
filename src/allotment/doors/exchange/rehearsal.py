"""A rehearsal: changes go to a book in memory that has learnt what the importer looked at.

Invariant: the real book is only asked; what the rehearsal accepts or refuses, the real one would,
as long as nobody changes it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar
from uuid import UUID

from allotment.doors.exchange.copying import making
from allotment.doors.exchange.runs import joined
from allotment.doors.exchange.seat import Seat
from allotment.model.commands import Batch, Command, CreateAddressScope, CreateProject
from allotment.model.queries import Query
from allotment.model.results import (
    AddressScope,
    Allocation,
    Page,
    PrefixAllocation,
    Project,
    Result,
    Subnet,
    SubnetPool,
)

R = TypeVar("R")

_BATCH: Final = 500
# In the order in which they can be made: what is needed comes before what needs it.
_RANKS: Final[tuple[type[Any], ...]] = (  # Any: results with an id
    Project,
    AddressScope,
    SubnetPool,
    Subnet,
    PrefixAllocation,
    Allocation,
)


class Rehearsal:
    """A seat whose questions the real book answers, and whose commands a book in memory takes.

    An importer refers to scopes and projects by name and to the rest by prefix, so that a
    reference means the same in both. Nothing is copied before the first command.
    """

    def __init__(self, real: Seat, stage: Seat) -> None:
        self._real = real
        self._stage = stage
        self._seen: list[Result] = []
        self._ids: dict[UUID, UUID] = {}
        self._names: set[tuple[type[Result], str]] = set()

    def ask(self, query: Query[R], /) -> R:
        """Ask the real book, and remember the answer."""
        answer = self._real.ask(query)
        for one in answer.items if isinstance(answer, Page) else (answer,):
            if isinstance(one, _RANKS):
                self._seen.append(one)
        return answer

    def do(self, command: Command[R], /) -> R:
        """Carry the command out in the book in memory."""
        self._learn()
        return self._stage.do(command)

    def _learn(self) -> None:
        """Make in memory what was seen since the last command."""
        seen, self._seen = self._seen, []
        for kind in _RANKS:
            new = {one.id: one for one in seen if isinstance(one, kind) and one.id not in self._ids}
            self._copy(sorted(new.values(), key=_depth))

    def _copy(self, found: list[Any]) -> None:  # Any: results of one kind
        self._name_all(found)
        fresh = [one for one in found if not isinstance(one, Project | AddressScope)]
        for start in range(0, len(fresh), _BATCH):
            some = fresh[start : start + _BATCH]
            runs = list(joined(making(one, lambda held: str(self._ids[held])) for one in some))
            answers = self._stage.do(Batch(commands=tuple(run.command for run in runs)))
            made: Iterator[Any] = (  # Any: as above
                one
                for run, answer in zip(runs, answers, strict=True)
                for one in run.answers(answer)
            )
            self._ids.update((old.id, new.id) for old, new in zip(some, made, strict=True))

    def _name_all(self, found: Iterable[Any]) -> None:  # Any: as above
        """Make the projects and scopes that things are in, as far as they are not there yet."""
        for one in found:
            if isinstance(one, Project | AddressScope):
                self._make_named(type(one), one.name)
                continue
            if getattr(one, "project", None) is not None:
                self._make_named(Project, one.project)
            if isinstance(one, SubnetPool | Subnet):
                self._make_named(AddressScope, one.scope)

    def _make_named(self, kind: type[Project] | type[AddressScope], name: str) -> None:
        if (kind, name) not in self._names:
            self._names.add((kind, name))
            make = CreateProject if kind is Project else CreateAddressScope
            self._stage.do(make(name=name))


def _depth(found: Any) -> int:  # Any: a result that may have prefixes
    """Large prefixes first, so that nothing has to be hung anew."""
    return min((prefix.length for prefix in getattr(found, "prefixes", ())), default=0)
