"""NetBox's words as words of the book: tags, hostnames, descriptions.

Invariant: what does not obey the model's rule for such a word is left out and noted, never bent in
silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from allotment.doors.exchange.netbox_file import Described, Fixture, Link
from allotment.doors.exchange.report import Row
from allotment.errors import InvalidValue
from allotment.model.names import DESCRIPTION, HOSTNAME, TAG, Rule

USED: Final = "kept as a tag of what uses it"
TAGGED: Final = "it is kept as a tag of what it names, if that is imported"
NUMBERED: Final = "a type by number means nothing elsewhere: use 'dumpdata --natural-foreign'"
UNUSED: Final = "no prefix, range or address of the file uses it"


def obeys(rule: Rule, text: str) -> str:
    """What a text breaks of a rule; nothing when it obeys."""
    try:
        rule.check(text, rule.name)
    except InvalidValue as error:
        return str(error.facts["rule"])
    return ""


def description(row: Row, fields: Described, *more: str) -> str:
    """Description, further remarks, comments and custom fields, one below the other."""
    head = "; ".join(part for part in (fields.description, *more) if part)
    below = "\n".join(_custom_fields(fields.custom_field_data))
    text = "\n\n".join(part for part in (head, fields.comments, below) if part)
    text = text.replace("\r\n", "\n")
    fault = obeys(DESCRIPTION, text)
    if not fault:
        return text
    row.leave_out("description, comments and custom fields", text, fault)
    return ""


def _custom_fields(given: Any) -> Iterator[str]:  # Any: JSON values are of any type
    """The custom fields that say something, a line for each."""
    if isinstance(given, dict):
        for key, value in given.items():
            if value not in (None, "", [], {}):
                yield f"{key}: {value if isinstance(value, str) else json.dumps(value)}"


def hostname(row: Row, dns_name: str | None) -> str | None:
    """A host's name without the dot at its end."""
    text = (dns_name or "").removesuffix(".")
    fault = obeys(HOSTNAME, text) if text else ""
    if fault:
        row.leave_out("dns_name", dns_name, fault)
    return text if text and not fault else None


class TagSource:
    """Tags made of what an object links to; knows afterwards which links were used."""

    def __init__(self, fixture: Fixture) -> None:
        self._fixture = fixture
        self._used: set[tuple[str, str]] = set()
        self._own: dict[tuple[str, str], list[Link]] = {}
        for item in fixture.of("extras.taggeditem"):
            kind = item.fields.content_type
            if not isinstance(kind, list) or len(kind) != 2:
                item.row.leave_out("content_type", kind, NUMBERED)
                continue
            key = (".".join(map(str, kind)), str(item.fields.object_id))
            self._own.setdefault(key, []).append(item.fields.tag)

    def is_used(self, model: str, key: str) -> bool:
        """Whether a tag was made of that object."""
        return (model, key) in self._used

    def checked(self, row: Row, what: str, text: str) -> tuple[str, ...]:
        """The tag, if the rule for tags allows it."""
        fault = obeys(TAG, text)
        if fault:
            row.leave_out(what, text, fault)
            return ()
        return (text,)

    def linked(self, row: Row, lead: str, model: str, link: Link) -> tuple[str, ...]:
        """`lead:slug` of the object that a link means; by its key where it is not in the file."""
        if link is None:
            return ()
        item = self._fixture.get(model, link)
        if item is None:
            return self.checked(row, lead, f"{lead}:{link}")
        self._used.add((model, item.key))
        word = item.fields.vid if model == "ipam.vlan" else item.fields.slug or item.key
        return self.checked(row, lead, f"{lead}:{word}")

    def note(self, row: Row, key: str) -> None:
        """Leave out the tags of an object that has none here."""
        given = self._own.get((row.kind, key), [])
        if given:
            row.leave_out("tags", len(given), "address scopes and projects have no tags")

    def of(self, row: Row, model: str, key: str) -> tuple[str, ...]:
        """The tags that NetBox itself has put on an object."""
        found: list[str] = []
        for link in self._own.get((model, key), []):
            item = self._fixture.get("extras.tag", link)
            if item is None:
                row.leave_out("tag", link, "the tag is not in the file")
                continue
            self._used.add(("extras.tag", item.key))
            found += self.checked(row, "tag", item.fields.name or item.fields.slug or item.key)
        return tuple(found)
