"""How much projects may own.

Invariant: a limit is set by administrators of everything, never by the project it limits.
"""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, structs

from allotment.engine.access import ANYWHERE, Rights, Want
from allotment.model.grants import GetQuota, Quota, SetQuota
from allotment.operations.aims import Aim, aims_at, at_project, project
from allotment.operations.registry import answers, handles
from allotment.store import directory, quotas
from allotment.store.directory import PROJECT
from allotment.store.session import Read, Write


@aims_at(SetQuota)
def _limit(r: Read, rights: Rights, request: SetQuota) -> Aim[SetQuota]:
    limited = project(r, request.project)
    wants = [Want(request.needs, ANYWHERE), at_project(request.needs, limited)]
    return Aim(structs.replace(request, project=str(limited)), wants)


@handles(SetQuota)
def set_quota(tx: Write, command: SetQuota) -> Quota:
    """Set or lift limits."""
    row = directory.find_named(tx, PROJECT, command.project)
    wanted = {
        name: getattr(command, name)
        for name in ("addresses", "prefixes")
        if getattr(command, name) is not UNSET
    }
    quotas.limit(tx, row.id, wanted)
    return _told(tx, row.id, row.name)


@answers(GetQuota)
def get_quota(r: Read, query: GetQuota) -> Quota:
    """Limits and what is owned."""
    row = directory.find_named(r, PROJECT, query.project)
    return _told(r, row.id, row.name)


def _told(r: Read, project_id: UUID, name: str) -> Quota:
    row = quotas.find(r, [project_id]).get(project_id)
    if row is None:
        owned = quotas.count(r, project_id)
        return Quota(
            project_id=project_id,
            project=name,
            addresses=None,
            addresses_used=owned.addresses,
            prefixes=None,
            prefixes_used=owned.prefixes,
        )
    return Quota(
        project_id=project_id,
        project=name,
        addresses=row.addresses,
        addresses_used=row.addresses_used,
        prefixes=row.prefixes,
        prefixes_used=row.prefixes_used,
    )
