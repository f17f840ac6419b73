"""Rules for text that people and programs give: names, identifiers, hostnames, tags, descriptions.

Invariant: text that passed its rule can be printed on one line (a description: in a block) without
forging another line, and no name can be mistaken for an id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from allotment.errors import InvalidValue

Fault = tuple[Callable[[str], object], str]
"""A test that is true of faulty text, and the rule such text breaks."""


def text_within(value: object, field: str, length_max: int) -> str:
    """The value as text of at most `length_max` characters.

    Raises InvalidValue, naming the field; what is not text is named by its type only, since
    printing a stranger's object may be costly or fail.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise InvalidValue(field, f"<{kind}>", f"it must be text, not {kind}")
    if len(value) > length_max:
        shown = value[:length_max] + "..."
        raise InvalidValue(field, shown, f"it is longer than {length_max} characters")
    return value


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of text must satisfy; put it into `Annotated[str, RULE]`."""

    name: str
    length_min: int
    length_max: int
    faults: tuple[Fault, ...] = ()

    def check(self, value: object, field: str) -> None:
        """Raise InvalidValue, naming the field and the broken rule, unless `value` obeys."""
        text = text_within(value, field, self.length_max)
        if len(text) < self.length_min:
            raise InvalidValue(field, text, "it must not be empty")
        for is_faulty, rule in self.faults:
            if is_faulty(text):
                raise InvalidValue(field, text, rule)


def _is_uuid(text: str) -> bool:
    if len(text) < 32:
        return False
    try:
        UUID(text)
    except ValueError:
        return False
    return True


_UNPRINTABLE: Fault = (
    lambda text: not text.isprintable(),
    "line breaks, control, invisible and text-direction characters are refused",
)
_BLANK_END: Fault = (lambda text: text != text.strip(), "it begins or ends with a blank")
_LIKE_AN_ID: Fault = (_is_uuid, "it reads as a UUID, and would be mistaken for an id")
_COMMA: Fault = (lambda text: "," in text, "a comma separates tags; it cannot be part of one")
_NOT_VISIBLE: Fault = (
    re.compile(r"[^\x21-\x7e]").search,
    "only visible ASCII characters are allowed, no blanks",
)
_CONTROL: Fault = (
    re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]").search,
    "control characters other than newline and tab are refused",
)
_HOSTNAME_FAULTS: tuple[Fault, ...] = (
    (lambda text: text.endswith("."), "write the hostname without the dot at its end"),
    (
        re.compile(r"[^A-Za-z0-9.-]").search,
        "only ASCII letters, digits, hyphens and dots are allowed (no underscore)",
    ),
    (re.compile(r"\A\.|\.\.").search, "it has an empty label"),
    (re.compile(r"[^.]{64}").search, "a label is longer than 63 characters"),
    (re.compile(r"(?:\A|\.)-|-(?:\.|\Z)").search, "a label begins or ends with a hyphen"),
    (re.compile(r"\A[0-9]+(?:\.[0-9]+)+\Z").search, "it reads as an address, not as a hostname"),
)

NAME = Rule("name", 1, 255, (_UNPRINTABLE, _BLANK_END, _LIKE_AN_ID))
PROJECT_NAME = Rule("project name", 1, 255, (_UNPRINTABLE, _BLANK_END, _LIKE_AN_ID))
IDENTIFIER = Rule("identifier", 1, 255, (_UNPRINTABLE,))
ACTOR = Rule("actor", 1, 300, (_UNPRINTABLE, _BLANK_END))
IDEMPOTENCY_KEY = Rule("idempotency key", 1, 255, (_NOT_VISIBLE,))
HOSTNAME = Rule("hostname", 1, 253, _HOSTNAME_FAULTS)
TAG = Rule("tag", 1, 64, (_UNPRINTABLE, _BLANK_END, _COMMA))
DESCRIPTION = Rule("description", 0, 4096, (_CONTROL,))
REFERENCE = Rule("reference", 1, 300, (_UNPRINTABLE,))

Name = Annotated[str, NAME]
ProjectName = Annotated[str, PROJECT_NAME]
Identifier = Annotated[str, IDENTIFIER]
ActorName = Annotated[str, ACTOR]
IdempotencyKey = Annotated[str, IDEMPOTENCY_KEY]
Hostname = Annotated[str, HOSTNAME]
Tag = Annotated[str, TAG]
Description = Annotated[str, DESCRIPTION]
Reference = Annotated[str, REFERENCE]
