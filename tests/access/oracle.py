"""Who may do what, once more: names and sets, written from the rule in decision 0007 alone.

Invariant: it shares no code with the product, so that no fault is in both.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

ALL = "*"  # the installation
ROLES = ("", "viewer", "allocator", "operator", "admin")
WHOLE = ("CheckBook", "RepairBook", "ListAudit", "VerifyAudit", "SealAudit")
OWN = ("WhoAmI", "GetToken", "ListTokens", "RevokeToken", "ResolveOperation")
ADMINS = ("GetGrant", "ListGrants", "RevokeGrant")
READS = ("Get", "List", "Lookup", "Search", "Preview", "Who", "Batch")


class Thing(NamedTuple):
    kind: str
    inside: str | None = None  # of a token: who made it; of a grant or denial: what it is on
    project: str | None = None


class Grant(NamedTuple):
    role: str
    on: str
    deny: bool = False
    until: float = inf


class Request(NamedTuple):
    operation: str
    names: tuple[str, ...] = ()  # what it refers to, and has to see
    at: tuple[str, ...] | None = None  # where it takes the role; None: at all that it names
    held: tuple[str, ...] = ()  # the addresses and prefixes it changes
    within: str | None = None  # the scope it names to say which
    lifts: bool = False  # an owner is taken away
    batched: bool = False
    whole: bool = False  # it is about all that is inside
    must: bool = True  # what it holds has to be there
    until: float = 0


class Policy(NamedTuple):
    tree: dict[str, Thing]
    grants: tuple[Grant, ...]
    me: str = ""
    now: float = 0

    def place(self, name: str | None) -> frozenset[str]:
        if name in (None, ALL):
            return frozenset()
        thing = self.tree[name]
        return self.place(thing.inside) | self.place(thing.project) | {name}

    def live(self, place: frozenset[str], *, deny: bool) -> list[Grant]:
        around = {*place, ALL}
        return [g for g in self.grants if g.deny == deny and g.until > self.now and g.on in around]

    def granted(self, place: frozenset[str]) -> int:
        return max((ROLES.index(g.role) for g in self.live(place, deny=False)), default=0)

    def cap(self, place: frozenset[str]) -> int:
        return min((ROLES.index(g.role) - 1 for g in self.live(place, deny=True)), default=4)

    def level(self, name: str) -> int:
        return min(self.granted(self.place(name)), self.cap(self.place(name)))

    def somewhere(self, level: int) -> bool:
        everywhere = frozenset(self.tree)
        return min(self.granted(everywhere), self.cap(frozenset())) >= level

    def sees(self, name: str) -> bool:
        thing = self.tree[name]
        if thing.kind == "grant":
            return self.level(thing.inside or ALL) == 4
        if thing.kind == "prefix" and not self.sees(thing.inside or ""):
            return False
        if thing.kind == "token" and self.me not in (name, thing.inside):
            return self.level(thing.project or ALL) == 4 or self.level(ALL) == 4
        return thing.kind == "token" or self.level(ALL if thing.kind == "denial" else name) > (
            3 if thing.kind == "denial" else 0
        )

    def may_name(self, scope: str) -> bool:
        kinds = ("scope", "pool", "subnet")
        return any(
            t.kind in kinds and scope in self.place(n) and self.sees(n)
            for n, t in self.tree.items()
        )

    def may_touch(self, name: str) -> bool:
        _, home, owner = self.tree[name]
        if owner is None:
            return self.level(home or ALL) >= 2
        holds = self.granted(frozenset({owner})) >= 2 and self.sees(home or "")
        return self.cap(self.place(name)) >= 2 and (self.granted(self.place(home)) >= 3 or holds)

    def spares_denied(self, name: str) -> bool:
        projects = {n for n, thing in self.tree.items() if thing.kind == "project"}
        return not any(
            name == ALL or {name, g.on} & projects or name in self.place(g.on)
            for g in self.live(frozenset(self.tree), deny=True)
            if g.on != ALL
        )

    def judge(self, r: Request) -> str:
        need = ROLES.index(role_of(r.operation))
        knows = r.operation in OWN or self.somewhere(need)
        if r.operation in WHOLE:
            every = self.level(ALL) == 4 and not self.live(frozenset(self.tree), deny=True)
            return "allowed" if every else "forbidden"
        if r.batched and not self.somewhere(1):
            return "forbidden"
        if (need == 1 and not knows) or (r.operation in ADMINS and not knows):
            return "forbidden"
        if not all(map(self.sees, r.names)) or (r.within and not self.may_name(r.within)):
            return "unseen"
        at = [n for n in (r.names if r.at is None else r.at) if r.operation not in (*OWN, *ADMINS)]
        if not knows or any(self.level(name) < need for name in at):
            return "forbidden"
        if r.lifts and self.level(r.names[0]) < 3:
            return "forbidden"
        if r.whole and not self.spares_denied((r.at or r.names)[0]):
            return "forbidden"
        mine = [
            g.until
            for name in at
            for g in self.live(self.place(name), deny=False)
            if g.role == "admin"
        ]
        if r.until > max(mine, default=inf):
            return "forbidden"
        if r.held and r.must and not all(map(self.sees, r.held)):
            return "unseen"
        touched = filter(self.sees, r.held)
        return "allowed" if all(map(self.may_touch, touched)) else "forbidden"

    def visible(self, *kinds: str) -> set[str]:
        return {n for n, thing in self.tree.items() if thing.kind in kinds and self.sees(n)}


def role_of(operation: str) -> str:
    if operation in ADMINS:
        return "admin"
    if operation.startswith(READS):
        return "viewer"
    if operation.startswith(("Allocate", "Release")) or operation == "UpdateAllocation":
        return "allocator"
    return "operator" if "Subnet" in operation or "Pools" in operation else "admin"
