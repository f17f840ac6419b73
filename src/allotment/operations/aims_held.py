"""What requests about held addresses and prefixes are about.

Invariant: what a token of a project holds without naming an owner is the project's, so that its
quota has no way round; what is held is changed by those only who may touch it.
"""

from __future__ import annotations

from msgspec import structs

from allotment.engine.access import Rights, Want
from allotment.model import commands as c
from allotment.model.access import Role
from allotment.operations.aims import (
    Aim,
    aims_at,
    at_project,
    new_owner,
    pool_place,
    project,
    subnet_place,
)
from allotment.store import directory
from allotment.store.directory import POOL, SUBNET
from allotment.store.session import Read


def _owner(r: Read, rights: Rights, wanted: str | None) -> tuple[str | None, list[Want]]:
    """Whose it will be: the owner named, else the project of the token."""
    if wanted is not None:
        owner = project(r, wanted)
    elif rights.home is not None:
        owner = rights.home
    else:
        return None, []
    return str(owner), [at_project(Role.ALLOCATOR, owner)]


@aims_at(c.AllocateAddress)
def _allocate(r: Read, rights: Rights, request: c.AllocateAddress) -> Aim[c.AllocateAddress]:
    owner, wants = _owner(r, rights, request.owner)
    found = []
    for reference in (request.subnet, *request.fallbacks):
        row = directory.find_inside(r, SUBNET, reference, request.scope)
        found.append(str(row.id))
        wants.append(Want(request.needs, subnet_place(r, row.id)))
    resolved = structs.replace(
        request, subnet=found[0], fallbacks=tuple(found[1:]), scope=None, owner=owner
    )
    return Aim(resolved, wants)


@aims_at(c.AllocateAddresses)
def _allocate_many(
    r: Read, rights: Rights, request: c.AllocateAddresses
) -> Aim[c.AllocateAddresses]:
    owner, wants = _owner(r, rights, request.owner)
    row = directory.find_inside(r, SUBNET, request.subnet, request.scope)
    wants.append(Want(request.needs, subnet_place(r, row.id)))
    return Aim(structs.replace(request, subnet=str(row.id), scope=None, owner=owner), wants)


@aims_at(c.AllocatePrefix)
def _allocate_prefix(r: Read, rights: Rights, request: c.AllocatePrefix) -> Aim[c.AllocatePrefix]:
    owner, wants = _owner(r, rights, request.owner)
    row = directory.find_inside(r, POOL, request.pool, request.scope)
    wants.append(Want(request.needs, pool_place(r, row.id)))
    return Aim(structs.replace(request, pool=str(row.id), scope=None, owner=owner), wants)


@aims_at(c.ReleasePrefix)
def _release_prefix(r: Read, rights: Rights, request: c.ReleasePrefix) -> Aim[c.ReleasePrefix]:
    row = directory.find_inside(r, POOL, request.pool, request.scope)
    wants = [Want(Role.VIEWER, pool_place(r, row.id)), Want(request.needs, None)]
    return Aim(structs.replace(request, pool=str(row.id), scope=None), wants)


_Held = c.ReleaseAddress | c.ReleaseAddresses


@aims_at(c.ReleaseAddress, c.ReleaseAddresses)
def _held(r: Read, rights: Rights, request: _Held) -> Aim[_Held]:
    """Whose it is, is known when it is locked: then it is asked whether it may be touched."""
    row = directory.find_inside(r, SUBNET, request.subnet, request.scope)
    wants = [Want(Role.VIEWER, subnet_place(r, row.id)), Want(request.needs, None)]
    return Aim(structs.replace(request, subnet=str(row.id), scope=None), wants)


@aims_at(c.UpdateAllocation)
def _update(r: Read, rights: Rights, request: c.UpdateAllocation) -> Aim[c.UpdateAllocation]:
    row = directory.find_inside(r, SUBNET, request.subnet, request.scope)
    place = subnet_place(r, row.id)
    wants = [Want(Role.VIEWER, place), Want(request.needs, None)]
    owner, more = new_owner(r, request.owner, request.needs)
    if owner is None:  # nobody's: that takes it out of every quota
        wants.append(Want(Role.OPERATOR, place))
    resolved = structs.replace(request, subnet=str(row.id), scope=None, owner=owner)
    return Aim(resolved, wants + more)


@aims_at(c.ReleaseMatching)
def _release_matching(
    r: Read, rights: Rights, request: c.ReleaseMatching
) -> Aim[c.ReleaseMatching]:
    wants = [Want(request.needs, None)]
    resolved = request
    if request.subnet is not None:
        row = directory.find_inside(r, SUBNET, request.subnet, request.scope)
        wants.append(Want(Role.VIEWER, subnet_place(r, row.id)))
        resolved = structs.replace(resolved, subnet=str(row.id), scope=None)
    if request.owner is not None:
        owner = project(r, request.owner)
        resolved = structs.replace(resolved, owner=str(owner))
        if request.subnet is None:
            wants.append(at_project(request.needs, owner))
    return Aim(resolved, wants)
