"""What is said on the command line for each request of the scenes, and what only it has.

Invariant: every command of the command line is said somewhere here, or is named with the reason
why it asks nobody; a new one that is neither fails the build.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import click
from msgspec import UNSET

from access import clouds
from access.book import Book
from access.oracle import Policy
from access.scenes import Scene
from access.terms import ALL, Request
from allotment import Address, Prefix
from allotment.doors.cli.app import root
from allotment.model import commands as c
from allotment.model import events as e
from allotment.model import grants as g
from allotment.model import history as h
from allotment.model import queries as q

Words = list[str]
About = Request | Callable[[Policy], Request]
ASKS_NOBODY = {
    ("completion",): "prints a script of the shell, and opens no book",
    ("logout",): "forgets what this machine keeps, and tells no server",
    ("serve",): "is the service, whose door is another",
}
AT_THE_BOOK_ONLY = {("init",): "makes a book: where the database is, by whoever may write to it"}


class Line(NamedTuple):
    """What is said, and how an answer is made of what is printed.

    Of many things that are told, `told` is which one is looked at: its kind, and what it is about.
    """

    words: Words
    answer: Callable[[Any], Any] = lambda printed: printed
    input: str | None = None
    writes: bool = True
    told: tuple[str, str] | None = None


def _given(word: str, value: Any) -> Words:
    """An option, where it is given."""
    if value is None or value is UNSET or value == () or value is False:
        return []
    if value is True:
        return [word]
    return [part for one in (value if isinstance(value, tuple) else (value,))
            for part in (word, str(one))]  # fmt: skip


def _set(word: str, value: Any) -> Words:
    """An option that takes something away where the value is None."""
    return [f"--no-{word}"] if value is None else _given(f"--{word}", value)


def _deleted(kind: str, name: str, request: Any) -> Words:
    cascade = ["--cascade", "--yes"] if request.cascade else []
    return [kind, "delete", name, *_given("--scope", getattr(request, "scope", None)), *cascade]


def _preview(r: Any) -> Words:
    kind = "subnet" if r.subnet is not None else "pool"
    return [kind, "delete", getattr(r, kind), "--cascade", "--dry-run"]


def _granted(r: Any) -> Words:
    on = [f"--on-{r.target}", *([] if r.reference is None else [str(r.reference)])]
    return ["grant", "create", r.actor, str(r.role), *on, *_given("--deny", r.deny)]


def _listed_grants(r: Any) -> Words:
    return ["grant", "list", *([f"--on-{r.target}", r.reference] if r.target else [])]


def _new_pool(r: Any) -> Words:
    return [
        "pool", "create", r.name, *_given("--prefix", r.prefixes), *_given("--parent", r.parent),
        *_given("--scope", r.scope), *_given("--project", r.project),
    ]  # fmt: skip


def _new_subnet(r: Any) -> Words:
    return [
        "subnet", "create", *([] if r.prefix is None else [str(r.prefix)]),
        *_given("--from-pool", r.pool), *_given("--length", r.length),
        *_given("--scope", r.scope), *_given("--project", r.project),
    ]  # fmt: skip


def _allocated(r: Any) -> Words:
    return [
        "allocate", r.subnet, *_given("--scope", r.scope), *_given("--fallback", r.fallbacks),
        *_given("--owner", r.owner), *_given("--tag", r.tags),
    ]  # fmt: skip


def _told(r: Any) -> Words:
    return [
        "allocation", "update", r.subnet, str(r.address), *_set("owner", r.owner),
        *_given("--description", r.description),
    ]  # fmt: skip


SAID: dict[type, Callable[[Any], Words]] = {
    q.GetProject: lambda r: ["project", "show", r.project],
    q.GetAddressScope: lambda r: ["scope", "show", r.scope],
    q.GetSubnetPool: lambda r: ["pool", "show", r.pool],
    q.GetSubnet: lambda r: ["subnet", "show", r.subnet, *_given("--scope", r.scope)],
    q.GetAllocation: lambda r: ["allocation", "show", r.subnet, str(r.address)],
    q.GetUtilisation: lambda r: ["usage", *r.containers],
    q.GetStatus: lambda r: ["status"],
    q.ListPrefixAllocations: lambda r: ["pool", "allocations", r.pool],
    q.ListFree: lambda r: ["free", r.container],
    q.ListProjects: lambda r: ["project", "list"],
    q.ListAddressScopes: lambda r: ["scope", "list"],
    q.ListSubnetPools: lambda r: ["pool", "list"],
    q.ListSubnets: lambda r: ["subnet", "list", *_given("--pool", r.pool)],
    q.ListTree: lambda r: ["tree"],
    q.ListAllocations: lambda r: ["allocation", "list"],
    q.Search: lambda r: ["search", r.text],
    q.Lookup: lambda r: ["lookup", str(r.address)],
    h.ListHistory: lambda r: [
        "history", str(r.address), *_given("--subnet", r.subnet),
        *([] if r.at is None else ["--at", "2999-01-01"]),
    ],
    h.ForgetHistory: lambda r: [
        "forget", "--before", "1970-01-02", *_given("--scope", r.scope), "--yes",
    ],
    q.PreviewDelete: _preview,
    q.CheckBook: lambda r: ["check"],
    c.RepairBook: lambda r: ["check", "--repair"],
    g.WhoAmI: lambda r: ["whoami"],
    g.GetQuota: lambda r: ["project", "quota", r.project],
    g.SetQuota: lambda r: ["project", "quota", r.project, *_set("addresses", r.addresses)],
    g.ListTokens: lambda r: ["token", "list"],
    g.GetToken: lambda r: ["token", "show", r.token],
    g.CreateToken: lambda r: ["token", "create", r.name, *_given("--project", r.project)],
    g.RevokeToken: lambda r: ["token", "revoke", r.token, "--yes"],
    g.ListGrants: _listed_grants,
    g.GetGrant: lambda r: ["grant", "show", r.grant],
    g.CreateGrant: _granted,
    g.RevokeGrant: lambda r: ["grant", "revoke", r.grant, "--yes"],
    e.ListEvents: lambda r: ["events"],
    e.ListAudit: lambda r: ["audit", "list"],
    e.VerifyAudit: lambda r: ["audit", "verify"],
    e.SealAudit: lambda r: ["audit", "seal"],
    e.ResolveOperation: lambda r: ["operation", r.key],
    c.CreateProject: lambda r: ["project", "create", r.name],
    c.UpdateProject: lambda r: ["project", "update", r.project, "--description", r.description],
    c.DeleteProject: lambda r: ["project", "delete", r.project],
    c.CreateAddressScope: lambda r: ["scope", "create", r.name, *_given("--project", r.project)],
    c.UpdateAddressScope: lambda r: [
        "scope", "update", r.scope, *_set("project", r.project),
        *_given("--description", r.description),
    ],
    c.DeleteAddressScope: lambda r: _deleted("scope", r.scope, r)
    if r.cascade
    else ["scope", "delete", r.scope],
    c.CreateSubnetPool: _new_pool,
    c.UpdateSubnetPool: lambda r: [
        "pool", "update", r.pool, *_given("--tag", r.tags), *_given("--prefix", r.prefixes),
    ],
    c.DeleteSubnetPool: lambda r: _deleted("pool", r.pool, r),
    c.CreateSubnet: _new_subnet,
    c.UpdateSubnet: lambda r: [
        "subnet", "update", r.subnet, *_given("--scope", r.scope), *_given("--tag", r.tags),
        *_set("project", r.project),
    ],
    c.UpdateAllocationPools: lambda r: ["subnet", "update", r.subnet, *_given("--range", r.ranges)],
    c.DeleteSubnet: lambda r: _deleted("subnet", r.subnet, r),
    c.AllocateAddress: _allocated,
    c.AllocateAddresses: lambda r: [
        "allocate", r.subnet, "--count", str(r.count), "--contiguous", *_given("--owner", r.owner),
    ],
    c.AllocatePrefix: lambda r: [
        "pool", "allocate", r.pool, "--length", str(r.length), *_given("--owner", r.owner),
    ],
    c.ReleaseAddress: lambda r: ["release", r.subnet, str(r.address)],
    c.ReleaseAddresses: lambda r: ["release", r.subnet, *map(str, r.addresses)],
    c.ReleaseMatching: lambda r: [
        "release", *([r.subnet] if r.subnet else []),
        *_given("--identifier", r.identifier), *_given("--owner", r.owner),
    ],
    c.ReleasePrefix: lambda r: ["pool", "release", r.pool, str(r.prefix)],
    c.UpdateAllocation: _told,
}  # fmt: skip


def answer_of(request: Any) -> Callable[[Any], Any]:
    """What makes the printed answer what the mending of a scene looks at."""

    def read(printed: Any) -> Any:
        if isinstance(request, c.AllocateAddresses):
            first = Address(printed["items"][0]["address"])
            return SimpleNamespace(ranges=[SimpleNamespace(first=first.value)])
        one = printed["items"][0] if printed.get("items") else printed
        fields = {name: one[name] for name in ("id", "count") if name in one}
        if isinstance(request, c.AllocateAddress):
            fields["address"] = Address(one["address"])
        if isinstance(request, c.AllocatePrefix):
            fields["prefix"] = Prefix(one["prefix"])
        return SimpleNamespace(**fields)

    return read


def said(scene: Scene) -> Scene:
    """A scene of the desk as a line."""

    def line() -> Line:
        request = scene.asked()
        return Line(
            SAID[type(request)](request),
            answer_of(request),
            writes=isinstance(request, c.Command),
        )

    return scene._replace(asked=line)


def lines(book: Book, played: list[Scene]) -> Iterator[Scene]:
    """Every scene that can be said, and what only the command line has."""
    yield from (said(scene) for scene in played if not isinstance(scene.asked(), c.Batch))
    told: list[tuple[Words, About]] = [
        (["tree", "--scope", "scope"], Request("ListTree", within="scope")),
        (["export", "csv"], Request("ListTree")),
        (["export", "json"], Request("ListTree")),
        (["export", "json", "--scope", "scope"], Request("GetAddressScope", ("scope",))),
        (["audit", "export"], Request("ListAudit", at=(ALL,), whole=True)),
        (["audit", "anchor"], Request("SealAudit", at=(ALL,), whole=True)),
        (["login"], Request("WhoAmI")),
        (["demo"], demo),
    ]
    yield from (only(words, about) for words, about in told)
    both = ["subnet", "update", "sibling", "--tag", "t", "--range", "10.1.16.2-10.1.16.9"]
    yield only(both, Request("UpdateSubnet", ("sibling",), batched=True), writes=True)
    for scene in clouds.lines(book):
        yield scene._replace(asked=lambda s=scene: Line(s.asked().words, told=s.asked().told))
    for kind, text, about in imports(book):
        yield Scene(
            "",
            lambda k=kind, t=text: Line(["import", k, "-"], input=t(book.number())),
            about,
        )


def imports(book: Book) -> Iterator[tuple[str, Callable[[int], str], Request]]:
    """A file of one row for each kind of file: a project that is new."""

    def fixture(number: int) -> str:
        fields = {"name": f"made-by-netbox-{number}", "slug": f"made-{number}"}
        return json.dumps([{"model": "tenancy.tenant", "pk": 1, "fields": fields}])

    def rows(number: int) -> str:
        return f"kind,name,prefix\nproject,made-by-csv-{number},\n"

    yield "netbox", fixture, Request("CreateProject", at=(ALL,))
    yield "csv", rows, Request("CreateProject", at=(ALL,))


def begins(words: Words, command: tuple[str, ...]) -> bool:
    """Whether a line is of a command."""
    return tuple(words[: len(command)]) == command


def demo(policy: Policy) -> Request:
    """A book in which something is seen is left alone; in one that seems empty it would write."""
    if policy.visible("project", "scope"):
        return Request("GetStatus")
    return Request("CreateProject", at=(ALL,))


def only(words: Words, about: About, *, writes: bool = False) -> Scene:
    """A line that is no scene of the desk."""
    return Scene(" ".join(words), lambda: Line(words, writes=writes), about)


def commands() -> Iterator[tuple[str, ...]]:
    """Every command of the command line, by its words."""
    context = click.Context(root)

    def below(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            if isinstance(found, click.Group):
                yield from below(found, (*words, name))
            else:
                yield (*words, name)

    yield from below(root, ())
