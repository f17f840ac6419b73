"""Allotment: IP address management that never gives one address twice.

Invariant: everything a program needs to embed Allotment is named here, and nothing else is public.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allotment.model.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from allotment.bootstrap import local_owner as local_owner
    from allotment.bootstrap import open_book as open_book
    from allotment.client.connection import connect as connect
    from allotment.client.remote_desk import RemoteDesk as RemoteDesk
    from allotment.desk import Desk as Desk
    from allotment.desk import LocalDesk as LocalDesk
    from allotment.model.address import Address as Address
    from allotment.model.address_range import AddressRange as AddressRange
    from allotment.model.mac import Mac as Mac
    from allotment.model.prefix import Prefix as Prefix

_HOMES = {
    "open_book": "allotment.bootstrap",
    "local_owner": "allotment.bootstrap",
    "connect": "allotment.client.connection",
    "RemoteDesk": "allotment.client.remote_desk",
    "Desk": "allotment.desk",
    "LocalDesk": "allotment.desk",
    "Address": "allotment.model.address",
    "AddressRange": "allotment.model.address_range",
    "Mac": "allotment.model.mac",
    "Prefix": "allotment.model.prefix",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    """Import on first use: `allotment --version` must not wait for a database library."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'allotment' has no attribute {name!r}")
