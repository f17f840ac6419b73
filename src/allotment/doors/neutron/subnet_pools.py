"""Neutron's subnet pools in the book, and what a project has had of one.

Invariant: a pool of the book has the prefixes that Neutron says, and nothing is carved from it that
Neutron counts as taken; a quota is the asking project's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from allotment.doors.exchange.seat import Seat, every
from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Plan
from allotment.doors.neutron.subnets import open_scope
from allotment.errors import AlreadyExists, NotFound, QuotaExceeded
from allotment.model.address import BITS
from allotment.model.commands import AllocatePrefix, CreateSubnetPool, UpdateSubnetPool
from allotment.model.prefix import Prefix
from allotment.model.queries import GetSubnetPool, ListPrefixAllocations, ListSubnets
from allotment.model.results import SubnetPool

_TRIES: Final = 5
_UNIT_LENGTH: Final = {4: 32, 6: 64}
"""Quotas of subnet pools are counted in IPv4 addresses and in IPv6 prefixes of this length."""


class PoolFacts(NamedTuple):
    """A subnet pool as Neutron has it."""

    id: str
    prefixes: tuple[Prefix, ...]
    address_scope_id: str | None = None
    default_length: int | None = None
    quota: int | None = None


class Carved(NamedTuple):
    """A prefix that Neutron counts as taken of a subnet pool: for which subnet and project."""

    subnet_id: str
    prefix: Prefix
    project_id: str | None


class PoolBook:
    """What the driver does with subnet pools at a desk."""

    def __init__(self, seat: Seat, plan: Plan) -> None:
        self._seat = seat
        self._plan = plan

    def enter(self, facts: PoolFacts) -> SubnetPool:
        """The pool as Neutron has it: entered where it is missing, with its prefixes up to date.

        Raises:
            Overlap: something else of the scope has some of its prefixes.
        """
        for _ in range(_TRIES):
            try:
                found = self._seat.ask(GetSubnetPool(pool=names.pool_name(facts.id)))
            except NotFound:
                made = self._make(facts)
                if made is not None:
                    return made
                continue
            if set(found.prefixes) == set(facts.prefixes):
                return found
            return self._seat.do(UpdateSubnetPool(pool=str(found.id), prefixes=facts.prefixes))
        raise NotFound("subnet pool", names.pool_name(facts.id), "it comes and goes")

    def _make(self, facts: PoolFacts) -> SubnetPool | None:
        """Enter a pool; None: somebody else was quicker, or its scope was closed meanwhile."""
        scope = self._plan.scope_of_pool(facts.id, facts.address_scope_id)
        open_scope(self._seat, scope, self._plan.project)
        command = CreateSubnetPool(
            name=names.pool_name(facts.id),
            scope=scope,
            prefixes=facts.prefixes,
            default_length=facts.default_length,
        )
        try:
            return self._seat.do(command)
        except AlreadyExists:
            return None
        except NotFound as error:
            if error.facts.get("reference") != scope:
                raise
            return None

    def set_apart(self, pool: SubnetPool, taken: Iterable[Carved]) -> None:
        """Hold what Neutron counts as taken and the book has elsewhere: subnets brought in late."""
        known = {one.prefix for one in every(self._seat, ListSubnets(pool=str(pool.id)))}
        known |= {one.prefix for one in every(self._seat, ListPrefixAllocations(pool=str(pool.id)))}
        for one in taken:
            if one.prefix in known or not any(own.contains(one.prefix) for own in pool.prefixes):
                continue
            self._seat.do(
                AllocatePrefix(
                    pool=str(pool.id),
                    prefix=one.prefix,
                    identifier=names.subnet_name(one.subnet_id),
                    description="Neutron counts it as taken from this pool",
                    tags=(names.project_tag(one.project_id),),
                )
            )

    def check_quota(
        self, pool: SubnetPool, facts: PoolFacts, project_id: str | None, more: int
    ) -> None:
        """Refuse what a project may not have of a pool, `more` addresses included.

        Raises:
            QuotaExceeded: naming the limit, and what the project has.
        """
        if not facts.quota:
            return
        limit = facts.quota << (BITS[pool.family] - _UNIT_LENGTH[pool.family])
        used = self.used(pool, project_id)
        if used + more > limit:
            what = f"addresses of subnet pool {facts.id}"
            raise QuotaExceeded(project_id or "(none)", what, limit, used, more)

    def used(self, pool: SubnetPool, project_id: str | None) -> int:
        """How many addresses the prefixes have that a project has of a pool."""
        tag = names.project_tag(project_id)
        subnets = every(self._seat, ListSubnets(pool=str(pool.id), tag=tag))
        held = every(self._seat, ListPrefixAllocations(pool=str(pool.id)))
        return sum(one.prefix.size for one in subnets) + sum(
            one.prefix.size for one in held if tag in one.tags
        )
