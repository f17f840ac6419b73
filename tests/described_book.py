"""The book that the examples of the REST description name, and a service that many may try.

Invariant: what an example names is in the book, whoever serves it.
"""

from __future__ import annotations

from allotment import LocalDesk, Prefix
from allotment.doors.rest.settings import Rates, Settings
from allotment.model.access import Actor, local_owner
from allotment.model.commands import (
    AllocateAddress,
    Batch,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)

ME: Actor = local_owner("local:test")
PATIENT = Settings(log_requests=False, rates=Rates(failures=None))  # however many are refused


def describe(desk: LocalDesk, office: str = "10.1.0.0/24") -> None:
    """Enter what the examples name, in an office of this prefix."""
    plan = (
        CreateProject(name="payments"),
        CreateAddressScope(name="blue"),
        CreateSubnetPool(name="corp", scope="blue", prefixes=(Prefix("10.0.0.0/8"),)),
        CreateSubnet(name="office", scope="blue", prefix=Prefix(office)),
        AllocateAddress(subnet="office", hostname="web-1", identifier="vm-17", owner="payments"),
    )
    desk.do(Batch(commands=plan), ME)
