"""`check`: proves the book consistent, or names what is not; `repair` rebuilds free extents.

Invariant: a repair touches derived tables only: what is held is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from allotment.engine import audit as rules
from allotment.engine.pools import usable
from allotment.model.address import BITS, Address
from allotment.model.commands import RepairBook
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.queries import CheckBook
from allotment.model.results import CheckReport, Fault
from allotment.operations.registry import answers, handles
from allotment.operations.repair import rebuild
from allotment.store import (
    audit,
    census,
    prefixes,
    quotas,
)
from allotment.store.directory import AnyRow
from allotment.store.session import Read, Write

FAULTS_MAX = 1000


@answers(CheckBook)
def check_book(r: Read, _query: CheckBook) -> CheckReport:
    """Read everything once and name each fault."""
    return _report(r)


@handles(RepairBook)
def repair_book(tx: Write, _command: RepairBook) -> CheckReport:
    """Rebuild the free extents of the containers whose extents are wrong; then check again."""
    wrong = {(fault.kind, fault.id) for fault in _faults(tx) if fault.repairable}
    for kind, name in sorted(wrong, key=lambda one: (one[0] == "quota", one)):  # the last locks
        rebuild(tx, kind, UUID(name))
    return _report(tx, repaired=len(wrong))


def _report(r: Read, repaired: int = 0) -> CheckReport:
    faults = []
    for fault in _faults(r):
        faults.append(fault)
        if len(faults) >= FAULTS_MAX:
            break
    counts = census.everything(r)
    return CheckReport(
        clean=not faults,
        scopes=counts["scopes"],
        pools=counts["pools"],
        subnets=counts["subnets"],
        allocations=counts["allocations"],
        extents=counts["extents"],
        faults=tuple(faults),
        repaired=repaired,
    )


def _faults(r: Read) -> Iterator[Fault]:
    yield from _subnet_faults(r)
    yield from _pool_faults(r)
    yield from _forest_faults(r)
    yield from _quota_faults(r)
    yield from _history_faults(r)
    yield from _orphans_of_history(r)
    for subnet_id in dict.fromkeys(audit.tags_that_differ(r)):
        detail = "its allocations are found by other tags than they have"
        yield Fault(rule="S10", kind="tags", id=str(subnet_id), detail=detail, repairable=True)
    for one, other in audit.leaf_overlaps(r):
        detail = f"{one.kind} {one.prefix} overlaps {other.kind} {other.prefix}"
        yield Fault(
            rule="S5", kind=other.kind, id=str(other.holder_id), detail=detail, repairable=False
        )


def _history_faults(r: Read) -> Iterator[Fault]:
    """Periods that cannot be; which of them is wrong, a person must say."""
    for allocation, family, address in audit.wrong_periods(r):
        told = Address.of(family, address)
        detail = f"{told}: a period of its history ends before it begins, or after the next begins"
        yield Fault(rule="S14", kind="period", id=str(allocation), detail=detail, repairable=False)


def _orphans_of_history(r: Read) -> Iterator[Fault]:
    for scope in audit.scopes_of_periods_only(r):
        detail = "periods of an address scope that does not exist"
        yield Fault(rule="S10", kind="orphan", id=str(scope), detail=detail, repairable=False)


def _quota_faults(r: Read) -> Iterator[Fault]:
    """What limited projects are said to own, and what they own."""
    for row, owned in quotas.miscounted(r):
        detail = (
            f"project {row.name} owns {owned.addresses} addresses and {owned.prefixes} prefixes,"
            f" counted as {row.addresses_used} and {row.prefixes_used}"
        )
        yield Fault(rule="Q1", kind="quota", id=str(row.project_id), detail=detail, repairable=True)


def _told(kind: str, row_id: UUID, name: str, findings: Iterator[rules.Finding]) -> Iterator[Fault]:
    for rule, detail, repairable in findings:
        yield Fault(
            rule=rule, kind=kind, id=str(row_id), detail=f"{name}: {detail}", repairable=repairable
        )


def _subnet_faults(r: Read) -> Iterator[Fault]:
    held, ranges, free = audit.held(r), audit.ranges(r), audit.free(r, of_pools=False)
    own = audit.own(r)
    orphans: dict[str, list[UUID]] = {"allocations": [], "allocation pools": [], "free extents": []}
    for row in audit.subnets(r):
        prefix = Prefix.of(row.family, row.first, row.length)
        whole = Extent(prefix.first, prefix.last)
        pools = audit.extents_of(list(ranges.of(row.id, orphans["allocation pools"])))
        runs = (Extent(one[1], one[2]) for one in free.of(row.id, orphans["free extents"]))
        addresses = (one[1] for one in held.of(row.id, orphans["allocations"]))
        told = str(prefix)
        gateway = row.gateway if row.gateway_family == row.family else None
        within = usable(row.family, prefix.first, prefix.last, row.length)
        findings = rules.audit_pools(whole, within, gateway, pools)
        yield from _told("subnet", row.id, told, findings)
        yield from _told("subnet", row.id, told, rules.audit_subnet(whole, pools, runs, addresses))
        entries = [one for _, one in own.of(row.id, [])]
        yield from _told("subnet", row.id, told, _forest_findings(row, prefix, entries))
    for rows, noun in ((held, "allocations"), (ranges, "allocation pools"), (free, "free extents")):
        rows.rest(orphans[noun])
        for container in orphans[noun]:
            detail = f"{noun} of a subnet that does not exist"
            yield Fault(
                rule="S10",
                kind="orphan",
                id=str(container),
                detail=detail,
                repairable=noun == "free extents",
            )


def _forest_faults(r: Read) -> Iterator[Fault]:
    """Entries of the forest and the things they stand for, each with the other."""
    for one in audit.entries_without_holder(r):
        detail = f"{one.prefix} is entered as of a {one.kind} that does not exist"
        yield _lost(one.kind, one.holder_id, detail)
    for _, held_id in audit.held_without_entry(r):
        detail = "a prefix allocation without its entry among the prefixes: it could be held twice"
        yield _lost("allocation", held_id, detail)


def _lost(kind: str, row_id: UUID, detail: str) -> Fault:
    return Fault(rule="S5", kind=kind, id=str(row_id), detail=detail, repairable=False)


def _forest_findings(
    row: AnyRow, prefix: Prefix, entries: list[prefixes.Held]
) -> Iterator[rules.Finding]:
    """A subnet has one entry in the forest, with its own prefix, under its pool or scope."""
    if [one.prefix for one in entries] != [prefix] or entries[0].last != prefix.last:
        yield "S5", "its entry among the prefixes is missing or wrong", False
    elif entries[0].parent_id != (row.pool_id or row.scope_id):
        yield "S5", "it hangs from another pool than it says", False


def _pool_faults(r: Read) -> Iterator[Fault]:
    free, carved, own = audit.free(r, of_pools=True), audit.carved(r), audit.own(r)
    ignored: list[UUID] = []
    for row in audit.pools(r):
        found = list(free.of(row.id, ignored))
        below = [one for _, one in carved.of(row.id, ignored)]
        mine = [one for _, one in own.of(row.id, ignored)]
        home = [one.extent for one in mine]
        inside = [one.extent for one in below]
        told = row.name
        findings = rules.audit_pool(home, audit.extents_of(found), inside)
        yield from _told("pool", row.id, told, findings)
        fits = ((Extent(one[1], one[2]), one[4]) for one in found)
        yield from _told("pool", row.id, told, rules.audit_fits(fits, BITS[row.family]))
        if not mine:
            yield _lost("pool", row.id, f"{told}: it has no prefixes")
        for one in mine:
            if one.parent_id != (row.parent_id or row.scope_id) or one.family != row.family:
                detail = f"{told}: its prefix {one.prefix} hangs from another pool than it says"
                yield Fault(rule="S5", kind="pool", id=str(row.id), detail=detail, repairable=False)
