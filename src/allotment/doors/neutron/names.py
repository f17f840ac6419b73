"""What Neutron's things are called in the book.

Invariant: a name is made from one Neutron id and gives it back, so whoever has the one can find the
other; no name reads as an id of the book.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.names import TAG

_SUBNET: Final = "neutron-subnet-"
_POOL: Final = "neutron-pool-"
_SCOPE: Final = "neutron-scope-"
_NETWORK: Final = "neutron-network-"
_PROJECT: Final = "neutron-project:"
_PORT: Final = "port:"
_REQUEST: Final = "request "
_NOBODY: Final = "-"

PROVISIONAL_PREFIX: Final = "::/64"
"""The prefix of every subnet that still waits for a delegated one; many have it at a time."""
DELEGATED_POOL: Final = "prefix_delegation"
"""What Neutron says instead of a subnet pool of a subnet whose prefix is delegated."""


def subnet_name(subnet_id: str) -> str:
    """What a Neutron subnet is called."""
    return _SUBNET + subnet_id


def subnet_of(name: str | None) -> str | None:
    """The Neutron subnet that a name is for, if it is for one."""
    return _after(_SUBNET, name)


def pool_name(pool_id: str) -> str:
    """What a Neutron subnet pool is called."""
    return _POOL + pool_id


def pool_of(name: str | None) -> str | None:
    """The Neutron subnet pool that a name is for, if it is for one."""
    return _after(_POOL, name)


def scope_of_address_scope(scope_id: str) -> str:
    """The scope of the book that stands for an address scope of Neutron."""
    return _SCOPE + scope_id


def scope_of_pool(pool_id: str) -> str:
    """The scope of a subnet pool that has no address scope."""
    return _POOL + pool_id


def scope_of_network(network_id: str) -> str:
    """The scope of a network's subnets that are of no subnet pool."""
    return _NETWORK + network_id


def scope_of_subnet(subnet_id: str) -> str:
    """The scope of a subnet that may overlap any other."""
    return _SUBNET + subnet_id


def is_made_for_neutron(scope: str) -> bool:
    """Whether a scope was opened for something of Neutron's, so that it may go with it."""
    return any(_after(lead, scope) for lead in (_SUBNET, _POOL, _SCOPE, _NETWORK))


def project_tag(project_id: str | None) -> str:
    """The tag that says which project of Keystone something is for."""
    tag = _PROJECT + (project_id or _NOBODY)
    try:
        TAG.check(tag, "project")
    except InvalidValue:
        tag = f"{_PROJECT}sha256-{sha256((project_id or '').encode()).hexdigest()[:32]}"
    return tag


def project_of(tags: tuple[str, ...]) -> str | None:
    """The project that tags say something is for."""
    found = next((tag for tag in tags if tag.startswith(_PROJECT)), _PROJECT)
    project_id = found.removeprefix(_PROJECT)
    return None if project_id in ("", _NOBODY) else project_id


def identifier(port_id: str, purpose: Address | int) -> str:
    """The identifier of an address that a port holds: the address asked for, or which in turn."""
    return f"{_PORT}{port_id}:{purpose}"


def port_of(identifier: str | None) -> str | None:
    """The port that an identifier is for, if it is for one."""
    if identifier is None or not identifier.startswith(_PORT):
        return None
    return identifier.removeprefix(_PORT).partition(":")[0] or None


def attempt(request_id: str, nonce: str) -> str:
    """What is said of an address: which request of Neutron's asked, and in which attempt."""
    return f"{_REQUEST}{request_id}, attempt {nonce}"


def request_of(description: str) -> str | None:
    """The request that an address was taken for, if that was said."""
    if not description.startswith(_REQUEST):
        return None
    return description.removeprefix(_REQUEST).rpartition(", attempt ")[0] or None


def _after(lead: str, name: str | None) -> str | None:
    if name is None or not name.startswith(lead):
        return None
    return name.removeprefix(lead) or None
