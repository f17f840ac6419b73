"""`allotment tree`: the prefixes of address scopes inside each other, and how full they are.

Invariant: a prefix hangs under the smallest one around it, in the order of addresses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple
from uuid import UUID

import click

from allotment.doors.cli import csv_text, json_text, options, output
from allotment.doors.cli.figures import alarm, ascii_only, bar, count_text, percent
from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation
from allotment.doors.cli.paint import painted
from allotment.doors.cli.safe_text import visible
from allotment.doors.cli.tables import node_text, used
from allotment.errors.counts import counted
from allotment.model.queries import GetAddressScope, GetUtilisation, ListAddressScopes, ListTree
from allotment.model.results import PrefixNode, Utilisation

_USAGE_FIELDS: Final = (
    "size",
    "pool_size",
    "free",
    "quarantined",
    "held",
    "held_outside",
    "reserved",
)
_LABEL_MAX: Final = 60
_KINDS: Final = {"allocation": "held"}

Uses = dict[UUID, Utilisation]


class Guides(NamedTuple):
    """What joins a line to those above it: between siblings, at the last, below either."""

    tee: str
    elbow: str
    pipe: str
    blank: str


_LINES: Final = Guides("├── ", "└── ", "│   ", "    ")
_ASCII: Final = Guides("|-- ", "`-- ", "|   ", "    ")


@dataclass
class Branch:
    """A prefix, what hangs under it, and how much of that is left out."""

    node: PrefixNode
    below: list[Branch] = field(default_factory=list)
    left_out: int = 0


@click.command("tree", cls=DoorCommand)
@options.in_scope
@click.option("--depth", type=click.IntRange(min=1), metavar="N", help="No deeper than this.")
@click.pass_obj
def tree(invocation: Invocation, depth: int | None) -> None:
    """Draw the prefixes of each address scope as a tree, with how full they are.

    \b
    Examples:
      allotment tree
      allotment tree --scope corp --depth 2
    """
    if invocation.is_table:
        draw(invocation, depth)
        return
    uses = _uses(invocation, invocation.scope)
    nodes = invocation.every(ListTree(scope=invocation.scope))
    told = (
        _with_usage(node, uses) for level, node in levels(nodes) if depth is None or level < depth
    )
    if invocation.output == "json":
        output.write_all(json_text.listing(told, None))
        return
    names = (*PrefixNode.__struct_fields__, *_USAGE_FIELDS)
    rows = ([item.get(name) for name in names] for item in map(_flat, told))
    output.write_all(csv_text.lines(names, rows))


def draw(invocation: Invocation, depth: int | None = None) -> None:
    """Show a person the trees of the scope named, or of all by name.

    What is seen of a scope is drawn, whether or not the scope itself is seen.
    """
    trees: dict[str, list[PrefixNode]] = {name: [] for name in _scopes_seen(invocation)}
    for node in invocation.every(ListTree(scope=invocation.scope)):
        trees.setdefault(node.scope, []).append(node)
    if not trees and invocation.scope is not None:
        trees[invocation.ask(GetAddressScope(scope=invocation.scope)).name] = []
    uses = _uses(invocation, invocation.scope)
    for name in sorted(trees):
        _draw_scope(name, branches(trees[name], depth), uses)
    if not trees:
        output.said(invocation, "the book is empty: begin with 'allotment scope create NAME'")


def _scopes_seen(invocation: Invocation) -> list[str]:
    if invocation.scope is not None:
        return []
    return [scope.name for scope in invocation.every(ListAddressScopes())]


def levels(nodes: Iterable[PrefixNode]) -> Iterator[tuple[int, PrefixNode]]:
    """Each prefix with the number of prefixes around it; parents come before children."""
    around: list[PrefixNode] = []
    for node in nodes:
        while around and not _contains(around[-1], node):
            around.pop()
        yield len(around), node
        around.append(node)


def _contains(one: PrefixNode, other: PrefixNode) -> bool:
    return one.scope == other.scope and one.prefix.contains(other.prefix)


def branches(nodes: Iterable[PrefixNode], depth: int | None) -> list[Branch]:
    """The roots, with what hangs under them down to a depth."""
    roots: list[Branch] = []
    around: list[Branch] = []
    for level, node in levels(nodes):
        if depth is not None and level >= depth:
            around[depth - 1].left_out += 1
            continue
        branch = Branch(node)
        del around[level:]
        (around[-1].below if around else roots).append(branch)
        around.append(branch)
    return roots


def _uses(invocation: Invocation, scope: str | None) -> Uses:
    """How full each subnet and subnet pool is, by id."""
    wanted = (GetUtilisation(scope=scope, kind=kind) for kind in ("pool", "subnet"))
    found = chain.from_iterable(invocation.every(query) for query in wanted)
    return {use.id: use for use in found}


def _with_usage(node: PrefixNode, uses: Uses) -> dict[str, object]:
    told: dict[str, object] = json_text.plain(node)
    use = uses.get(node.holder_id)
    told["usage"] = {name: getattr(use, name) for name in _USAGE_FIELDS} if use else None
    return told


def _flat(item: dict[str, object]) -> dict[str, object]:
    usage = item.pop("usage")
    return {**item, **usage} if isinstance(usage, dict) else item


def _draw_scope(scope: str, roots: list[Branch], uses: Uses) -> None:
    guides = _ASCII if ascii_only() else _LINES
    lines = list(_lines(roots, "", guides))
    labels = [guide + node_text(branch.node) for guide, branch in lines]
    width = min(_LABEL_MAX, max(map(len, [visible(scope), *labels])))
    _draw_line("", visible(scope), ("address scope", None), width)
    for guide, branch in lines:
        kind = _KINDS.get(branch.node.kind, branch.node.kind)
        use = uses.get(branch.node.holder_id)
        _draw_line(guide, node_text(branch.node), (kind, use), width - len(guide))
        if branch.left_out:
            below = guide.replace(guides.tee, guides.pipe).replace(guides.elbow, guides.blank)
            output.write(f"{below}{guides.elbow}{counted(branch.left_out, 'prefixes')} below\n")


def _lines(siblings: list[Branch], before: str, guides: Guides) -> Iterator[tuple[str, Branch]]:
    """Each branch with the guide that leads to it, from the top down."""
    for branch in siblings:
        is_last = branch is siblings[-1]
        yield before + (guides.elbow if is_last else guides.tee), branch
        below = before + (guides.blank if is_last else guides.pipe)
        yield from _lines(branch.below, below, guides)


def _draw_line(guide: str, label: str, what: tuple[str, Utilisation | None], width: int) -> None:
    kind, use = what
    colour = {"address scope": "magenta", "pool": "blue"}.get(kind, "cyan")
    padding = " " * (width - len(label))
    line = (
        f"{guide}{painted(label, sys.stdout, colour, bold=kind != 'subnet')}{padding}  {kind:<13}"
    )
    if use is not None:
        part, whole = used(use)
        meter = painted(bar(part, whole), sys.stdout, alarm(part, whole))
        line += f"  {meter} {percent(part, whole):>6}  {count_text(use.free)} free"
    output.write(line.rstrip() + "\n")
