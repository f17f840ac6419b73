"""Who held an address, and when: periods, the question for them, and forgetting them.

Invariant: a period is half-open: its holder held the address at `since`, and not at `until`.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from allotment.model.access import Role
from allotment.model.address import Address
from allotment.model.command import Command
from allotment.model.limits import Bounds
from allotment.model.mac import Mac
from allotment.model.names import Reference
from allotment.model.queries import PageSize, Query
from allotment.model.results import Page, Result, Status

Moment = Annotated[int, Bounds(0, 1 << 62)]


class Period(Result, frozen=True, kw_only=True):
    """One holder of an address, from `since` on; `until` is None while it holds the address.

    An allocation has a period for each project, status, identifier, hostname and MAC it had.
    `scope` is None where the scope may not be named by the actor; the subnet may be deleted, and
    the project, which has no name then.
    """

    scope_id: UUID
    scope: str | None
    subnet_id: UUID
    address: Address
    allocation_id: UUID
    status: Status
    project_id: UUID | None
    project: str | None
    identifier: str | None
    hostname: str | None
    mac: Mac | None
    since: int
    until: int | None


class ListHistory(Query[Page[Period]], frozen=True, kw_only=True):
    """Who holds an address and who held it, the newest first, in every scope (or the one named).

    With `at`: who held it then, which is one in a scope at most.
    """

    address: Address
    scope: Reference | None = None
    subnet: Reference | None = None
    at: Moment | None = None
    limit: PageSize = 100
    cursor: str | None = None


class Forgotten(Result, frozen=True, kw_only=True):
    """How many periods were deleted; `more`: there are more to delete, ask again."""

    count: int
    more: bool


class ForgetHistory(Command[Forgotten], frozen=True, kw_only=True):
    """Delete periods that ended before a time, of one scope or of all, up to 50,000 at once."""

    takes_long = True
    needs = Role.ADMIN
    before: Moment
    scope: Reference | None = None
