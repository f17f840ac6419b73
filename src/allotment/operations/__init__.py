"""Every command and query, and the function that serves it.

Invariant: importing this package registers them all.
"""

from allotment.operations import (
    aims_held,
    allocation_pools,
    allocations,
    audit_log,
    audit_pages,
    bulk,
    check,
    fates,
    granting,
    history,
    holdings,
    inquiries,
    prefix_allocations,
    projects,
    quotas,
    releases,
    searches,
    subnet_pools,
    subnets,
    tokens,
    usage,
)

__all__ = [
    "aims_held",
    "allocation_pools",
    "allocations",
    "audit_log",
    "audit_pages",
    "bulk",
    "check",
    "fates",
    "granting",
    "history",
    "holdings",
    "inquiries",
    "prefix_allocations",
    "projects",
    "quotas",
    "releases",
    "searches",
    "subnet_pools",
    "subnets",
    "tokens",
    "usage",
]
