"""Which columns a person sees of each result, and its fields in full.

Invariant: every cell is one line of visible text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Raw, Struct, structs

from allotment.doors.cli.figures import alarm, bar, count_text, moment, percent
from allotment.doors.cli.safe_text import visible
from allotment.errors.counts import counted
from allotment.model import events, grants, history, results
from allotment.model.results import Match, Utilisation

Read = Callable[[Any], str]  # Any, here and below: a result of the type the columns are for


@dataclass(frozen=True)
class Column:
    """One column; a `wide` one is left out where a terminal is narrow.

    A `whole` one is never folded, nor are figures (`right`): half a number is another number.
    """

    heading: str
    read: Read
    style: Read = lambda _: ""
    right: bool = False
    wide: bool = False
    whole: bool = False


_TIMES: Final = ("at", "since", "until")


def _field(name: str, **settings: Any) -> Column:
    heading = settings.pop("heading", name.removesuffix("_id").replace("_", " "))
    return Column(heading, lambda item: shown(name, getattr(item, name)), **settings)


def shown(name: str, value: object) -> str:
    """A field's value as a person reads it."""
    if value is None or value in ("", ()):
        return "-"
    if (name in _TIMES or name.endswith("_at")) and isinstance(value, int):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count_text(value)
    if isinstance(value, tuple):
        return ", ".join(visible(str(part)) for part in value)
    if isinstance(value, dict):
        return (
            ", ".join(counted(count, noun) for noun, count in value.items() if count) or "nothing"
        )
    if isinstance(value, Raw):
        return visible(bytes(value).decode("utf-8", "replace"))
    return visible(str(value))


def details(item: Struct) -> list[tuple[str, str]]:
    """The fields of a result with their names; what is named needs no id beside the name."""
    given = structs.asdict(item)
    pairs = [
        (name.replace("_", " "), shown(name, value))
        for name, value in given.items()
        if not isinstance(value, Struct) and name.removesuffix("_id") not in set(given) - {name}
    ]
    if isinstance(item, Utilisation):
        pairs.append(("used", f"{bar(*used(item), 30)} {percent(*used(item))}"))
    return pairs


def used(use: Utilisation) -> tuple[int, int]:
    """What of a container cannot be handed out now, and the whole of it."""
    return use.pool_size - use.free, use.pool_size


def _alarm(use: Utilisation) -> str:
    return alarm(*used(use))


def _prefixes(use: Utilisation) -> str:
    """The first few prefixes of a container, and how many more there are."""
    told = ", ".join(map(str, use.prefixes[:2]))
    more = len(use.prefixes) - 2
    return f"{told} and {more:,} more" if more > 0 else told or "-"


def _chain(match: Match) -> str:
    return " > ".join(visible(node_text(node)) for node in match.chain)


def node_text(node: results.PrefixNode) -> str:
    """A prefix and the name of what has it, where that is not the prefix itself."""
    prefix = str(node.prefix)
    return prefix if node.name == prefix else f"{prefix} {visible(node.name)}"


def _granted_on(grant: grants.Grant) -> str:
    """What a grant is on: its kind and name, or the whole installation."""
    if grant.target_id is None:
        return grant.target.value
    return f"{grant.target} {visible(grant.target_name)}"


_ASKED_WIDTH = 72
_UNSAID = {"idempotency_key", "placement", "prefix_placement", "method", "status"}


def _asked(command: Raw) -> str:
    """A recorded command in a few words: its name, and what was said in it, as far as it fits."""
    fields = json.loads(bytes(command)) or {}
    name = str(fields.pop("do", None) or fields.pop("ask", "-"))
    said = [
        f"{field}={_word(value)}"
        for field, value in fields.items()
        if value not in (None, "", [], False) and field not in _UNSAID
    ]
    told = " ".join([name, *said])
    if len(told) > _ASKED_WIDTH:
        told = told[: _ASKED_WIDTH - 3] + "..."
    return visible(told)


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _holder(match: Match) -> str:
    held = match.allocation
    if held is None:
        return "-"
    said = (held.hostname, held.identifier, held.project, str(held.mac) if held.mac else None)
    return ", ".join(visible(part) for part in said if part) or "-"


_NAME = _field("name", style=lambda _: "bold")
_SCOPE = _field("scope")
_DESCRIPTION = _field("description", wide=True)
_TAGS = _field("tags", wide=True)
_ID = _field("id", style=lambda _: "dim", wide=True, heading="id")
_PROJECT = _field("project")
_STATUS = _field("status", style=lambda item: "yellow" if item.status == "reserved" else "green")

COLUMNS: Final[Mapping[type, tuple[Column, ...]]] = {
    results.Project: (_NAME, _field("description"), _ID),
    results.AddressScope: (_NAME, _PROJECT, _field("description"), _ID),
    results.SubnetPool: (
        _NAME,
        _field("prefixes", style=lambda _: "cyan"),
        _SCOPE,
        _field("default_length", right=True),
        _PROJECT,
        _DESCRIPTION,
        _TAGS,
        _ID,
    ),
    results.Subnet: (
        _field("prefix", style=lambda _: "bold cyan"),
        _NAME,
        _SCOPE,
        _field("gateway"),
        _field("pools", heading="allocation pools"),
        _PROJECT,
        _DESCRIPTION,
        _TAGS,
        _ID,
    ),
    results.Allocation: (
        _field("address", style=lambda _: "bold cyan"),
        _STATUS,
        _field("hostname"),
        _PROJECT,
        _field("identifier"),
        _field("mac"),
        _DESCRIPTION,
        _TAGS,
        _ID,
    ),
    history.Period: (
        _field("since", style=lambda _: "bold cyan"),
        _field("until"),
        _SCOPE,
        _STATUS,
        _field("hostname"),
        _PROJECT,
        _field("identifier"),
        _field("mac"),
        _field("subnet_id", style=lambda _: "dim", wide=True, heading="subnet id"),
        _field("allocation_id", style=lambda _: "dim", wide=True, heading="allocation id"),
    ),
    results.PrefixAllocation: (
        _field("prefix", style=lambda _: "bold cyan"),
        _STATUS,
        _PROJECT,
        _field("identifier"),
        _DESCRIPTION,
        _TAGS,
        _ID,
    ),
    results.Utilisation: (
        _field("kind"),
        _NAME,
        _SCOPE,
        Column("prefixes", _prefixes, wide=True),
        Column(
            "used",
            lambda use: f"{bar(*used(use), 8)} {percent(*used(use)):>6}",
            style=_alarm,
            whole=True,
        ),
        _field("held", right=True),
        _field("quarantined", right=True, wide=True),
        _field("reserved", right=True, wide=True),
        _field("free", right=True),
        _field("pool_size", right=True),
        _field("size", right=True, wide=True),
    ),
    results.FreeRange: (
        _field("range", style=lambda _: "bold cyan"),
        _field("prefix"),
        _field("size", right=True),
        _field("container"),
    ),
    results.Match: (
        _SCOPE,
        Column("prefixes, the smallest last", _chain, style=lambda _: "cyan"),
        _field("state", style=lambda match: "green" if match.state == "free" else "bold"),
        Column("held by", _holder),
        Column("subnet or pool id", lambda match: str(match.chain[-1].holder_id), wide=True),
    ),
    results.Found: (
        _field("kind"),
        _NAME,
        _field("where", style=lambda _: "cyan"),
        _SCOPE,
        _field("matched"),
        _ID,
    ),
    results.PrefixNode: (
        _field("prefix", style=lambda _: "bold cyan"),
        _field("kind"),
        _NAME,
        _SCOPE,
    ),
    grants.Token: (
        _NAME,
        _field("key_id", heading="key id"),
        _PROJECT,
        _field("expires_at", heading="expires"),
        _field("revoked_at", heading="revoked", style=lambda _: "red"),
        _field("last_used_at", heading="last used"),
        _DESCRIPTION,
        _field("sources", wide=True),
        _ID,
    ),
    grants.Grant: (
        _field("actor", style=lambda _: "bold"),
        _field("role"),
        _field("deny", style=lambda grant: "bold red" if grant.deny else ""),
        Column("on", _granted_on),
        _field("expires_at", heading="expires"),
        _field("id", style=lambda _: "dim", heading="id", whole=True),
    ),
    events.Event: (
        _field("sequence", right=True, heading="number"),
        _field("at"),
        _field("actor", style=lambda _: "bold"),
        _field("outcome", style=lambda event: "green" if event.outcome == "done" else "red"),
        Column("what", lambda event: _asked(event.command)),
        _field("source", wide=True),
        _field("request_id", wide=True, heading="request"),
    ),
    results.Fault: (
        _field("rule", style=lambda _: "bold red"),
        _field("kind"),
        _field("detail"),
        _field("repairable"),
        _field("id", heading="id"),
    ),
}


def rows(items: Iterable[object], columns: Iterable[Column]) -> list[list[str]]:
    """The cells of some results."""
    chosen = list(columns)
    return [[column.read(item) for column in chosen] for item in items]
