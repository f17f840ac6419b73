"""A book with one of everything in it, and one on PostgreSQL with a subnet only.

Invariant: what the commands of this folder name is in the book, with the ids that they know.
"""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import update

from allotment import LocalDesk, Prefix
from allotment.model.access import Actor, Role
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.grants import CreateGrant, CreateToken, SetQuota, TargetKind
from allotment.store import access_schema
from conformance.transactions.commands import GRANT, address


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """One of everything: full ones, and empty ones named `void`."""
    for command in (
        CreateAddressScope(name="s"),
        CreateAddressScope(name="void"),
        CreateProject(name="j"),
        CreateProject(name="void"),
        CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.0.0.0/16"),)),
        CreateSubnetPool(name="void", scope="s", prefixes=(Prefix("10.8.0.0/16"),)),
        CreateSubnet(prefix=Prefix("10.0.0.0/24"), scope="s", name="n"),
        CreateSubnet(prefix=Prefix("10.9.0.0/30"), scope="s", name="void"),
        AllocateAddress(subnet="n", address=address(5), identifier="five", owner="j"),
        AllocateAddress(subnet="n", address=address(6), owner="j", tags=("t",)),
        AllocateAddress(subnet="n", address=address(7)),
        AllocateAddress(subnet="n", address=address(8)),
        AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/24"), identifier="sixteen"),
        CreateToken(name="t"),
        CreateGrant(actor="token:t", role=Role.VIEWER, target=TargetKind.SCOPE, reference="s"),
        SetQuota(project="void", addresses=5),
    ):
        desk.do(command, me)  # type: ignore[arg-type]
    with desk.store.writing() as tx:  # grants have no names: give it an id that is known here
        tx.run(update(access_schema.access_grant).values(id=UUID(GRANT)))
    return desk


@pytest.fixture
def small(postgres_desk: LocalDesk, me: Actor) -> LocalDesk:
    postgres_desk.do(CreateAddressScope(name="s"), me)
    postgres_desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"), me)
    return postgres_desk
