"""What a resource may be called.

Invariant: a name that reads as a prefix is the resource's own, so a reference means one thing.
"""

from __future__ import annotations

from collections.abc import Sequence

from allotment.errors import InvalidValue
from allotment.model.prefix import Prefix
from allotment.store.directory import read_cidr


def check_name(name: str | None, own: Sequence[Prefix]) -> None:
    """Refuse a name that is some other resource's prefix.

    Raises:
        InvalidValue: the name reads as a prefix that is not one of `own`.
    """
    if name is None:
        return
    cidr = read_cidr(name)
    if cidr is not None and cidr not in own:
        raise InvalidValue("name", name, "a name that reads as a prefix must be its own prefix")
