"""What can differ between Neutron and the book, and why it does.

Invariant: every finding says what Neutron has, what the book has, and how that can come about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What differs."""

    ADDRESS_LEFT = "address-left"
    ADDRESS_MISSING = "address-missing"
    ADDRESS_OF_ANOTHER = "address-of-another"
    ADDRESS_WITHOUT_PORT = "address-without-port"
    SUBNET_LEFT = "subnet-left"
    SUBNET_MISSING = "subnet-missing"
    SUBNET_DIFFERS = "subnet-differs"
    POOL_LEFT = "pool-left"
    POOL_DIFFERS = "pool-differs"
    POOL_ELSEWHERE = "pool-elsewhere"
    NOT_VALID = "not-valid"


EXPLAINED = {
    Kind.ADDRESS_LEFT: "held in the book, used by no port: a process of Neutron's ended, or lost "
    "its commit, after the address was taken, or before it was released",
    Kind.ADDRESS_MISSING: "used by a port, not held in the book: it was given to the port past the "
    "driver, or released by hand",
    Kind.ADDRESS_OF_ANOTHER: "used by one port, held in the book for another: the other's request "
    "did not come to its end",
    Kind.ADDRESS_WITHOUT_PORT: "a row of Neutron's without a port: its bulk creation of ports did "
    "not come to its end; only Neutron's database can be mended",
    Kind.SUBNET_LEFT: "in the book, not in Neutron: its creation was not committed, or its removal "
    "was not completed",
    Kind.SUBNET_MISSING: "in Neutron, not in the book: it was made by another driver, or removed "
    "by hand",
    Kind.SUBNET_DIFFERS: "an update of one of the two was not committed",
    Kind.POOL_LEFT: "a subnet pool that Neutron does not have any more; it does not tell drivers",
    Kind.POOL_DIFFERS: "its prefixes were changed; the driver sees that with the next subnet of it",
    Kind.POOL_ELSEWHERE: "its address scope was changed in Neutron; the book cannot move a pool",
    Kind.NOT_VALID: "a row of Neutron's that breaks a rule",
}


class Fate(StrEnum):
    """What became of a finding."""

    FOUND = "found"
    YOUNG = "young"
    REPAIRED = "repaired"
    VANISHED = "vanished"
    KEPT = "kept"
    FAILED = "failed"


FATES = {
    Fate.FOUND: "--repair mends it",
    Fate.YOUNG: "it may be under way: look again later",
    Fate.REPAIRED: "mended",
    Fate.VANISHED: "it was gone when it was to be mended",
    Fate.KEPT: "somebody has to decide",
    Fate.FAILED: "it could not be mended",
}

Mend = Callable[[], bool]
"""Mends a finding; False: there was nothing to mend any more."""


@dataclass(slots=True)
class Finding:
    """One difference, and how to mend it; `young` is what may still be under way.

    Of one that could not be mended, `detail` and `code` are the error's.
    """

    kind: Kind
    subject: str
    neutron: str
    book: str
    mend: Mend | None = None
    young: bool = False
    fate: Fate = Fate.FOUND
    detail: str = ""
    code: str | None = None

    def plain(self) -> dict[str, Any]:  # Any: JSON values are of any type
        """As JSON has it."""
        return {
            "kind": self.kind.value,
            "subject": self.subject,
            "neutron": self.neutron,
            "book": self.book,
            "why": EXPLAINED[self.kind],
            "fate": self.fate.value,
            "detail": self.detail,
            "code": self.code,
        }
