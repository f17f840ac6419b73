"""A command of each kind that the book can carry out, and those that it refuses.

Invariant: there is one of every kind that is served; what is added later fails until it is here.
"""

from __future__ import annotations

from typing import Any

from allotment import Address, AddressRange, Prefix
from allotment.errors import (
    AddressTaken,
    AllotmentError,
    AlreadyExists,
    Ambiguous,
    IdentifierTaken,
    InUse,
    InvalidValue,
    NotFound,
    Overlap,
    PoolExhausted,
    QuotaExceeded,
    StaleAllocation,
    VersionMismatch,
)
from allotment.model.access import Role
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Batch,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
    DeleteAddressScope,
    DeleteProject,
    DeleteSubnet,
    DeleteSubnetPool,
    ReleaseAddress,
    ReleaseAddresses,
    ReleaseMatching,
    ReleasePrefix,
    RepairBook,
    UpdateAddressScope,
    UpdateAllocation,
    UpdateAllocationPools,
    UpdateProject,
    UpdateSubnet,
    UpdateSubnetPool,
)
from allotment.model.events import ResolveOperation, SealAudit
from allotment.model.grants import (
    CreateGrant,
    CreateToken,
    RevokeGrant,
    RevokeToken,
    SetQuota,
    TargetKind,
)
from allotment.model.history import ForgetHistory
from allotment.operations import registry

KINDS = registry.served()[0] | {Batch}
NOBODY = "00000000-0000-4000-8000-000000000000"
GRANT = "00000000-0000-4000-8000-000000000001"


def address(last: int) -> Address:
    return Address(f"10.0.0.{last}")


def fitting() -> list[Command[Any]]:
    """A command of each kind that the book can carry out, in an order in which it can do all."""
    return [
        CreateProject(name="new", description="one"),
        UpdateProject(project="j", description="two"),
        CreateAddressScope(name="new"),
        UpdateAddressScope(scope="s", description="two"),
        CreateSubnetPool(name="new", scope="s", prefixes=(Prefix("10.7.0.0/16"),), tags=("t",)),
        UpdateSubnetPool(pool="p", default_length=26),
        CreateSubnet(pool="p", length=28, name="new", project="j", tags=("a", "b")),
        UpdateSubnet(subnet="n", quarantine_seconds=60),
        UpdateAllocationPools(
            subnet="n",
            ranges=(AddressRange("10.0.0.7-10.0.0.20"), AddressRange("10.0.0.30-10.0.0.33")),
        ),
        AllocateAddress(subnet="n", hostname="Web", tags=("x", "y"), description="d", owner="j"),
        AllocateAddresses(subnet="n", count=3),
        UpdateAllocation(subnet="n", address=address(6), tags=("u", "v"), hostname="h"),
        AllocatePrefix(pool="p", length=27, tags=("t",)),
        ReleaseAddress(subnet="n", address=address(8)),
        ReleaseAddresses(subnet="n", addresses=(address(7),)),
        ReleasePrefix(pool="p", prefix=Prefix("10.0.16.0/24")),
        Batch(
            commands=(
                CreateProject(name="in a batch"),
                AllocateAddress(subnet="n", owner="in a batch"),
                ReleaseAddress(subnet="n", address=address(6)),
            )
        ),
        CreateToken(name="new", project="j"),
        RevokeToken(token="t"),
        CreateGrant(actor="group:new", role=Role.ADMIN, target=TargetKind.INSTALLATION),
        RevokeGrant(grant=GRANT),
        SetQuota(project="j", addresses=20, prefixes=None),
        ReleaseMatching(owner="j"),
        ResolveOperation(key="lost"),
        SealAudit(),
        ForgetHistory(before=1 << 60),
        RepairBook(),
        DeleteSubnet(subnet="n", cascade=True),
        DeleteSubnetPool(pool="void"),
        DeleteProject(project="void"),
        DeleteAddressScope(scope="s", cascade=True),
    ]


REFUSED: list[tuple[Command[Any], type[AllotmentError]]] = [
    (CreateProject(name="j"), AlreadyExists),
    (UpdateProject(project="j", name="void"), AlreadyExists),
    (UpdateProject(project="j", description="x", version=9), VersionMismatch),
    (DeleteProject(project="j"), InUse),
    (CreateAddressScope(name="s"), AlreadyExists),
    (UpdateAddressScope(scope="s", name="void"), AlreadyExists),
    (DeleteAddressScope(scope="s"), InUse),
    (CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.6.0.0/16"),)), AlreadyExists),
    (
        CreateSubnetPool(
            name="x", scope="s", prefixes=(Prefix("10.0.200.0/24"), Prefix("10.0.0.0/24"))
        ),
        AllotmentError,
    ),
    (CreateSubnetPool(name="x", scope="s", prefixes=(Prefix("10.0.16.0/28"),)), Overlap),
    (UpdateSubnetPool(pool="p", prefixes=(Prefix("10.0.0.0/24"),)), AllotmentError),
    (UpdateSubnetPool(pool="p", name="void"), AlreadyExists),
    (DeleteSubnetPool(pool="p"), InUse),
    (CreateSubnet(prefix=Prefix("10.0.0.128/25"), scope="s"), Overlap),
    (CreateSubnet(prefix=Prefix("10.0.1.0/24"), scope="s", name="n"), AlreadyExists),
    (CreateSubnet(pool="p", length=8), AllotmentError),
    (CreateSubnet(prefix=Prefix("10.0.1.0/24")), Ambiguous),
    (UpdateSubnet(subnet="n", name="void"), AlreadyExists),
    (UpdateSubnet(subnet="n", description="x", version=9), VersionMismatch),
    (DeleteSubnet(subnet="n"), InUse),
    (
        UpdateAllocationPools(subnet="n", ranges=(AddressRange("10.0.0.9-10.0.1.9"),)),
        InvalidValue,
    ),
    (UpdateAllocationPools(subnet="n", ranges=(), version=9), VersionMismatch),
    (AllocateAddress(subnet="n", address=address(5)), AddressTaken),
    (AllocateAddress(subnet="n", owner="nobody"), NotFound),
    (AllocateAddress(subnet="n", address=address(255)), InvalidValue),
    (AllocateAddress(subnet="n", address=address(9), identifier="five"), IdentifierTaken),
    (AllocateAddresses(subnet="n", count=1000), PoolExhausted),
    (AllocateAddresses(subnet="n", count=9, first=address(1)), AddressTaken),
    (AllocateAddresses(subnet="n", count=260, contiguous=True), PoolExhausted),
    (UpdateAllocation(subnet="n", address=address(99), hostname="x"), NotFound),
    (
        UpdateAllocation(subnet="n", address=address(5), allocation_id=NOBODY, hostname="x"),
        StaleAllocation,
    ),
    (ReleaseAddress(subnet="n", address=address(99)), NotFound),
    (ReleaseAddress(subnet="n", address=address(5), allocation_id=NOBODY), StaleAllocation),
    (ReleaseAddresses(subnet="n", addresses=(address(5), address(99))), NotFound),
    (ReleaseMatching(subnet="n", identifier="nobody"), NotFound),
    (ReleaseMatching(owner="nobody"), NotFound),
    (ForgetHistory(before=1, scope="nobody"), NotFound),
    (AllocatePrefix(pool="p", prefix=Prefix("10.0.16.0/25")), Overlap),
    (AllocatePrefix(pool="p", length=8), AllotmentError),
    (ReleasePrefix(pool="p", prefix=Prefix("10.0.17.0/24")), NotFound),
    (
        ReleasePrefix(pool="p", prefix=Prefix("10.0.16.0/24"), allocation_id=NOBODY),
        StaleAllocation,
    ),
    (CreateToken(name="t"), AlreadyExists),
    (RevokeToken(token="nobody"), NotFound),
    (
        CreateGrant(actor="token:t", role=Role.VIEWER, target=TargetKind.SCOPE, reference="s"),
        AlreadyExists,
    ),
    (CreateGrant(actor="token:nobody", role=Role.VIEWER, target=TargetKind.INSTALLATION), NotFound),
    (RevokeGrant(grant=NOBODY), NotFound),
    (SetQuota(project="nobody", addresses=1), NotFound),
    (AllocateAddresses(subnet="n", count=6, owner="void"), QuotaExceeded),
    (
        Batch(commands=(AllocateAddress(subnet="n", owner="void"),) * 6),
        QuotaExceeded,
    ),
    (
        Batch(
            commands=(
                CreateProject(name="in a batch"),
                AllocateAddress(subnet="n", owner="in a batch"),
                DeleteSubnet(subnet="void"),
                CreateProject(name="j"),
            )
        ),
        AlreadyExists,
    ),
    (
        Batch(
            commands=(
                AllocateAddresses(subnet="n", count=5),
                ReleaseMatching(owner="j"),
                AllocateAddress(subnet="n", address=address(255)),
            )
        ),
        InvalidValue,
    ),
]
