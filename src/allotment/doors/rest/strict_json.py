"""JSON from strangers, read in one way only.

Invariant: what another reader could understand differently is refused: a name given twice, NaN, any
encoding but UTF-8.
"""

from __future__ import annotations

import json


def read_object(raw: bytes) -> dict[str, object]:
    """The JSON object that bytes are.

    Raises ValueError for anything else; its message repeats nothing of the bytes.
    """
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_each_name_once, parse_constant=_no_constant
        )
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("the JSON is not an object")
    return found


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("the JSON has a name twice in one object")
    return found


def _no_constant(_: str) -> object:
    raise ValueError("the JSON has a number that is none")
