"""Neutron's configuration file, read without Neutron: where its database is, and our section.

Invariant: what the driver would take from the file, the command line takes, too; what the file
holds is never printed.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from allotment.doors.neutron.plan import Plan, Unpooled
from allotment.errors import InvalidValue
from allotment.model.results import AddressPlacement, PrefixPlacement

_SECTION: Final = "allotment"
T = TypeVar("T")


class NeutronConf(NamedTuple):
    """What one installation of Neutron says: its database, the book's, and how it is laid out."""

    neutron_database: str
    book_database: str | None
    server: str | None
    plan: Plan


def read_source(source: str) -> NeutronConf:
    """What is meant by a database URL, or by the path of Neutron's configuration file.

    Raises:
        InvalidValue: there is no such file, or it does not say where the database is.
    """
    if "://" in source:
        return NeutronConf(source, None, None, Plan())
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(Path(source).read_text("utf-8"), source)
    except (OSError, UnicodeDecodeError) as error:
        rule = "no such file can be read: give neutron.conf, or the URL of Neutron's database"
        raise InvalidValue("source", source, rule) from error
    except configparser.Error:
        # Not chained: that error quotes the file.
        raise InvalidValue("source", source, "it is no configuration file") from None
    database = parser.get("database", "connection", fallback=None)
    if not database:
        raise InvalidValue("source", source, "it has no 'connection' in the section [database]")
    own: Mapping[str, str | None] = parser[_SECTION] if parser.has_section(_SECTION) else {}
    return NeutronConf(database, own.get("database"), own.get("server"), _plan(own))


def _plan(own: Mapping[str, str | None]) -> Plan:
    usual = Plan()
    return Plan(
        unpooled=_said(own, "unpooled_subnets", Unpooled, usual.unpooled),
        scopes=_pairs(own.get("scopes") or ""),
        project=own.get("project") or None,
        placement=_said(own, "placement", AddressPlacement, usual.placement),
        prefix_placement=_said(own, "prefix_placement", PrefixPlacement, usual.prefix_placement),
        quarantine_seconds=_said(own, "quarantine_seconds", int, usual.quarantine_seconds),
    )


def _said(own: Mapping[str, str | None], name: str, kind: type[T], usual: T) -> T:
    text = own.get(name)
    if text is None:
        return usual
    try:
        return kind(text)  # type: ignore[call-arg]  # enumerations and int are made from text
    except ValueError as error:
        raise InvalidValue(name, text, f"it is not valid in the section [{_SECTION}]") from error


def _pairs(text: str) -> dict[str, str]:
    """`ID:NAME,ID:NAME` as the driver's option of pairs is written."""
    found = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        key, colon, value = pair.partition(":")
        if not colon:
            raise InvalidValue("scopes", pair, "write ID:NAME, and commas between")
        found[key.strip()] = value.strip()
    return found
