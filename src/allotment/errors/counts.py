"""Counts as people say them.

Invariant: one of something is told in the singular, everywhere.
"""

from __future__ import annotations


def counted(count: int, nouns: str) -> str:
    """So many of something: `1 subnet`, `2 subnets`, `1 address`."""
    if count == 1:
        long = nouns.endswith(("sses", "xes"))
        nouns = nouns.removesuffix("es") if long else nouns.removesuffix("s")
    return f"{count:,} {nouns}"
