"""`allotment login`, `logout` and `whoami`: which server is asked, and who it takes you for.

Invariant: a token is kept only after the server said whose it is, and is never printed.
"""

from __future__ import annotations

import os
import sys

import click

from allotment.choice import SERVER_VARIABLE, AtServer, InDatabase, token_in
from allotment.doors.cli import output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.tables import COLUMNS, details
from allotment.model.grants import Grant, Identity, WhoAmI
from allotment.model.secret import Secret

_TOKEN_LENGTH_MAX = 8192


@click.command("login", cls=DoorCommand)
@click.option(
    "--token-file",
    metavar="FILE",
    help="The file that holds the token. Without it you are asked, or the standard input is read.",
)
@click.option(
    "--ca-file", metavar="FILE", help="The certificates (PEM) to trust, not the system's."
)
@click.option(
    "--allow-plain-http",
    is_flag=True,
    help="Talk to another machine without TLS: everybody on the way can read the token.",
)
@click.pass_obj
def login(
    invocation: Invocation, *, token_file: str | None, ca_file: str | None, allow_plain_http: bool
) -> None:
    """Work on the book of a server from now on: every command does, until 'allotment logout'.

    The token is asked for without being shown, and kept where only you can read it. --database,
    --server and the environment still count first.

    \b
    Examples:
      allotment login --server https://ipam.example.net
      allotment login --server https://ipam.example.net --token-file token.txt
    """
    if invocation.database is not None:
        raise click.UsageError("a login is to a --server, not to a --database")
    server = invocation.server or os.environ.get(SERVER_VARIABLE)
    if not server:
        raise click.UsageError("say where to: --server https://host")
    from allotment.bootstrap import log_in

    token = token_in(token_file) if token_file is not None else _asked_token(server)
    identity = log_in(AtServer(server, token, ca_file, allow_plain_http))
    output.said(invocation, f"logged in to {server}")
    _show(invocation, identity)


def _asked_token(server: str) -> Secret:
    """The token a person types, or a program writes to the standard input."""
    if sys.stdin.isatty():
        return Secret(click.prompt(f"Token for {server}", hide_input=True, err=True).strip())
    return Secret(sys.stdin.readline(_TOKEN_LENGTH_MAX).strip())


@click.command("logout", cls=DoorCommand)
@click.pass_obj
def logout(invocation: Invocation) -> None:
    """Forget the server and the token of the login; the token itself stays valid.

    'allotment token revoke' ends a token.
    """
    from allotment import credentials

    found = credentials.remove()
    if invocation.is_table:
        output.said(invocation, "logged out" if found else "there was no login")
    else:
        output.plain_resource(invocation, {"logged_out": found})


@click.command("whoami", cls=DoorCommand)
@click.pass_obj
def whoami(invocation: Invocation) -> None:
    """Show which book is asked, whom it takes you for, and what you were granted."""
    identity = invocation.ask(WhoAmI())
    choice = invocation.choice
    where = choice.url if isinstance(choice, AtServer) else _without_secrets(choice)
    output.said(invocation, f"the book is at {where}")
    _show(invocation, identity)


def _without_secrets(choice: InDatabase) -> str:
    scheme, _, rest = choice.url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _show(invocation: Invocation, identity: Identity) -> None:
    if not invocation.is_table:
        output.resource(invocation, identity)
        return
    output.fields([pair for pair in details(identity) if pair[0] not in ("grants", "token")])
    if identity.token is not None:
        output.fields([("token", identity.token.name), ("key id", identity.token.key_id)])
    if identity.grants:
        output.table(identity.grants, COLUMNS[Grant])
