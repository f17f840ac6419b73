"""One import of a NetBox fixture on its way: VRFs become address scopes, tenants projects.

Invariant: nothing is put into a scope, or under a project, that is not in the book.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any, Final

from allotment.doors.exchange import netbox_words as words
from allotment.doors.exchange.intake import Intake, Wish
from allotment.doors.exchange.netbox_file import Fixture, Item, Link, Tenant, Vrf
from allotment.doors.exchange.report import Outcome, Report, Row
from allotment.doors.exchange.seat import Seat
from allotment.doors.exchange.shelf import Shelf
from allotment.errors import NotFound
from allotment.model.commands import CreateAddressScope, CreateProject
from allotment.model.names import NAME

GLOBAL: Final = "Global"
PRESENT: Final = (Outcome.IMPORTED, Outcome.UNCHANGED, Outcome.DIFFERS)
_IN_TABLES: Final = ("ipam.prefix", "ipam.iprange", "ipam.ipaddress")


@dataclass
class Move:
    """What the steps of the import share."""

    seat: Seat
    fixture: Fixture
    shelf: Shelf
    intake: Intake
    tags: words.TagSource
    scopes: dict[str | None, str] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)

    @property
    def report(self) -> Report:
        """Where each row is told what became of it."""
        return self.fixture.report

    def scope_of(self, vrf: Link) -> str:
        """The address scope that stands for a VRF; none is the global table.

        Raises:
            NotFound: the VRF is not in the file, or was refused.
        """
        found = self.scopes.get(None if vrf is None else str(vrf))
        if found is None:
            hint = "it is not in the file, or was refused"
            raise NotFound("VRF", "(global table)" if vrf is None else vrf, hint)
        return found

    def owner_of(self, row: Row, tenant: Link) -> str | None:
        """The project that stands for a tenant; left out where there is none."""
        if tenant is None:
            return None
        found = self.projects.get(str(tenant))
        if found is None:
            row.leave_out("tenant", tenant, "the tenant is not in the file, or was refused")
        return found


def bring_scopes(move: Move) -> None:
    """Open an address scope for each VRF, and one for the global table if something is in it."""
    wishes: dict[str | None, Wish] = {}
    if _uses_global_table(move.fixture):
        row = move.report.row("global table", "(global table)", GLOBAL, implied=True)
        made = CreateAddressScope(name=GLOBAL, description="the global table of NetBox")
        wishes[None] = Wish(row, made)
    taken = {GLOBAL}
    for item in move.fixture.of("ipam.vrf"):
        wishes[item.key] = Wish(item.row, _scope(move, item, taken))
    move.intake.take_all(wishes.values())
    move.scopes = dict(_names_present(wishes))


def _uses_global_table(fixture: Fixture) -> bool:
    return bool(fixture.of("ipam.aggregate")) or any(
        item.fields.vrf is None for model in _IN_TABLES for item in fixture.of(model)
    )


def _names_present(wishes: dict[Any, Wish]) -> Iterator[tuple[Any, str]]:  # Any: keys of any kind
    for key, wish in wishes.items():
        if wish.row.outcome in PRESENT:
            assert isinstance(wish.command, CreateAddressScope | CreateProject)
            yield key, wish.command.name


def _free_name(row: Row, wanted: str, others: Iterable[str], taken: set[str]) -> str:
    """The name, or another where the rule for names refuses it or something else has it."""
    fault = words.obeys(NAME, wanted) or ("something else has it" if wanted in taken else "")
    found = wanted
    if fault:
        found = next(name for name in others if not words.obeys(NAME, name) and name not in taken)
        row.leave_out("name", wanted, f"{fault}; it is called {found!r} here")
    taken.add(found)
    return found


def _numbered(name: str) -> Iterator[str]:
    """The name, and as many more like it as are needed."""
    yield name
    yield from (f"{name} ({number})" for number in count(2))


def _scope(move: Move, item: Item[Vrf], taken: set[str]) -> CreateAddressScope:
    row, vrf = item.row, item.fields
    move.tags.note(row, item.key)
    if vrf.tenant is not None:
        row.leave_out("tenant", vrf.tenant, "an address scope belongs to no project")
    if vrf.enforce_unique is False:
        row.leave_out("enforce_unique", False, "addresses of a scope are always unique here")
    targets = {"import_targets": vrf.import_targets, "export_targets": vrf.export_targets}
    for what, given in targets.items():
        if given:
            row.leave_out(what, given, "the book holds addresses, not routes")
    others = chain([f"VRF {vrf.rd}"] if vrf.rd else [], _numbered(f"VRF {item.key}"))
    return CreateAddressScope(
        name=_free_name(row, vrf.name, others, taken),
        description=words.description(row, vrf, f"RD {vrf.rd}" if vrf.rd else ""),
    )


def bring_projects(move: Move) -> None:
    """Enter a project for each tenant."""
    taken: set[str] = set()
    wishes = {}
    for item in move.fixture.of("tenancy.tenant"):
        wishes[item.key] = Wish(item.row, _project(move, item, taken))
    move.intake.take_all(wishes.values())
    move.projects = dict(_names_present(wishes))


def _project(move: Move, item: Item[Tenant], taken: set[str]) -> CreateProject:
    row, tenant = item.row, item.fields
    move.tags.note(row, item.key)
    if tenant.group is not None:
        row.leave_out("group", tenant.group, "projects are not grouped")
    return CreateProject(
        name=_free_name(row, tenant.name, _numbered(f"tenant {item.key}"), taken),
        description=words.description(row, tenant),
    )
