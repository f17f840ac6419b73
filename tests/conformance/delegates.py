"""A book of two projects, and tokens that are known by what they were granted.

Invariant: a token's name is its grants: "admin s, !viewer n" administers `s`, but for `n`.
"""

from __future__ import annotations

from typing import Any

from allotment import Address, LocalDesk, Prefix, local_owner
from allotment.model.access import Actor, Role
from allotment.model.command import Command
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.grants import CreateGrant, CreateToken, TargetKind

ME = local_owner()
KINDS = {
    "*": TargetKind.INSTALLATION,
    "mine": TargetKind.PROJECT,
    "other": TargetKind.PROJECT,
    "s": TargetKind.SCOPE,
    "theirs": TargetKind.SCOPE,
    "p": TargetKind.POOL,
    "c": TargetKind.POOL,
    "n": TargetKind.SUBNET,
}
BOOK: list[Command[Any]] = [
    CreateProject(name="mine"),
    CreateProject(name="other"),
    CreateAddressScope(name="s"),
    CreateSubnetPool(name="p", scope="s", prefixes=(Prefix("10.0.0.0/16"),)),
    CreateSubnetPool(name="c", parent="p", prefixes=(Prefix("10.0.0.0/20"),)),
    CreateSubnet(name="n", pool="c", prefix=Prefix("10.0.1.0/24")),
    AllocateAddress(subnet="n", address=Address("10.0.1.9"), owner="other", identifier="vm"),
    AllocateAddress(subnet="n", address=Address("10.0.1.10")),
    AllocatePrefix(pool="p", prefix=Prefix("10.0.32.0/24"), owner="other", identifier="net"),
    AllocatePrefix(pool="p", prefix=Prefix("10.0.33.0/24")),
    CreateAddressScope(name="theirs", project="other"),
    CreateToken(name="nobody", project="other"),
]


def filled(desk: LocalDesk) -> LocalDesk:
    """The book, entered by its owner."""
    for command in BOOK:
        desk.do(command, ME)
    return desk


def granted(actor: str, text: str, **more: Any) -> CreateGrant:
    """The grant that a text is: a role and what it is on; with `!`, it is denied."""
    role, name = text.removeprefix("!").split()
    return CreateGrant(
        actor=actor,
        role=Role(role),
        target=KINDS[name],
        reference=None if name == "*" else name,
        deny=text.startswith("!"),
        **more,
    )


def delegate(desk: LocalDesk, grants: str, project: str | None = None) -> Actor:
    """Somebody who has these grants."""
    desk.do(CreateToken(name=grants, project=project), ME)
    actor = Actor(name=f"token:{grants}")
    for text in grants.split(", "):
        desk.do(granted(actor.name, text), ME)
    return actor
