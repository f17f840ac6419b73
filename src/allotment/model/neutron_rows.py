"""Rows of a Neutron database as they stand there, before anybody has judged them.

Invariant: a row holds text and numbers only; what is valid is decided by whoever reads it.
"""

from __future__ import annotations

from typing import NamedTuple


class ScopeRow(NamedTuple):
    """An address scope of Neutron's."""

    id: str
    name: str
    project_id: str | None


class PoolRow(NamedTuple):
    """A subnet pool of Neutron's, with its prefixes."""

    id: str
    name: str
    project_id: str | None
    address_scope_id: str | None
    default_length: int
    quota: int | None
    prefixes: tuple[str, ...]


class SubnetRow(NamedTuple):
    """A subnet of Neutron's, with its allocation pools as (first, last)."""

    id: str
    name: str
    project_id: str | None
    network_id: str
    pool_id: str | None
    prefix: str
    gateway: str | None
    pools: tuple[tuple[str, str], ...]


class AddressRow(NamedTuple):
    """An address that Neutron says is in use; without a port, nobody uses it."""

    address: str
    port_id: str | None
    mac: str | None
    device_owner: str | None
