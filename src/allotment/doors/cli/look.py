"""`allotment lookup`, `search` and `free`: what is there, and where there is room.

Invariant: looking changes nothing.
"""

from __future__ import annotations

import re
from typing import Final

import click

from allotment.doors.cli import options, output
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.suggestions import containers
from allotment.errors import AllotmentError, InvalidValue, NotFound
from allotment.model.address import Address, parse_address
from allotment.model.prefix import Prefix, parse_prefix
from allotment.model.queries import ListFree, Lookup, Search
from allotment.model.results import Found, FreeRange, Match

# What can only be meant as an address or a prefix, well written or not.
_LIKE_A_PLACE: Final = re.compile(r"\A[0-9A-Fa-f.:]*[.:][0-9A-Fa-f.:]*(?:[/%].*)?\Z")


@click.command("lookup", cls=DoorCommand)
@click.argument("what", metavar="ADDRESS|PREFIX|NAME")
@options.in_scope
@options.paged
@click.pass_obj
def lookup(invocation: Invocation, what: str) -> None:
    """Say what an address, a prefix or a name is.

    For an address or a prefix: the smallest prefix of the book around it, in every address scope,
    and who holds it. For a name: all that begins with it.

    \b
    Examples:
      allotment lookup 10.1.2.3
      allotment lookup 10.1.0.0/16 --scope corp
      allotment lookup web
    """
    try:
        place = parse_prefix(what, "prefix") if "/" in what else parse_address(what, "address")
    except InvalidValue as fault:
        _by_name(invocation, what, fault)
        return
    query = Lookup(
        address=place if isinstance(place, Address) else None,
        prefix=place if isinstance(place, Prefix) else None,
        scope=invocation.scope,
    )
    matches = invocation.ask(query)
    if not matches:
        where = f"address scope {invocation.scope}" if invocation.scope else "any address scope"
        raise NotFound("prefix around", place, f"nothing of {where} contains it")
    output.resources(invocation, matches, Match)


def _by_name(invocation: Invocation, name: str, fault: InvalidValue) -> None:
    """List what has the name; a word that finds nothing may be an address ill written."""
    absent: AllotmentError = fault
    if not _LIKE_A_PLACE.match(name):
        absent = NotFound("name, hostname, identifier, MAC or tag", name)
    output.listing(invocation, Search(text=name, scope=invocation.scope), Found, absent=absent)


@click.command("search", cls=DoorCommand)
@click.argument("text")
@options.in_scope
@options.paged
@click.pass_obj
def search(invocation: Invocation, text: str) -> None:
    """Find names, hostnames, identifiers, MACs, tags, addresses and prefixes that begin with TEXT.

    Example: allotment search db
    """
    output.listing(invocation, Search(text=text, scope=invocation.scope), Found)


@click.command("free", cls=DoorCommand)
@click.argument("container", metavar="SUBNET|POOL|SCOPE", shell_complete=containers)
@options.in_scope
@click.option("--length", type=int, metavar="L", help="Free prefixes of this length or larger.")
@click.option("--cidr", is_flag=True, help="As prefixes instead of ranges.")
@options.paged
@click.pass_obj
def free(invocation: Invocation, container: str, *, length: int | None, cidr: bool) -> None:
    """List the free space of a subnet, subnet pool or address scope, in order.

    \b
    Examples:
      allotment free web
      allotment free corp --length 22 --limit 1
    """
    query = ListFree(container=container, scope=invocation.scope, length=length, as_prefixes=cidr)
    output.listing(invocation, query, FreeRange)
