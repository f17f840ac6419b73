"""Who may do what, once more: names and sets, written from the rule in decision 0007 alone.

Invariant: it shares no code with the product, so that no fault is in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

from access.terms import ALL, Grant, Request, Thing

ROLES = ("", "viewer", "allocator", "operator", "admin")
NEEDS = (  # the role, as a number, of the first that an operation begins with
    (0, ("WhoAmI", "GetToken", "ListTokens", "RevokeToken", "ResolveOperation")),
    (4, ("GetGrant", "ListGrants", "ListAudit")),
    (1, ("Get", "List", "Lookup", "Search", "Preview")),
    (3, ("CreateSubnet", "UpdateSubnet", "DeleteSubnet", "UpdateAllocationPools")),
    (2, ("Allocate", "Release", "UpdateAllocation")),
    (4, ("",)),
)
LOOKS_FIRST = ("Get", "List", "Lookup", "Search", "Preview", "RevokeGrant")


class Policy(NamedTuple):
    tree: dict[str, Thing]
    grants: tuple[Grant, ...]
    me: str = ""
    now: float = 0

    def place(self, name: str | None) -> set[str]:
        thing = self.tree.get(name or ALL)
        return {ALL, name or ALL} | (
            self.place(thing.inside) | self.place(thing.project) if thing else set()
        )

    def live(self, place: set[str], *, deny: bool = False) -> list[Grant]:
        return [g for g in self.grants if g.deny == deny and g.until > self.now and g.on in place]

    def granted(self, place: set[str]) -> int:
        return max((ROLES.index(g.role) for g in self.live(place)), default=0)

    def cap(self, place: set[str]) -> int:
        return min((ROLES.index(g.role) - 1 for g in self.live(place, deny=True)), default=4)

    def level(self, name: str | None) -> int:
        return min(self.granted(self.place(name)), self.cap(self.place(name)))

    def somewhere(self, level: int) -> bool:
        return min(self.granted({*self.tree, ALL}), self.cap({ALL})) >= level

    def sees(self, name: str | None) -> bool:
        thing = self.tree[name or ""]
        match thing.kind:
            case "grant":
                return self.level(thing.inside) == 4
            case "denial":
                return self.level(ALL) == 4
            case "token" if self.me in (name, thing.inside):
                return True
            case "token":
                return 4 in (self.level(thing.project), self.level(ALL))
        return self.level(name) > 0 and (thing.kind != "prefix" or self.sees(thing.inside))

    def visible(self, *kinds: str) -> set[str]:
        return {n for n, thing in self.tree.items() if thing.kind in kinds and self.sees(n)}

    def may_name(self, scope: str) -> bool:
        return any(scope in self.place(n) for n in self.visible("scope", "pool", "subnet"))

    def may_touch(self, name: str) -> bool:
        _, home, owner = self.tree[name]
        if owner is None:
            return self.level(home) >= 2
        owns = self.granted(self.place(owner)) >= 2 and self.sees(home)
        return self.cap(self.place(name)) >= 2 and (self.granted(self.place(home)) >= 3 or owns)

    def spares_denied(self, name: str) -> bool:
        projects = {n for n, thing in self.tree.items() if thing.kind == "project"}
        denied = {g.on for g in self.live(set(self.tree), deny=True)}
        return not any({name, one} & projects or name in self.place(one) for one in denied)

    def refusals(self, r: Request) -> Iterator[tuple[bool, str]]:
        """What a request may fail by, in this order."""
        need = next(role for role, words in NEEDS if r.operation.startswith(words))
        at = r.names if r.at is None else r.at
        mine = [g.until for n in at for g in self.live(self.place(n)) if g.role == "admin"]
        hidden = not all(map(self.sees, r.names)) or (r.within and not self.may_name(r.within))
        yield r.batched and not self.somewhere(1), "forbidden"
        yield r.operation.startswith(LOOKS_FIRST) and not self.somewhere(need), "forbidden"
        yield bool(hidden), "unseen"
        yield not self.somewhere(need) or any(self.level(n) < need for n in at), "forbidden"
        yield r.lifts and self.level(r.names[0]) < 3, "forbidden"
        yield r.whole and not self.spares_denied((*at, *r.names)[0]), "forbidden"
        yield r.until > max(mine, default=inf), "forbidden"
        yield r.must and not all(map(self.sees, r.held)), "unseen"
        yield not all(self.may_touch(n) for n in r.held if self.sees(n)), "forbidden"

    def judge(self, request: Request) -> str:
        return next((verdict for fails, verdict in self.refusals(request) if fails), "allowed")
