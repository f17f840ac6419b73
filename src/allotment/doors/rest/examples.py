"""Examples of requests and answers for the description of the service.

Invariant: the example of a body is one that its reader takes; a test reads them all.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from allotment.doors.rest.forms import fields_of
from allotment.doors.rest.shapes import schema_of
from allotment.doors.rest.texts import element_of, kinds_of
from allotment.model import commands as c
from allotment.model import events as e
from allotment.model import grants as g
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix
from allotment.model.results import Page
from allotment.model.routes import Route
from allotment.model.secret import Secret

_TEXTS: Final[dict[type, str]] = {
    Address: "10.1.0.2",
    Prefix: "10.1.0.0/24",
    AddressRange: "10.1.0.10-10.1.0.99",
    Mac: "02:00:5e:10:00:01",
    Secret: "***",
    UUID: "eb299e32-2234-4faf-8a1b-6a24408dfecc",
}
_NAMED: Final[dict[str, object]] = {
    "actor": "token:ci",
    "container": "office",
    "grant": "3d835bad-c09d-45c1-819e-62587f457ad2",
    "hostname": "web-1",
    "identifier": "vm-17",
    "key": "deploy-4711",
    "name": "office",
    "owner": "payments",
    "pool": "corp",
    "project": "payments",
    "scope": "blue",
    "subnet": "office",
    "text": "web",
    "token": "ci",
    "tags": ["web"],
    "created_at": 1_767_225_600_000,
    "at": 1_767_225_600_000,
    "before": 1_767_225_600_000,
    "since": 1_767_225_600_000,
    "until": 1_775_001_600_000,
    "expires_at": 1_775_001_600_000,
    "next": None,
}
_BODIES: Final[dict[type, dict[str, object]]] = {
    c.UpdateProject: {"description": "Card payments"},
    c.UpdateAddressScope: {"description": "Everything inside"},
    c.UpdateSubnetPool: {"default_length": 26},
    c.UpdateSubnet: {"name": "office", "tags": ["floor-2"]},
    c.UpdateAllocation: {"hostname": "web-2", "tags": ["web"]},
    c.CreateSubnetPool: {
        "name": "corp", "scope": "blue", "prefixes": ["10.0.0.0/8"], "default_length": 24,
    },
    c.CreateSubnet: {"scope": "blue", "prefix": "10.1.0.0/24", "name": "office"},
    c.AllocateAddress: {"hostname": "web-1", "identifier": "vm-17", "owner": "payments"},
    c.AllocateAddresses: {"count": 3, "contiguous": True},
    c.AllocatePrefix: {"length": 26},
    c.ReleaseMatching: {"owner": "payments"},
    c.Batch: {
        "commands": [
            {"do": "CreateSubnet", "scope": "blue", "prefix": "10.2.0.0/24", "name": "lab"},
            {"do": "AllocateAddress", "subnet": "lab", "hostname": "gauge"},
        ],
    },
    g.CreateToken: {"name": "ci", "lifetime_seconds": 2_592_000, "sources": ["10.1.0.0/24"]},
    g.CreateGrant: {
        "actor": "token:ci", "role": "allocator", "target": "subnet", "reference": "office",
    },
    g.SetQuota: {"addresses": 1000, "prefixes": None},
    e.VerifyAudit: {"anchors": []},
}  # fmt: skip


def body_example(route: Route) -> dict[str, Any]:  # Any: JSON
    """A body for a route."""
    if route.request in _BODIES:
        return dict(_BODIES[route.request])
    return {
        field.name: example_of(field.hint, field.name)
        for field in fields_of(route)
        if field.required and field.name not in route.in_path
    }


def example_of(hint: Any, name: str = "") -> Any:  # Any: an annotation; JSON
    """An example of a value."""
    if name in _NAMED:
        return _NAMED[name]
    element = element_of(hint)
    if element is not None:
        return [example_of(element, name.removesuffix("s"))]
    kind = (kinds_of(hint) or (str,))[0]
    if get_origin(kind) is Page:
        return {"items": [example_of(get_args(kind)[0])], "next": None}
    if kind in _TEXTS:
        return _TEXTS[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        return {one: example_of(hints[one], one) for one in kind.__struct_fields__}
    return _simple(kind, hint, name)


def _simple(kind: Any, hint: Any, name: str) -> Any:  # Any: annotations; JSON
    if kind is msgspec.Raw:
        return {}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    if kind is bool:
        return False
    if kind is int:
        return max(1, schema_of(hint).get("minimum", 1))
    return name.replace("_", "-") or "office"
