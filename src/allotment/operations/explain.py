"""What a violated constraint means to the one who asked.

Invariant: a constraint that a race can violate means "look again"; one that a request can violate
has its error; any other is a bug.
"""

from __future__ import annotations

from typing import Any

from allotment.errors import AllotmentError, AlreadyExists, Bug, Busy, ConstraintFailed, Overlap
from allotment.model.commands import Command

LOOK_AGAIN = frozenset(
    {
        "allocation_pkey",
        "allocation_identifier_once",
        "free_extent_pkey",
        "idempotency_pkey",
        "prefix_allocation_pkey",
        "prefix_allocation_identifier_once",
        "allocation_tag_pkey",
        "subnet_pool_parent",
        "subnet_pool_of",
        "subnet_pool_project",
        "subnet_project",
        "allocation_project",
        "prefix_allocation_project",
        "prefix_allocation_pool",
        "prefix_scope",
        "foreign_key",
        "address_scope_project",
        "access_grant_once",
        "token_key_once",
        "token_project",
        "quota_project",
    }
)
_NAMES = {
    "project_name_once": "project",
    "address_scope_name_once": "address scope",
    "subnet_pool_name_once": "subnet pool",
    "subnet_name_once": "subnet",
    "token_name_once": "token",
}
_OVERLAPS = ("prefix_siblings_never_overlap", "subnet_never_overlaps")


def explain(failed: ConstraintFailed, command: Command[Any]) -> AllotmentError:
    """The error that a refused row means to this command."""
    name = failed.constraint
    if name in _NAMES:
        return AlreadyExists(_NAMES[name], str(getattr(command, "name", "")))
    if name in _OVERLAPS:
        wanted = getattr(command, "prefix", None) or getattr(command, "prefixes", "the prefix")
        return Overlap(str(wanted), "one that was entered meanwhile")
    if name in LOOK_AGAIN:
        return Busy("others changed what this refers to, again and again; try again")
    return Bug(f"constraint {name} refused what had passed every check", phase=failed.phase)
