"""One book with one tree for the matrix, and a token for every role and every way to have it.

Invariant: what the book holds and what the oracle is told are made by the same calls.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from access.oracle import Policy
from access.terms import ALL, Grant, Thing
from allotment import LocalDesk, Prefix, local_owner
from allotment.model import commands as c
from allotment.model.access import Role
from allotment.model.grants import CreateGrant, CreateToken, TargetKind
from allotment.model.queries import Query

ME = local_owner()
ROLES = [role.value for role in Role]
GROUP = "group:staff"


class Who(NamedTuple):
    """Somebody who asks: a token's text, or (with groups) a user of an identity provider."""

    name: str
    bearer: str | None
    groups: tuple[str, ...] = ()


class Book:
    """A book and what the oracle knows of it; the owner writes, and mends what a cell took."""

    def __init__(self, desk: LocalDesk) -> None:
        self.desk = desk
        self.tree: dict[str, Thing] = {}
        self.ids: dict[str, str] = {}
        self.grants: dict[str, list[Grant]] = {}
        self.kept: dict[str, Any] = {}  # what is beside it, made once
        self.folder = Path(tempfile.mkdtemp(prefix="allotment-access-"))
        weakref.finalize(self, shutil.rmtree, self.folder)
        self._numbers = itertools.count(1)

    def do(self, command: c.Command[Any]) -> Any:
        """As the owner."""
        return self.desk.do(command, ME)

    def do_ask(self, query: Query[Any]) -> Any:
        """As the owner."""
        return self.desk.ask(query, ME)

    def number(self) -> int:
        return next(self._numbers)

    def fresh(self, stem: str) -> str:
        """A name that was not used yet."""
        return f"{stem}-{self.number()}"

    def _enter(self, name: str, kind: str, made: Any, inside: str | None, owner: str | None) -> str:
        self.tree[name] = Thing(kind, inside, owner)
        self.ids[name] = str(made.id)
        return name

    def project(self, name: str) -> str:
        return self._enter(name, "project", self.do(c.CreateProject(name=name)), None, None)

    def scope(self, name: str, owner: str | None = None) -> str:
        made = self.do(c.CreateAddressScope(name=name, project=owner))
        return self._enter(name, "scope", made, None, owner)

    def pool(self, name: str, inside: str, prefix: str, owner: str | None = None) -> str:
        where = {"scope": inside} if self.tree[inside].kind == "scope" else {"parent": inside}
        if "parent" in where:
            where = {"parent": self.ids[inside]}
        command = c.CreateSubnetPool(name=name, prefixes=(Prefix(prefix),), project=owner, **where)
        return self._enter(name, "pool", self.do(command), inside, owner)

    def subnet(self, name: str, inside: str, prefix: str, owner: str | None = None) -> str:
        where = {"scope": inside} if self.tree[inside].kind == "scope" else {}
        where = where or {"pool": self.ids[inside]}
        command = c.CreateSubnet(name=name, prefix=Prefix(prefix), project=owner, **where)
        return self._enter(name, "subnet", self.do(command), inside, owner)

    def address(self, name: str, inside: str, owner: str | None = None, **more: Any) -> str:
        command = c.AllocateAddress(
            subnet=self.ids[inside], owner=owner, identifier=name, hostname=name, **more
        )
        made = self.do(command)
        self.ids[f"{name} address"] = str(made.address)
        return self._enter(name, "address", made, inside, owner)

    def prefix(self, name: str, inside: str, length: int, owner: str | None = None) -> str:
        command = c.AllocatePrefix(
            pool=self.ids[inside], length=length, owner=owner, identifier=name
        )
        made = self.do(command)
        self.ids[f"{name} prefix"] = str(made.prefix)
        return self._enter(name, "prefix", made, inside, owner)

    def token(self, name: str, owner: str | None = None) -> Who:
        made = self.do(CreateToken(name=name, project=owner))
        actor = f"token:{name}"
        self._enter(actor, "token", made.token, "the owner", owner)
        self.grants[actor] = []
        return Who(actor, made.secret.reveal())

    def user(self, name: str) -> Who:
        actor = f"user:idp#{name}"
        self.grants[actor] = []
        return Who(actor, None, (GROUP + name,))

    def grant(self, who: Who | str, grant: Grant) -> str:
        """Give it; one that is over needs a moment until it is: see `settle`."""
        name = who if isinstance(who, str) else who.groups[0] if who.groups else who.name
        kind = "installation" if grant.on == ALL else self.tree[grant.on].kind
        over = grant.until != float("inf")
        made = self.do(
            CreateGrant(
                actor=name,
                role=Role(grant.role),
                deny=grant.deny,
                target=TargetKind(kind),
                reference=None if grant.on == ALL else self.ids[grant.on],
                expires_at=time.time_ns() // 1_000_000 + 30 if over else None,
            )
        )
        actor = who if isinstance(who, str) else who.name
        self.grants.setdefault(actor, []).append(grant)
        return str(made.id)

    def policy(self, who: Who) -> Policy:
        """What the oracle says of somebody."""
        return Policy(self.tree, tuple(self.grants[who.name]), who.name)


def plant(book: Book) -> None:
    """The tree that the scenes are about."""
    for project in ("owning", "other", "doomed-project"):
        book.project(project)
    book.scope("scope", "other")
    book.scope("elsewhere")
    book.pool("outer", "scope", "10.0.0.0/8")
    book.pool("pool", "outer", "10.1.0.0/16", "owning")
    book.pool("beside", "outer", "10.2.0.0/16")
    book.pool("far", "elsewhere", "10.0.0.0/8")
    book.subnet("subnet", "pool", "10.1.0.0/20")
    book.subnet("sibling", "pool", "10.1.16.0/20")
    book.subnet("distant", "far", "10.1.0.0/20", "owning")
    for owner in (None, "owning", "other"):
        book.address(f"held-{owner}", "subnet", owner)
    for owner in (None, "other"):
        book.prefix(f"block-{owner}", "pool", 28, owner)


def relations(role: str) -> Iterator[tuple[str, bool, list[Grant]]]:
    """Where a grant may be, of all that the scenes are about: (label, by a group, grants)."""
    for on in (ALL, "owning", "other", "scope", "outer", "pool", "subnet", "sibling", "elsewhere"):
        yield f"on {on}", False, [Grant(role, on)]
    for on in ("owning", "scope", "pool", "subnet"):
        yield f"but not {on}", False, [Grant(role, ALL), Grant("viewer", on, deny=True)]
    yield "but no operator", False, [Grant(role, ALL), Grant("operator", "pool", deny=True)]
    yield "expired", False, [Grant(role, ALL, until=-1)]
    yield "by a group", True, [Grant(role, "pool")]


def crowd(book: Book) -> list[Who]:
    """Somebody for every role and every relation, and one who has none."""
    found = [book.token("nobody")]
    for role in ROLES:
        for label, grouped, grants in relations(role):
            name = f"{role}.{label.replace(' ', '.').replace(ALL, 'all')}"
            who = book.user(name) if grouped else book.token(name)
            for grant in grants:
                book.grant(who, grant)
            found.append(who)
    time.sleep(0.05)  # what expires has expired
    return found
