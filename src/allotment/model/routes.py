"""Which HTTP request stands for which command or query: the contract of server and client.

Invariant: every command and query has a route, and a route's fields are its request's own: those
in the path, and the rest in the body (POST, PUT, PATCH) or the query string (GET, DELETE).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from allotment.model import commands as c
from allotment.model import events as e
from allotment.model import grants as g
from allotment.model import history as h
from allotment.model import queries as q

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Request = type[c.Command[Any]] | type[q.Query[Any]]  # Any: whatever it answers


class Route(NamedTuple):
    """One method of one path; names in braces are fields, each one percent-encoded segment.

    `when`: the route stands for its request only if the body has this field; the route of the same
    method and path without `when` stands for the rest. `part`: the answer's field that is sent.
    """

    method: Method
    path: str
    request: Request
    success: int = 200
    when: str | None = None
    part: str | None = None

    @property
    def in_path(self) -> tuple[str, ...]:
        """The fields that the path names."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    @property
    def has_body(self) -> bool:
        """Whether the other fields travel in a body, as JSON."""
        return self.method in ("POST", "PUT", "PATCH")


_SUBNET = "/v1/subnets/{subnet}"
_HELD = f"{_SUBNET}/allocations"
_POOL = "/v1/subnet-pools/{pool}"

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/v1/projects", q.ListProjects),
    Route("POST", "/v1/projects", c.CreateProject, 201),
    Route("GET", "/v1/projects/{project}", q.GetProject),
    Route("PATCH", "/v1/projects/{project}", c.UpdateProject),
    Route("DELETE", "/v1/projects/{project}", c.DeleteProject),
    Route("GET", "/v1/projects/{project}/quota", g.GetQuota),
    Route("PATCH", "/v1/projects/{project}/quota", g.SetQuota),
    Route("GET", "/v1/scopes", q.ListAddressScopes),
    Route("POST", "/v1/scopes", c.CreateAddressScope, 201),
    Route("GET", "/v1/scopes/{scope}", q.GetAddressScope),
    Route("PATCH", "/v1/scopes/{scope}", c.UpdateAddressScope),
    Route("DELETE", "/v1/scopes/{scope}", c.DeleteAddressScope),
    Route("GET", "/v1/subnet-pools", q.ListSubnetPools),
    Route("POST", "/v1/subnet-pools", c.CreateSubnetPool, 201),
    Route("GET", _POOL, q.GetSubnetPool),
    Route("PATCH", _POOL, c.UpdateSubnetPool),
    Route("DELETE", _POOL, c.DeleteSubnetPool),
    Route("GET", f"{_POOL}/allocations", q.ListPrefixAllocations),
    Route("POST", f"{_POOL}/allocations", c.AllocatePrefix, 201),
    Route("DELETE", f"{_POOL}/allocations/{{prefix}}", c.ReleasePrefix),
    Route("GET", "/v1/subnets", q.ListSubnets),
    Route("POST", "/v1/subnets", c.CreateSubnet, 201),
    Route("GET", _SUBNET, q.GetSubnet),
    Route("PATCH", _SUBNET, c.UpdateSubnet),
    Route("DELETE", _SUBNET, c.DeleteSubnet),
    Route("GET", f"{_SUBNET}/allocation-pools", q.GetSubnet, part="pools"),
    Route("PUT", f"{_SUBNET}/allocation-pools", c.UpdateAllocationPools),
    Route("GET", _HELD, q.ListAllocations),
    Route("POST", _HELD, c.AllocateAddress, 201),
    Route("POST", _HELD, c.AllocateAddresses, 201, when="count"),
    Route("GET", f"{_HELD}/{{address}}", q.GetAllocation),
    Route("PATCH", f"{_HELD}/{{address}}", c.UpdateAllocation),
    Route("DELETE", f"{_HELD}/{{address}}", c.ReleaseAddress),
    Route("POST", f"{_SUBNET}/releases", c.ReleaseAddresses),
    Route("GET", "/v1/allocations", q.ListAllocations),
    Route("POST", "/v1/releases", c.ReleaseMatching),
    Route("POST", "/v1/batches", c.Batch),
    Route("GET", "/v1/search", q.Search),
    Route("GET", "/v1/lookup", q.Lookup),
    Route("GET", "/v1/history", h.ListHistory),
    Route("POST", "/v1/history/forget", h.ForgetHistory),
    Route("GET", "/v1/usage", q.GetUtilisation),
    Route("GET", "/v1/free", q.ListFree),
    Route("GET", "/v1/tree", q.ListTree),
    Route("GET", "/v1/delete-preview", q.PreviewDelete),
    Route("GET", "/v1/status", q.GetStatus),
    Route("GET", "/v1/check", q.CheckBook),
    Route("POST", "/v1/repair", c.RepairBook),
    Route("GET", "/v1/events", e.ListEvents),
    Route("GET", "/v1/operations/{key}", e.ResolveOperation),
    Route("GET", "/v1/whoami", g.WhoAmI),
    Route("GET", "/v1/tokens", g.ListTokens),
    Route("POST", "/v1/tokens", g.CreateToken, 201),
    Route("GET", "/v1/tokens/{token}", g.GetToken),
    Route("DELETE", "/v1/tokens/{token}", g.RevokeToken),
    Route("GET", "/v1/grants", g.ListGrants),
    Route("POST", "/v1/grants", g.CreateGrant, 201),
    Route("GET", "/v1/grants/{grant}", g.GetGrant),
    Route("DELETE", "/v1/grants/{grant}", g.RevokeGrant),
    Route("GET", "/v1/audit", e.ListAudit),
    Route("POST", "/v1/audit/verify", e.VerifyAudit),
    Route("POST", "/v1/audit/seal", e.SealAudit),
)


@cache
def by_request() -> Mapping[type, tuple[Route, ...]]:
    """The routes of each command and query, the first being the one a client takes."""
    found: dict[type, tuple[Route, ...]] = {}
    for route in ROUTES:
        found[route.request] = (*found.get(route.request, ()), route)
    return found
