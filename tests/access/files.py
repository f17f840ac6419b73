"""What is brought in from files and taken along in them, and what the oracle is told of it.

Invariant: the verdict of a file is that of its last row; what an export holds is compared id by id.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from access.book import Book
from access.oracle import Policy
from access.scenes import Scene
from access.terms import ALL, Request
from allotment import Address, Prefix
from allotment.doors.exchange.csv_import import import_csv
from allotment.doors.exchange.export import csv_lines, json_pieces
from allotment.doors.exchange.netbox import import_netbox
from allotment.doors.exchange.report import Report
from allotment.doors.exchange.seat import Seat
from allotment.model import commands as c

REFUSED = {"forbidden": "forbidden", "not-found": "unseen"}
PLACES = ("project", "scope", "pool", "subnet")


class File(NamedTuple):
    """What stands in a file, and what reads it."""

    format: str
    text: str
    bring_in: Callable[[Seat, BinaryIO, Report], None]


def verdict_of_row(row: dict[str, Any]) -> tuple[str, Any]:
    """What became of a row, in the oracle's words; the answer is whether it was entered."""
    if row["outcome"] != "refused":
        return "allowed", True if row["outcome"] == "imported" else None
    if row["code"] in REFUSED:
        return REFUSED[row["code"]], None
    assert row["code"] not in ("invalid-value", "ambiguous"), row
    return "allowed", None


def verdict_of_told(items: list[dict[str, Any]], kind: str, about: str) -> tuple[str, Any]:
    """What became of one of the things that a Neutron and the book differ in, or of its row.

    Without a kind, all of them are the answer, by their names in the book.
    """
    if not kind:
        return "allowed", {one["subject"].replace("subnet pool ", "neutron-pool-")
                           .replace("subnet ", "neutron-subnet-") for one in items}  # fmt: skip
    key = "subject" if "fate" in (items or [{}])[0] else "source"
    found = [one for one in items if one["kind"] == kind and one[key].startswith(about)]
    if not found:
        return "unseen", None
    (one,) = found
    if "outcome" in one:
        return verdict_of_row(one)
    if one["fate"] == "repaired":
        return "allowed", True
    assert one["fate"] == "failed", one
    return REFUSED.get(one["code"], "allowed"), None


def csv_of(*rows: dict[str, str]) -> File:
    """A CSV file of these rows."""
    columns = list(dict.fromkeys(["kind", "prefix", *(name for row in rows for name in row)]))
    lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
    return File("csv", "".join(",".join(line) + "\n" for line in lines), import_csv)


def netbox_of(*objects: tuple[str, dict[str, Any]], scope: str = "scope") -> File:
    """A NetBox fixture: a scope, and these objects in it."""
    vrf = ("ipam.vrf", {"name": scope, "rd": None})
    dumped = [
        {"model": model, "pk": number, "fields": fields}
        for number, (model, fields) in enumerate([vrf, *objects], 1)
    ]
    return File("netbox", json.dumps(dumped), import_netbox)


def imports(book: Book) -> Iterator[Scene]:
    """One row of each kind, of each kind of file."""
    within = {"scope": "scope"}
    in_sight = ("scope",)  # a VRF is looked for before what is in it

    def scene(label: str, file: Callable[[], File], about: Request, undo: Any = None) -> Scene:
        mend = None if undo is None else lambda _: book.do(undo())
        # As with a batch, whoever may not even look is told nothing else.
        return Scene(f"by {label}", file, about._replace(batched=True), mend)

    for kind in ("project", "scope"):
        name = "CreateProject" if kind == "project" else "CreateAddressScope"
        yield scene(
            f"csv {kind}",
            lambda k=kind: csv_of({"kind": k, "name": book.fresh("brought")}),
            Request(name, at=(ALL,)),
        )
    pool = {"kind": "pool", "prefix": "10.190.0.0/24", "name": "brought-pool", **within}
    yield scene(
        "csv pool",
        lambda: csv_of(pool),
        Request("CreateSubnetPool", at=("outer",), within="scope"),
        lambda: c.DeleteSubnetPool(pool="brought-pool"),
    )
    at, gone = "10.1.210.0/24", lambda: c.DeleteSubnet(subnet="10.1.210.0/24", scope="scope")
    for project in (None, "owning"):
        names, there = ((), ("pool",)) if project is None else ((project,), ("pool", project))
        subnet = {"kind": "subnet", "prefix": at, "project": project or "", **within}
        yield scene(
            f"csv subnet for {project}",
            lambda s=subnet: csv_of(s),
            Request("CreateSubnet", names, at=there, within="scope"),
            gone,
        )
    where = Address("10.1.0.200")
    freed = lambda: c.ReleaseAddress(subnet=book.ids["subnet"], address=where)  # noqa: E731
    for project in (None, "owning"):
        held = {"kind": "allocation", "address": str(where), "project": project or "", **within}
        yield scene(
            f"csv address for {project}",
            lambda h=held: csv_of(h),
            Request("AllocateAddress", ("subnet", project) if project else ("subnet",)),
            freed,
        )
    block = Prefix("10.99.0.0/28")
    carved = {"kind": "allocation", "prefix": str(block), "scope": "elsewhere"}
    yield scene(
        "csv prefix",
        lambda: csv_of(carved),
        Request("AllocatePrefix", ("far",)),
        lambda: c.ReleasePrefix(pool=book.ids["far"], prefix=block),
    )
    tenant = lambda: (  # noqa: E731
        "tenancy.tenant",
        {"name": book.fresh("brought"), "slug": book.fresh("slug")},
    )
    yield scene("netbox tenant", lambda: netbox_of(tenant()), Request("CreateProject", at=(ALL,)))
    row = ("ipam.prefix", {"prefix": at, "vrf": 1, "status": "active"})
    about = Request("CreateSubnet", in_sight, at=("pool",), within="scope")
    yield scene("netbox prefix", lambda: netbox_of(row), about, gone)
    if "leaf" not in book.tree:
        book.subnet("leaf", "far", "10.50.0.0/24")
    one = ("ipam.ipaddress", {"address": "10.50.0.9/24", "vrf": 1, "status": "active"})
    yield scene(
        "netbox address",
        lambda: netbox_of(one, scope="elsewhere"),
        Request("AllocateAddress", ("elsewhere", "leaf"), at=("leaf",)),
        lambda: c.ReleaseAddress(subnet=book.ids["leaf"], address=Address("10.50.0.9")),
    )


def exports() -> Iterator[Scene]:
    """The whole book, and one scope of it."""
    for form, write in (("json", json_pieces), ("csv", csv_lines)):
        shows = everything if form == "json" else places_by_name
        yield Scene(
            f"of all as {form}",
            lambda w=write: lambda seat: w(seat),
            Request("ListTree"),
            shows=shows,
        )
    yield Scene(
        "of a scope",
        lambda: lambda seat: json_pieces(seat, "scope"),
        Request("GetAddressScope", ("scope",)),
        shows=everything_in("scope"),
    )


def told_in(text: str) -> set[str]:
    """The ids of the things in a JSON export, the names of those in a CSV."""
    if not text.startswith("{"):
        rows = csv.DictReader(io.StringIO(text))
        return {row["name"] for row in rows if row["kind"] in PLACES}
    return {one["id"] for part in json.loads(text).values() for one in part}


def everything(book: Book, policy: Policy) -> set[str]:
    """The ids of all that is seen; of what is held, where its container is."""
    return {book.ids[name] for name in _exported(policy)}


def everything_in(scope: str) -> Callable[[Book, Policy], set[str]]:
    """The same inside a scope; projects are around it."""
    return lambda book, policy: {
        book.ids[name]
        for name in _exported(policy)
        if scope in policy.place(name) and policy.tree[name].kind != "project"
    }


def _exported(policy: Policy) -> set[str]:
    held = {
        name for name in policy.visible("address", "prefix")
        if policy.sees(policy.tree[name].inside or ALL)
    }  # fmt: skip
    return policy.visible(*PLACES) | held


def places_by_name(book: Book, policy: Policy) -> set[str]:
    """The names of the projects, scopes, pools and subnets that are seen."""
    del book
    return policy.visible(*PLACES)


def places(book: Book, policy: Policy) -> set[str]:
    """The ids of the places that are seen."""
    return {book.ids[name] for name in policy.visible(*PLACES)}
