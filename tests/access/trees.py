"""Random trees and grants: drawn, planted in a book, and taken out again.

Invariant: what was planted is taken out whole, so that the next tree is alone in the book.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from access.book import ROLES, Book, Who
from access.terms import ALL, Grant, Thing
from allotment import Address, Prefix
from allotment.model import commands as c
from allotment.model.access import Actor, ActorKind
from allotment.model.grants import ListGrants, ListTokens, RevokeGrant, RevokeToken
from allotment.model.mac import Mac
from allotment.model.queries import ListAddressScopes, ListProjects

PROJECTS_MAX, NODES_MAX, HELD_MAX, GRANTS_MAX = 3, 9, 6, 6
DEPTH_MAX = 4


class Grove:
    """One drawn tree in a book; every name begins with its stem."""

    def __init__(self, book: Book, data: st.DataObject) -> None:
        self.book, self.draw = book, data.draw
        self.stem = f"e{book.number()}"
        self.slots: dict[str, tuple[int, int]] = {}  # where a container begins, and how deep it is
        self.full: dict[str, int] = {}

    def pick(self, *kinds: str, among: list[str] | None = None) -> str | None:
        """Something of a kind, if there is such a thing."""
        names = [n for n, thing in self.book.tree.items() if thing.kind in kinds]
        if among is not None:
            names = [name for name in names if name in among]
        return self.draw(st.sampled_from(names)) if names else None

    def owner(self) -> str | None:
        """A project, or nobody."""
        return self.pick("project") if self.draw(st.booleans()) else None

    def name(self) -> str:
        return f"{self.stem}-{self.book.number()}"

    def slot(self, inside: str) -> str:
        """The next part of a container that nothing is in."""
        first, depth = self.slots[inside]
        place = self.full[inside] = self.full.get(inside, -1) + 1
        length = 8 + 4 * (depth + 1)
        return str(Prefix.of(4, first | place << (32 - length), length))

    def remember(self, name: str, prefix: str, inside: str) -> None:
        self.slots[name] = (Prefix(prefix).first, self.slots[inside][1] + 1)

    def plant(self) -> None:
        """Projects, scopes, what is inside, what is held, and tokens of projects."""
        book = self.book
        for _ in range(self.draw(st.integers(1, PROJECTS_MAX))):
            book.project(self.name())
        for _ in range(self.draw(st.integers(1, 2))):
            scope = book.scope(self.name(), self.owner())
            self.slots[scope] = (10 << 24, 0)
        for _ in range(self.draw(st.integers(1, NODES_MAX))):
            self.plant_node()
        for _ in range(self.draw(st.integers(0, HELD_MAX))):
            self.plant_held()
        for _ in range(self.draw(st.integers(0, 2))):
            book.token(self.name(), self.owner())

    def plant_node(self) -> None:
        open_ones = [name for name, (_, depth) in self.slots.items() if depth < DEPTH_MAX]
        inside = self.pick("scope", "pool", among=open_ones)
        assert inside is not None
        make = self.draw(st.sampled_from([self.book.pool, self.book.subnet]))
        prefix = self.slot(inside)
        name = make(self.name(), inside, prefix, self.owner())
        if make == self.book.pool:
            self.remember(name, prefix, inside)

    def plant_held(self) -> None:
        home = self.pick("subnet", "pool")
        if home is None:
            return
        if self.book.tree[home].kind == "subnet":
            name = self.book.address(self.name(), home, self.owner())
            here = Address(self.book.ids[f"{name} address"])
            mac = Mac("02:00:00:00:00:01")  # by then it is another holder
            self.book.do(c.UpdateAllocation(subnet=self.book.ids[home], address=here, mac=mac))
            return
        prefix = Prefix(self.slot(home))
        owner, name = self.owner(), self.name()
        asked = c.AllocatePrefix(
            pool=self.book.ids[home], prefix=prefix, owner=owner, identifier=name
        )
        made = self.book.do(asked)
        self.book.ids[f"{name} prefix"] = str(made.prefix)
        self.book._enter(name, "prefix", made, home, owner)

    def somebody(self) -> Who:
        """A token or a user with random grants; some are a group's, some are over."""
        book = self.book
        who = book.token(self.name()) if self.draw(st.booleans()) else book.user(self.name())
        made: set[tuple[str, str, bool]] = set()
        for _ in range(self.draw(st.integers(0, GRANTS_MAX))):
            self.give(who, made)
        return who

    def give(self, who: Who, made: set[tuple[str, str, bool]]) -> None:
        on = ALL
        if self.draw(st.integers(0, 6)):
            on = self.pick("project", "scope", "pool", "subnet") or ALL
        deny = self.draw(st.integers(0, 3)) == 0
        role = self.draw(st.sampled_from(ROLES))
        if (on, role, deny) not in made:
            made.add((on, role, deny))
            grant = Grant(role, on, deny)
            given = self.book.grant(who, grant)
            name = f"{self.stem} grant {len(made)}"
            self.book.ids[name] = given
            self.book.tree[name] = Thing("denial" if deny else "grant", None if on == ALL else on)

    def actor(self, who: Who) -> Actor:
        if who.groups:
            return Actor(name=who.name, kind=ActorKind.USER, groups=who.groups)
        return Actor(name=who.name)

    def uproot(self) -> None:
        """Take everything out of the book, and out of what the oracle knows."""
        book = self.book
        for grant in self.all_of(ListGrants(limit=1000)):
            book.do(RevokeGrant(grant=str(grant.id)))
        for token in self.all_of(ListTokens(live=True, limit=1000)):
            book.do(RevokeToken(token=str(token.id)))
        for scope in self.all_of(ListAddressScopes(limit=1000)):
            book.do(c.DeleteAddressScope(scope=str(scope.id), cascade=True))
        for project in self.all_of(ListProjects(limit=1000)):
            book.do(c.DeleteProject(project=str(project.id)))
        book.tree.clear()
        book.ids.clear()
        book.grants.clear()

    def all_of(self, query: Any) -> Any:
        return self.book.do_ask(query).items
