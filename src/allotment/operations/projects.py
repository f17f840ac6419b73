"""Projects and address scopes: the names things belong to and live in.

Invariant: neither is removed while something refers to it.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from msgspec import UNSET, structs

from allotment.errors import InUse, InvalidValue
from allotment.model.commands import (
    CreateAddressScope,
    CreateProject,
    DeleteAddressScope,
    DeleteProject,
    UpdateAddressScope,
    UpdateProject,
)
from allotment.model.queries import (
    GetAddressScope,
    GetProject,
    ListAddressScopes,
    ListProjects,
    PreviewDelete,
)
from allotment.model.results import AddressScope, Deleted, Page, Project
from allotment.operations import removal
from allotment.operations.registry import answers, handles
from allotment.store import census, directory, grants, pages, quotas
from allotment.store.directory import PROJECT, SCOPE, AnyRow, Kind
from allotment.store.session import Read, Write


def _project(row: AnyRow) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        version=row.version,
    )


def _scope(row: AnyRow) -> AddressScope:
    return AddressScope(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        project=row.project,
        description=row.description,
        created_at=row.created_at,
        version=row.version,
    )


def changes_of(command: Any, *fields: str) -> dict[str, object]:  # Any: an update command
    """The fields that an update sets."""
    given = structs.asdict(command)
    return {field: given[field] for field in fields if given[field] is not UNSET}


def _enter(
    tx: Write, kind: Kind, command: CreateProject | CreateAddressScope, **more: object
) -> AnyRow:
    new = {
        "id": uuid4(),
        "name": command.name,
        "description": command.description,
        "created_at": tx.now,
        **more,
    }
    directory.enter(tx, kind, new)
    return directory.find_named(tx, kind, str(new["id"]))


def _update(tx: Write, kind: Kind, reference: str, command: Any) -> AnyRow:  # Any: as above
    row = directory.find_named(tx, kind, reference)
    directory.lock(tx, kind, row.id, exclusive=True)
    row = directory.find_named(tx, kind, str(row.id))
    changes = changes_of(command, "name", "description")
    if isinstance(command, UpdateAddressScope) and command.project is not UNSET:
        changes["project_id"] = directory.find_project_id(tx, command.project)
        grants.begin_epoch(tx)
    directory.change(tx, kind, row, changes, command.version)
    return directory.find_named(tx, kind, str(row.id))


def _listed(r: Read, kind: Kind, limit: int, cursor: str | None) -> list[AnyRow]:
    name = kind.table.c.name
    where = [name > pages.read_cursor(cursor, [str])[0]] if cursor else []
    return list(directory.listed(r, kind, where, [name], limit))


@handles(CreateProject)
def create_project(tx: Write, command: CreateProject) -> Project:
    """Enter a project."""
    return _project(_enter(tx, PROJECT, command))


@handles(UpdateProject)
def update_project(tx: Write, command: UpdateProject) -> Project:
    """Change a project."""
    return _project(_update(tx, PROJECT, command.project, command))


@handles(DeleteProject)
def delete_project(tx: Write, command: DeleteProject) -> Deleted:
    """Remove a project that owns nothing."""
    row = directory.find_named(tx, PROJECT, command.project)
    directory.lock(tx, PROJECT, row.id, exclusive=True)
    owned = census.owned_by(tx, row.id)
    if any(owned.values()):
        raise InUse("project", row.name, owned)
    quotas.forget(tx, row.id)
    grants.disown_tokens(tx, row.id)
    directory.remove(tx, PROJECT, [row.id])
    return Deleted(contents={"projects": 1})


@answers(GetProject)
def get_project(r: Read, query: GetProject) -> Project:
    """One project."""
    return _project(directory.find_named(r, PROJECT, query.project))


@answers(ListProjects)
def list_projects(r: Read, query: ListProjects) -> Page[Project]:
    """Projects by name."""
    rows = _listed(r, PROJECT, query.limit, query.cursor)
    return pages.paged(rows, query.limit, lambda row: (row.name,), _project)


@handles(CreateAddressScope)
def create_scope(tx: Write, command: CreateAddressScope) -> AddressScope:
    """Open an address scope."""
    project_id = directory.find_project_id(tx, command.project)
    return _scope(_enter(tx, SCOPE, command, project_id=project_id))


@handles(UpdateAddressScope)
def update_scope(tx: Write, command: UpdateAddressScope) -> AddressScope:
    """Change an address scope."""
    return _scope(_update(tx, SCOPE, command.scope, command))


@handles(DeleteAddressScope)
def delete_scope(tx: Write, command: DeleteAddressScope) -> Deleted:
    """Remove an address scope, with all that is inside when told to."""
    row = directory.find_named(tx, SCOPE, command.scope)
    directory.lock(tx, SCOPE, row.id, exclusive=True)
    contents = removal.contents_of_scope(tx, row.id)
    if any(contents.values()) and not command.cascade:
        raise InUse("address scope", row.name, contents)
    removal.empty_scope(tx, row.id)
    directory.remove(tx, SCOPE, [row.id])
    return Deleted(contents={**contents, "address scopes": 1})


@answers(GetAddressScope)
def get_scope(r: Read, query: GetAddressScope) -> AddressScope:
    """One address scope."""
    return _scope(directory.find_named(r, SCOPE, query.scope))


@answers(ListAddressScopes)
def list_scopes(r: Read, query: ListAddressScopes) -> Page[AddressScope]:
    """Address scopes by name."""
    rows = _listed(r, SCOPE, query.limit, query.cursor)
    return pages.paged(rows, query.limit, lambda row: (row.name,), _scope)


@answers(PreviewDelete)
def preview_delete(r: Read, query: PreviewDelete) -> Deleted:
    """What a cascade would remove."""
    if query.pool is not None and query.subnet is not None:
        raise InvalidValue("subnet", query.subnet, "name a subnet or a subnet pool, not both")
    if query.scope is None and query.pool is None and query.subnet is None:
        raise InvalidValue("scope", None, "name an address scope, a subnet pool or a subnet")
    if query.subnet is not None:
        row = directory.find_inside(r, directory.SUBNET, query.subnet, query.scope)
        return Deleted(contents={**removal.contents_of_subnet(r, row.id), "subnets": 1})
    if query.pool is not None:
        row = directory.find_inside(r, directory.POOL, query.pool, query.scope)
        contents = removal.contents_of_pool(r, row.id)
        return Deleted(contents={**contents, "subnet pools": contents["subnet pools"] + 1})
    named = directory.find_scope(r, query.scope)
    row = directory.find_named(r, SCOPE, str(named.id))
    return Deleted(contents={**removal.contents_of_scope(r, row.id), "address scopes": 1})
