"""Whether a host is this machine: where plain HTTP shows nothing to anybody else.

Invariant: it is decided by the name or address as it is written; nothing is resolved.
"""

from __future__ import annotations

from typing import Final

from allotment.errors import InvalidValue
from allotment.model.address import parse_address

_V4: Final = range(127 << 24, 128 << 24)
_V6: Final = 1


def is_loopback(host: str) -> bool:
    """Whether a host is `localhost`, within 127.0.0.0/8, or ::1 (RFC 1122, RFC 4291)."""
    if host == "localhost":
        return True
    try:
        address = parse_address(host)
    except InvalidValue:
        return False
    return address.value in _V4 if address.family == 4 else address.value == _V6
