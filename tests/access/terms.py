"""The words in which the oracle is asked: things, grants and requests, by plain names.

Invariant: nothing is decided here, and nothing here is the product's.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

ALL = "*"  # the installation


class Thing(NamedTuple):
    """A project, scope, pool, subnet, address, prefix, token, grant or denial."""

    kind: str
    inside: str | None = None  # of a token: who made it; of a grant or denial: what it is on
    project: str | None = None


class Grant(NamedTuple):
    """A role on something, or the denial of one."""

    role: str
    on: str
    deny: bool = False
    until: float = inf


class Request(NamedTuple):
    """What somebody wants to do."""

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
