"""What each error of Allotment's means to Neutron: the one table of this door.

Invariant: every code has a verdict for addresses and one for subnets; Neutron is told to ask again
only where asking again cannot do anything twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from allotment.errors import AllotmentError


class Verdict(StrEnum):
    """What Neutron is told."""

    AGAIN = "the whole request of Neutron's is tried again"
    SUBNET_GONE = "there is no such subnet"
    TAKEN = "the address is in use"
    BAD_ADDRESS = "the address does not belong to the subnet"
    FULL = "no address is left"
    BAD_SUBNET = "the subnet is not valid"
    NO_ROOM = "the subnet pool has no room for it"
    QUOTA = "the project may have no more"
    UNAVAILABLE = "the book cannot serve now"
    REFUSED = "the book does not let the driver in"
    BROKEN = "something happened that must not"


class Verdicts(NamedTuple):
    """What an error means when an address was asked for, and when a subnet was."""

    address: Verdict
    subnet: Verdict


def _both(verdict: Verdict) -> Verdicts:
    return Verdicts(verdict, verdict)


_AGAIN: Final = _both(Verdict.AGAIN)
_UNAVAILABLE: Final = _both(Verdict.UNAVAILABLE)
_BROKEN: Final = _both(Verdict.BROKEN)

VERDICTS: Final[Mapping[str, Verdicts]] = {
    "address-taken": Verdicts(Verdict.TAKEN, Verdict.BAD_SUBNET),
    "already-exists": Verdicts(Verdict.BROKEN, Verdict.BAD_SUBNET),
    "ambiguous": _BROKEN,  # two subnets of the book have the name of one of Neutron's
    "bug": _BROKEN,
    "busy": _AGAIN,
    "commit-unknown": _AGAIN,  # an identifier, a name or a key finds what was done
    "constraint-failed": _BROKEN,
    "deadline-exceeded": _UNAVAILABLE,  # its time was spent: not twenty times more
    "deadlock": _AGAIN,
    "forbidden": _both(Verdict.REFUSED),
    "idempotency-mismatch": _BROKEN,
    "identifier-taken": Verdicts(Verdict.TAKEN, Verdict.BAD_SUBNET),
    "in-use": Verdicts(Verdict.BROKEN, Verdict.BAD_SUBNET),
    "invalid-value": Verdicts(Verdict.BAD_ADDRESS, Verdict.BAD_SUBNET),
    "misconfigured": _UNAVAILABLE,
    "not-found": _both(Verdict.SUBNET_GONE),
    "not-primary": _AGAIN,
    "operation-fenced": _AGAIN,  # the next attempt has a new key
    "overlap": Verdicts(Verdict.BROKEN, Verdict.NO_ROOM),
    "overloaded": _AGAIN,
    "pool-exhausted": Verdicts(Verdict.FULL, Verdict.NO_ROOM),
    "quota-exceeded": _both(Verdict.QUOTA),
    "rate-limited": _AGAIN,
    "schema-mismatch": _UNAVAILABLE,
    "serialization": _AGAIN,
    "stale-allocation": Verdicts(Verdict.AGAIN, Verdict.BROKEN),  # the next attempt looks anew
    "store-corrupt": _UNAVAILABLE,
    "store-error": _BROKEN,
    "store-full": _UNAVAILABLE,
    "store-unavailable": _AGAIN,
    "too-large": _BROKEN,
    "unauthenticated": _both(Verdict.REFUSED),
    "unexpected": _BROKEN,
    "version-mismatch": _AGAIN,  # likewise
    "version-required": _BROKEN,
}


def verdicts_on(error: AllotmentError) -> Verdicts:
    """What an error means; one of another program's, which has no code here, is unforeseen."""
    return VERDICTS.get(error.code, _BROKEN)
