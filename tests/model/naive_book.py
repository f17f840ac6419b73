"""The book of addresses, done naively: what each subnet holds, address by address.

Invariant: nothing of the product is imported, and nothing is clever: what is free is what a pool
has less what is held, counted address by address.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from model.naive_forest import NaiveForest
from model.naive_terms import Holder, Plan, Subnet, addresses, bearable, refused, usable


class NaiveBook(NaiveForest):
    """One address scope."""

    def copy(self) -> NaiveBook:
        return deepcopy(self)

    def allocate(
        self,
        names: Sequence[str],
        holder: Holder,
        *,
        address: int | None = None,
        method: str = "any",
        placement: str | None = None,
    ) -> Plan:
        """Hold one address of the first of some subnets that gives one."""
        if address is not None and (len(names) > 1 or method != "any" or placement is not None):
            return refused("invalid-value")
        if method == "next" and placement is not None:
            return refused("invalid-value")
        for name in names:
            at = self.subnets[name].identified(holder.identifier)
            if at is not None:
                return self._again(name, at, address)
        if address is not None:
            return self._specific(self.subnets[names[0]], address, holder)
        one = next((self.subnets[name] for name in names if self.subnets[name].free), None)
        if one is None:
            return refused("pool-exhausted")
        how = "lowest" if method == "next" else placement or one.placement
        allowed = {min(one.free)} if how == "lowest" else one.free
        return self._giving(one, allowed, holder)

    def _again(self, name: str, at: int, address: int | None) -> Plan:
        if address not in (None, at):
            return refused("identifier-taken")
        one = self.subnets[name]

        def same(answer: Any) -> None:
            assert answer in (None, (one.id, at, one.held[at].id)), answer

        return Plan(set(), same)

    def _specific(self, one: Subnet, address: int, holder: Holder) -> Plan:
        if address not in bearable(one.net):
            return refused("invalid-value")
        if address in one.held or address in one.resting:
            return refused("address-taken")
        return self._giving(one, {address}, holder)

    def _giving(self, one: Subnet, allowed: set[int], holder: Holder) -> Plan:
        def enter(answer: Any) -> None:
            if answer is None:
                assert len(allowed) == 1, "only a certain answer can be foreseen"
                value = min(allowed)
            else:
                subnet_id, value, holder.id = answer
                assert subnet_id == one.id
                assert value in allowed, f"{value} was given, of {sorted(allowed)}"
            one.held[value] = holder

        return Plan(set(), enter)

    def allocate_many(
        self, name: str, count: int, owner: str | None, *, contiguous: bool, first: int | None
    ) -> Plan:
        """Hold several addresses, all or none."""
        one = self.subnets[name]
        if first is not None:
            wanted = set(range(first, first + count))
            if not {min(wanted), max(wanted)} <= usable(one.net):
                return refused("invalid-value")
            if wanted & (set(one.held) | one.resting):
                return refused("address-taken")
            choices = [wanted]
        elif contiguous:
            starts = (n for n in sorted(one.free) if set(range(n, n + count)) <= one.free)
            choices = [set(range(n, n + count)) for n in starts]
        else:
            choices = [set(sorted(one.free)[:count])] if len(one.free) >= count else []
        if not choices:
            return refused("pool-exhausted")

        def enter(answer: Any) -> None:
            given = choices[0]
            ids: list[Any] = [None] * count
            if answer is not None:
                given, ids = answer
                assert given in choices, f"{sorted(given)} was given"
            for value, made in zip(sorted(given), ids, strict=True):
                one.held[value] = Holder(made, owner)

        return Plan(set(), enter)

    def update(self, name: str, address: int, wanted: Any, changes: dict[str, Any]) -> Plan:
        """Change what is said about a held address."""
        one = self.subnets[name]
        holder = one.held.get(address)
        if holder is None:
            return refused("not-found")
        if wanted not in (None, holder.id):
            return refused("stale-allocation")
        if one.identified(changes.get("identifier")) not in (None, address):
            return refused("identifier-taken")

        def enter(answer: Any) -> None:
            for field_, value in changes.items():
                setattr(holder, field_, value)
            assert answer in (None, holder.facts()), answer

        return Plan(set(), enter)

    def release(self, name: str, values: Sequence[int], wanted: Any = None) -> Plan:
        """Give some addresses back, all or none."""
        one = self.subnets[name]
        if not set(values) <= addresses(one.net):
            return refused("invalid-value")
        if not set(values) <= set(one.held):
            return refused("not-found")
        if wanted is not None and one.held[values[0]].id != wanted:
            return refused("stale-allocation")

        def enter(answer: Any) -> None:
            assert answer in (None, len(set(values))), answer
            for value in set(values):
                one.release(value)

        return Plan(set(), enter)

    def release_matching(self, name: str | None, owner: str | None, identifier: str | None) -> Plan:
        """Give back what an owner or an identifier holds, in one subnet or in all."""
        where = list(self.subnets.values()) if name is None else [self.subnets[name]]
        found = [
            (one, at)
            for one in where
            for at, holder in one.held.items()
            if (owner is not None and holder.owner == owner)
            or (identifier is not None and holder.identifier == identifier)
        ]
        if not found and identifier is not None:
            return refused("not-found")

        def enter(answer: Any) -> None:
            assert answer in (None, len(found)), answer
            for one, at in found:
                one.release(at)

        return Plan(set(), enter)
