"""`allotment grant`: who may do what, on what.

Invariant: a grant is on one thing; without a word of it, on the whole installation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from allotment.doors.cli import deletion, options, output
from allotment.doors.cli.confirming import confirm
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import actors, pools, projects, scopes, subnets
from allotment.doors.cli.values import DURATION
from allotment.model.access import Role
from allotment.model.grants import (
    CreateGrant,
    GetGrant,
    Grant,
    ListGrants,
    RevokeGrant,
    TargetKind,
)

F = TypeVar("F", bound=Callable[..., object])
_ROLES = click.Choice([role.value for role in Role])


class Target(NamedTuple):
    """What a grant is on; `kind` None: nothing was said."""

    kind: TargetKind | None
    reference: str | None


def _on_something(function: F) -> F:
    """The options that name what a grant is on."""
    for kind, suggest in (
        (TargetKind.SUBNET, subnets),
        (TargetKind.POOL, pools),
        (TargetKind.SCOPE, scopes),
        (TargetKind.PROJECT, projects),
    ):
        word = kind.value
        function = click.option(
            f"--on-{word}",
            metavar=word.upper(),
            shell_complete=suggest,
            help=f"On this {_called(kind)} and all that is inside.",
        )(function)
    return function


def _called(kind: TargetKind) -> str:
    return {"scope": "address scope", "pool": "subnet pool"}.get(kind.value, kind.value)


def _target(wish: dict[str, Any]) -> Target:  # Any: see the options
    """The one thing that is named.

    Raises:
        click.UsageError: several are.
    """
    named = [
        Target(kind, wish[f"on_{kind.value}"])
        for kind in TargetKind
        if wish.get(f"on_{kind.value}") is not None
    ]
    if len(named) > 1:
        raise click.UsageError("a grant is on one thing: give one --on-... option")
    return named[0] if named else Target(None, None)


@click.group("grant", cls=DoorGroup)
def grant_group() -> None:
    """Grants: the roles of tokens, users and groups, and what they hold for.

    \b
    Roles, each including the ones before it:
      viewer     sees what is there
      allocator  takes and gives back addresses and prefixes
      operator   makes and changes subnets and subnet pools
      admin      scopes, projects, tokens, grants, quotas and the audit

    ACTOR is token:NAME, user:ISSUER#SUBJECT or group:NAME.
    """


@grant_group.command()
@click.argument("actor", shell_complete=actors)
@click.argument("role", type=_ROLES)
@_on_something
@options.in_scope
@click.option("--deny", is_flag=True, help="Take the role and the ones above it away instead.")
@click.option("--expires", type=DURATION, metavar="30d", help="For how long. Default: for good.")
@options.key
@click.pass_obj
def create(invocation: Invocation, /, actor: str, role: str, **wish: Any) -> None:
    """Give a role on something; without --on-..., on the whole installation.

    \b
    Examples:
      allotment grant create token:deploy allocator --on-subnet web
      allotment grant create group:netops operator --on-scope corp
      allotment grant create token:deploy viewer --expires 30d
      allotment grant create token:deploy allocator --on-pool dmz --deny
    """  # Any: see the options
    target = _target(wish)
    made = invocation.do(
        CreateGrant(
            actor=actor,
            role=Role(role),
            deny=wish["deny"],
            target=target.kind or TargetKind.INSTALLATION,
            reference=target.reference,
            scope=_narrowed(invocation, target),
            expires_at=_moment_in(wish["expires"]),
            idempotency_key=wish["key"],
        )
    )
    verb = "denied" if made.deny else "granted"
    output.resource(invocation, made, f"{made.role} {verb} to {made.actor} on {_named(made)}")


def _narrowed(invocation: Invocation, target: Target) -> str | None:
    """The scope in which a name is looked for, where that can be."""
    in_scopes = (TargetKind.POOL, TargetKind.SUBNET)
    return invocation.scope if target.kind in in_scopes else None


def _moment_in(seconds: int | None) -> int | None:
    if seconds is None:
        return None
    from allotment.bootstrap import clock

    return clock() + seconds * 1000


def _named(grant: Grant) -> str:
    if grant.target is TargetKind.INSTALLATION:
        return "the installation"
    return f"{_called(grant.target)} {grant.target_name}"


@grant_group.command("list")
@click.option("--actor", metavar="ACTOR", shell_complete=actors, help="Only those of this actor.")
@_on_something
@options.in_scope
@options.paged
@click.pass_obj
def list_grants(invocation: Invocation, /, actor: str | None, **wish: Any) -> None:
    """List the grants by actor; with --on-..., those on that thing itself.

    Example: allotment grant list --actor token:deploy
    """  # Any: see the options
    target = _target(wish)
    query = ListGrants(
        actor=actor,
        target=target.kind,
        reference=target.reference,
        scope=_narrowed(invocation, target),
    )
    output.listing(invocation, query, Grant)


@grant_group.command()
@click.argument("grant")
@click.pass_obj
def show(invocation: Invocation, grant: str) -> None:
    """Show one grant, by its id."""
    output.resource(invocation, invocation.ask(GetGrant(grant=grant)))


@grant_group.command()
@click.argument("grant")
@options.yes
@options.key
@click.pass_obj
def revoke(invocation: Invocation, grant: str, *, yes: bool, key: str | None) -> None:
    """Take a grant back, by its id ('allotment grant list' shows ids)."""
    if not yes:
        found = invocation.ask(GetGrant(grant=grant))
        told = f"{'the denial of ' if found.deny else ''}{found.role} of {found.actor}"
        confirm(f"revoking grant {grant}", f"Revoke {told} on {_named(found)}?")
    revoked = invocation.do(RevokeGrant(grant=grant, idempotency_key=key))
    deletion.report(invocation, f"grant {grant}", revoked)
