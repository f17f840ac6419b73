"""Names for shell completion, read from the book.

Invariant: completing makes no book, prints nothing, and never fails in a way a person would see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from allotment.doors.cli.invocation import PAGE_SIZE_MAX, Invocation

if TYPE_CHECKING:
    from allotment.model.queries import Query
    from allotment.model.results import AddressScope, Page, Project, SubnetPool

T = TypeVar("T", bound="Project | AddressScope | SubnetPool")
Suggest = Callable[[click.Context, click.Parameter, str], list[str]]


def _suggesting(read: Callable[[Invocation], Iterable[str]]) -> Suggest:
    def suggest(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        invocation = context.find_object(Invocation) or Invocation()
        try:
            invocation.hurried = True
            if invocation.is_new:
                return []
            return sorted({name for name in read(invocation) if name.startswith(begun)})
        except Exception:  # noqa: BLE001 - a shell that completes has no place for an error
            return []
        finally:
            invocation.close()

    return suggest


def _names(invocation: Invocation, query: Query[Page[T]]) -> Iterable[str]:
    return [item.name for item in invocation.ask(query).items]


def _scopes(invocation: Invocation) -> Iterable[str]:
    from allotment.model.queries import ListAddressScopes

    return _names(invocation, ListAddressScopes(limit=PAGE_SIZE_MAX))


def _projects(invocation: Invocation) -> Iterable[str]:
    from allotment.model.queries import ListProjects

    return _names(invocation, ListProjects(limit=PAGE_SIZE_MAX))


def _pools(invocation: Invocation) -> Iterable[str]:
    from allotment.model.queries import ListSubnetPools

    return _names(invocation, ListSubnetPools(scope=invocation.scope, limit=PAGE_SIZE_MAX))


def _subnets(invocation: Invocation) -> Iterable[str]:
    from allotment.model.queries import ListSubnets

    for subnet in invocation.ask(ListSubnets(scope=invocation.scope, limit=PAGE_SIZE_MAX)).items:
        yield str(subnet.prefix)
        if subnet.name is not None:
            yield subnet.name


def _containers(invocation: Invocation) -> Iterable[str]:
    yield from _scopes(invocation)
    yield from _pools(invocation)
    yield from _subnets(invocation)


def _tokens(invocation: Invocation) -> Iterable[str]:
    from allotment.model.grants import ListTokens

    page = invocation.ask(ListTokens(live=True, limit=PAGE_SIZE_MAX))
    return [token.name for token in page.items]


def _actors(invocation: Invocation) -> Iterable[str]:
    return [f"token:{name}" for name in _tokens(invocation)]


scopes = _suggesting(_scopes)
tokens = _suggesting(_tokens)
actors = _suggesting(_actors)
projects = _suggesting(_projects)
pools = _suggesting(_pools)
subnets = _suggesting(_subnets)
containers = _suggesting(_containers)
