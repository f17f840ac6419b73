"""What each request is about, and which roles it needs there.

Invariant: a request without an aim is for those only who have its role at everything there is; an
aim is found by what the actor sees, and what is resolved is what is served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from msgspec import UNSET, structs

from allotment.engine.access import ANYWHERE, EVERYTHING, INSTALLATION, Place, Rights, Want
from allotment.errors import Forbidden
from allotment.model import commands as c
from allotment.model.access import Role
from allotment.model.command import Command
from allotment.model.history import ForgetHistory
from allotment.model.prefix import Prefix
from allotment.model.queries import Query
from allotment.store import directory, places, prefix_allocations, prefixes
from allotment.store.directory import POOL, PROJECT, SCOPE, SUBNET, AnyRow
from allotment.store.session import Read

Asked = TypeVar("Asked", bound=Command[Any] | Query[Any])  # Any: whatever it answers
F = TypeVar("F", bound=Callable[..., Any])


class Aim(NamedTuple, Generic[Asked]):
    """The request with its references as ids, and the roles it needs."""

    resolved: Asked
    wants: Sequence[Want]


_aims: dict[type, Callable[[Read, Rights, Any], Aim[Any]]] = {}


def aims_at(*kinds: type) -> Callable[[F], F]:
    """This function finds what requests of those kinds are about: (r, rights, request) -> Aim."""

    def enter(function: F) -> F:
        for kind in kinds:
            assert kind not in _aims
            _aims[kind] = function
        return function

    return enter


def known() -> frozenset[type]:
    """The kinds of request that have an aim of their own."""
    return frozenset(_aims)


def of(r: Read, rights: Rights, request: Asked) -> Aim[Asked]:
    """What a request is about.

    Raises:
        NotFound, Ambiguous: it is not there, or not seen.
    """
    find = _aims.get(type(request))
    if find is not None:
        return find(r, rights, request)
    if isinstance(request, Query) and request.needs is Role.VIEWER:
        return Aim(request, [Want(Role.VIEWER, None)])  # what it finds is bounded by sight
    return Aim(request, [])


def project(r: Read, reference: str) -> UUID:
    """The id of a project that is seen."""
    found: UUID = directory.find_named(r, PROJECT, reference).id
    return found


def at_project(role: Role, project_id: UUID) -> Want:
    """A role at a project."""
    return Want(role, frozenset({project_id}))


def scope_place(r: Read, row: AnyRow) -> Place:
    """The place of a scope."""
    return places.of_scopes(r, [row.id])[row.id]


def pool_place(r: Read, pool_id: UUID) -> Place:
    """The place of a subnet pool."""
    return places.of_pools(r, [pool_id])[pool_id]


def subnet_place(r: Read, subnet_id: UUID) -> Place:
    """The place of a subnet."""
    return places.of_subnets(r, [subnet_id])[subnet_id]


def spare_denied(r: Read, rights: Rights, container: UUID) -> None:
    """Refuse to act on all that is inside a container while some of it is denied to the actor.

    A project's things may be anywhere: where a project is denied, or is the container, whatever
    is there is not asked.

    Raises:
        Forbidden: it is.
    """
    denied = rights.denied - {INSTALLATION}
    if not denied:
        return
    projects = places.projects_among(r, [container, *denied])
    for one in denied:
        place = places.of(r, one)
        if place is not None and (container in place or projects & {container, one}):
            raise Forbidden(rights.actor.name, "act on all of it: part of it is denied")


def spare_adopted(
    r: Read, rights: Rights, above: UUID, wanted: Sequence[Prefix], itself: UUID | None = None
) -> None:
    """Refuse to take what is denied to the actor into a pool, where grants on that would hold.

    `above` is the pool or scope that it is in now, `itself` the pool that grows.

    Raises:
        Forbidden: some of it is.
    """
    if not rights.denied:
        return
    for prefix in wanted:
        for one in prefixes.children_within(r, above, prefix):
            if one.holder_id == itself:
                continue
            place = places.of(r, one.holder_id)
            if place is None:  # a prefix that somebody holds
                owner = prefix_allocations.project_of(r, one.holder_id)
                place = frozenset() if owner is None else frozenset({owner})
            if rights.cap(place) < EVERYTHING:
                raise Forbidden(rights.actor.name, "take it into a pool: part of it is denied")
            spare_denied(r, rights, one.holder_id)


@aims_at(c.Batch)
def _batch(r: Read, rights: Rights, request: c.Batch) -> Aim[c.Batch]:
    """Each part is looked at when its turn comes."""
    return Aim(request, [Want(Role.VIEWER, None)])


@aims_at(c.CreateProject)
def _at_installation(r: Read, rights: Rights, request: c.CreateProject) -> Aim[c.CreateProject]:
    return Aim(request, [Want(request.needs, ANYWHERE)])


@aims_at(c.UpdateProject, c.DeleteProject)
def _project(
    r: Read, rights: Rights, request: c.UpdateProject | c.DeleteProject
) -> Aim[c.UpdateProject | c.DeleteProject]:
    found = project(r, request.project)
    resolved = structs.replace(request, project=str(found))
    return Aim(resolved, [at_project(request.needs, found)])


@aims_at(c.CreateAddressScope)
def _new_scope(r: Read, rights: Rights, request: c.CreateAddressScope) -> Aim[c.CreateAddressScope]:
    if request.project is None:
        return Aim(request, [Want(request.needs, ANYWHERE)])
    owner = project(r, request.project)
    resolved = structs.replace(request, project=str(owner))
    return Aim(resolved, [at_project(request.needs, owner)])


@aims_at(c.UpdateAddressScope, c.DeleteAddressScope)
def _scope(
    r: Read, rights: Rights, request: c.UpdateAddressScope | c.DeleteAddressScope
) -> Aim[c.UpdateAddressScope | c.DeleteAddressScope]:
    row = directory.find_named(r, SCOPE, request.scope)
    wants = [Want(request.needs, scope_place(r, row))]
    resolved: c.UpdateAddressScope | c.DeleteAddressScope
    if isinstance(request, c.DeleteAddressScope):
        if request.cascade:
            spare_denied(r, rights, row.id)
        resolved = structs.replace(request, scope=str(row.id))
    else:
        owner, more = new_owner(r, request.project, request.needs)
        if more:
            spare_denied(r, rights, row.id)
        resolved = structs.replace(request, scope=str(row.id), project=owner)
        wants += more
    return Aim(resolved, wants)


@aims_at(ForgetHistory)
def _history(r: Read, rights: Rights, request: ForgetHistory) -> Aim[ForgetHistory]:
    if request.scope is None:
        return Aim(request, [])
    row = directory.find_named(r, SCOPE, request.scope)
    spare_denied(r, rights, row.id)
    resolved = structs.replace(request, scope=str(row.id))
    return Aim(resolved, [Want(request.needs, scope_place(r, row))])


def new_owner(r: Read, wanted: Any, role: Role) -> tuple[Any, list[Want]]:
    """A project that a thing shall belong to (Any: or None, or unset), and the role it takes."""
    if wanted is UNSET or wanted is None:
        return wanted, []
    owner = project(r, wanted)
    return str(owner), [at_project(role, owner)]


def parent_of(r: Read, scope_id: UUID, prefix: Prefix) -> UUID | None:
    """The deepest pool around a prefix of a scope: that is what it is taken from."""
    chain = prefixes.chain(r, scope_id, prefix)
    pools = [one.holder_id for one in chain if one.kind == "pool"]
    return pools[-1] if pools else None


def _around(r: Read, scope: AnyRow, pool_id: UUID | None) -> Place:
    return scope_place(r, scope) if pool_id is None else pool_place(r, pool_id)


@aims_at(c.CreateSubnetPool)
def _new_pool(r: Read, rights: Rights, request: c.CreateSubnetPool) -> Aim[c.CreateSubnetPool]:
    owner, wants = new_owner(r, request.project, request.needs)
    resolved = structs.replace(request, project=owner)
    if request.parent is not None:
        row = directory.find_inside(r, POOL, request.parent, request.scope)
        resolved = structs.replace(resolved, parent=str(row.id), scope=None)
        wants.append(Want(request.needs, pool_place(r, row.id)))
        above = row.id
    else:
        scope = directory.find_scope(r, request.scope)
        parents = {parent_of(r, scope.id, prefix) for prefix in request.prefixes} or {None}
        wants += [Want(request.needs, _around(r, scope, one)) for one in parents]
        parent = parents.pop()
        # Several are refused later. The one looked at is named, so that it stays the one.
        resolved = structs.replace(
            resolved, scope=str(scope.id), parent=str(parent) if parent else None
        )
        above = parent or scope.id
    if owner is not None:
        spare_adopted(r, rights, above, request.prefixes)
    return Aim(resolved, wants)


@aims_at(c.UpdateSubnetPool, c.DeleteSubnetPool)
def _pool(
    r: Read, rights: Rights, request: c.UpdateSubnetPool | c.DeleteSubnetPool
) -> Aim[c.UpdateSubnetPool | c.DeleteSubnetPool]:
    row = directory.find_inside(r, POOL, request.pool, request.scope)
    wants = [Want(request.needs, pool_place(r, row.id))]
    resolved: c.UpdateSubnetPool | c.DeleteSubnetPool
    if isinstance(request, c.DeleteSubnetPool):
        if request.cascade:
            spare_denied(r, rights, row.id)
        resolved = structs.replace(request, pool=str(row.id), scope=None)
    else:
        if request.prefixes is not UNSET:  # space is taken from around it
            above = row.parent_id
            around = places.of_pools(r, [above]) if above else places.of_scopes(r, [row.scope_id])
            wants += [Want(request.needs, place) for place in around.values()]
            spare_adopted(r, rights, above or row.scope_id, request.prefixes, row.id)
        owner, more = new_owner(r, request.project, request.needs)
        if more:
            spare_denied(r, rights, row.id)
        resolved = structs.replace(request, pool=str(row.id), scope=None, project=owner)
        wants += more
    return Aim(resolved, wants)


@aims_at(c.CreateSubnet)
def _new_subnet(r: Read, rights: Rights, request: c.CreateSubnet) -> Aim[c.CreateSubnet]:
    owner, wants = new_owner(r, request.project, request.needs)
    resolved = structs.replace(request, project=owner)
    if request.pool is not None:
        row = directory.find_inside(r, POOL, request.pool, request.scope)
        resolved = structs.replace(resolved, pool=str(row.id), scope=None)
        wants.append(Want(request.needs, pool_place(r, row.id)))
    else:
        scope = directory.find_scope(r, request.scope)
        parent = parent_of(r, scope.id, request.prefix) if request.prefix is not None else None
        wants.append(Want(request.needs, _around(r, scope, parent)))
        # The one looked at is named, so that it stays the one.
        resolved = structs.replace(
            resolved, scope=str(scope.id), pool=str(parent) if parent else None
        )
    return Aim(resolved, wants)


@aims_at(c.UpdateSubnet, c.DeleteSubnet, c.UpdateAllocationPools)
def _subnet(
    r: Read,
    rights: Rights,
    request: c.UpdateSubnet | c.DeleteSubnet | c.UpdateAllocationPools,
) -> Aim[c.UpdateSubnet | c.DeleteSubnet | c.UpdateAllocationPools]:
    row = directory.find_inside(r, SUBNET, request.subnet, request.scope)
    wants = [Want(request.needs, subnet_place(r, row.id))]
    if isinstance(request, c.DeleteSubnet) and request.cascade:
        spare_denied(r, rights, row.id)
    if isinstance(request, c.UpdateSubnet):
        owner, more = new_owner(r, request.project, request.needs)
        if more:
            spare_denied(r, rights, row.id)
        changed = structs.replace(request, subnet=str(row.id), scope=None, project=owner)
        return Aim(changed, wants + more)
    return Aim(structs.replace(request, subnet=str(row.id), scope=None), wants)
