"""`allotment token`: API tokens.

Invariant: a token's secret is printed once, by the command that made it.
"""

from __future__ import annotations

import json

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.confirming import confirm
from allotment.doors.cli.grammar import DoorGroup
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import projects, tokens
from allotment.doors.cli.tables import details
from allotment.doors.cli.values import DURATION, PREFIX
from allotment.model import wire
from allotment.model.grants import CreateToken, GetToken, ListTokens, NewToken, RevokeToken, Token
from allotment.model.prefix import Prefix

_LIFETIME = 90 * 24 * 3600


@click.group("token", cls=DoorGroup)
def token_group() -> None:
    """API tokens: who comes in without a person at a keyboard.

    A new token may do nothing: 'allotment grant create token:NAME ROLE' gives it a role. TOKEN is
    a name, an id or a key id.
    """


@token_group.command()
@click.argument("name")
@click.option(
    "--expires", type=DURATION, metavar="90d", help="How long it is valid. Default: 90 days."
)
@click.option(
    "--project",
    metavar="PROJECT",
    shell_complete=projects,
    help="The project that holds what it allocates without naming an owner.",
)
@click.option(
    "--from",
    "sources",
    type=PREFIX,
    multiple=True,
    metavar="PREFIX",
    help="Valid from these addresses only; repeatable. Default: from anywhere.",
)
@options.description
@click.pass_obj
def create(
    invocation: Invocation,
    name: str,
    *,
    expires: int | None,
    project: str | None,
    sources: tuple[Prefix, ...],
    description: str | None,
) -> None:
    """Make a token and print its secret, which is shown this once and stored nowhere.

    \b
    Examples:
      allotment token create deploy --expires 30d --project payments
      allotment token create ci --from 10.0.0.0/8 --output json | jq -r .secret > token.txt
    """
    made = invocation.do(
        CreateToken(
            name=name,
            lifetime_seconds=_LIFETIME if expires is None else expires,
            project=project,
            sources=sources,
            description=description or "",
        )
    )
    if invocation.is_table:
        output.said(invocation, f"token {made.token.name} created")
        output.fields(details(made.token))
        output.write("\n")
        output.said(invocation, made.secret.reveal())
        output.said(invocation, "keep it now: it is not shown again")
    else:
        output.plain_resource(invocation, _revealed(invocation, made))


def _revealed(invocation: Invocation, made: NewToken) -> dict[str, object]:
    """The answer with its secret; flat where it becomes one line of a table."""
    if invocation.output == "csv":
        return {**wire.plain(made.token), "secret": made.secret.reveal()}
    found: dict[str, object] = json.loads(wire.encode_revealing(made))
    return found


@token_group.command("list")
@click.option("--live", is_flag=True, help="Only those that are valid now.")
@options.paged
@click.pass_obj
def list_tokens(invocation: Invocation, *, live: bool) -> None:
    """List the tokens by name, ended ones too."""
    output.listing(invocation, ListTokens(live=live), Token)


@token_group.command()
@click.argument("token", shell_complete=tokens)
@click.pass_obj
def show(invocation: Invocation, token: str) -> None:
    """Show one token, without its secret."""
    output.resource(invocation, invocation.ask(GetToken(token=token)))


@token_group.command()
@click.argument("token", shell_complete=tokens)
@options.yes
@options.key
@click.pass_obj
def revoke(invocation: Invocation, token: str, *, yes: bool, key: str | None) -> None:
    """End a token at once, for good; its name is not used again.

    Example: allotment token revoke deploy --yes
    """
    confirm(f"revoking token {token}", f"Revoke token {token}, for good?", yes=yes)
    revoked = invocation.do(RevokeToken(token=token, idempotency_key=key))
    output.resource(invocation, revoked, f"token {revoked.name} revoked")
