"""Every command and query, and the function that serves it.

Invariant: importing this package registers them all.
"""

from allotment.operations import (
    allocation_pools,
    allocations,
    audit_log,
    audit_pages,
    bulk,
    check,
    holdings,
    inquiries,
    prefix_allocations,
    projects,
    releases,
    searches,
    subnet_pools,
    subnets,
    usage,
)

__all__ = [
    "allocation_pools",
    "allocations",
    "audit_log",
    "audit_pages",
    "bulk",
    "check",
    "holdings",
    "inquiries",
    "prefix_allocations",
    "projects",
    "releases",
    "searches",
    "subnet_pools",
    "subnets",
    "usage",
]
