"""The section `[allotment]` of Neutron's configuration.

Invariant: what may hold a password or a token is marked secret, so that it is in no log; exactly
one book is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from oslo_config import cfg

from allotment.choice import AtServer, Choice, InDatabase, token_in
from allotment.config import parse_url
from allotment.doors.neutron.plan import Plan, Unpooled
from allotment.errors import InvalidValue
from allotment.model.results import AddressPlacement, PrefixPlacement
from allotment.model.secret import Secret

SECTION: Final = "allotment"

OPTIONS: Final = (
    cfg.StrOpt(
        "database",
        secret=True,
        help="Where the book is: postgresql://user@host/name, or sqlite:///path for a single "
        "node. Give this, or server. Passwords belong in the file that PGPASSFILE names.",
    ),
    cfg.URIOpt(
        "server",
        schemes=["https", "http"],
        help="The Allotment service that keeps the book: https://host. Give this, or database.",
    ),
    cfg.StrOpt("token", secret=True, help="The token for the service; better give token_file."),
    cfg.StrOpt("token_file", help="A file that holds the token for the service, and nothing else."),
    cfg.StrOpt("ca_file", help="Certificates (PEM) to trust instead of the system's own."),
    cfg.BoolOpt(
        "allow_plain_http",
        default=False,
        help="Talk to a service on another machine without TLS, for everybody on the way to read.",
    ),
    cfg.StrOpt(
        "actor",
        default="local:neutron",
        help="Whom the book's history names, where the book is in a database. (At a service it is "
        "the token.)",
    ),
    cfg.StrOpt(
        "unpooled_subnets",
        default=Unpooled.NETWORK.value,
        choices=[one.value for one in Unpooled],
        help="In which address scope of the book a subnet of no subnet pool stands: in its "
        "network's, where no two may overlap, or in one of its own.",
    ),
    cfg.DictOpt(
        "scopes",
        default={},
        help="Address scopes of the book that you keep yourself, as ID:NAME: the id is of an "
        "address scope, of a subnet pool without one, or of a network of Neutron's.",
    ),
    cfg.StrOpt(
        "project",
        help="The project of the book that owns the address scopes that are made for Neutron. A "
        "token needs to be its administrator only; without it, of the installation.",
    ),
    cfg.StrOpt(
        "placement",
        default=AddressPlacement.LOWEST.value,
        choices=[one.value for one in AddressPlacement],
        help="How the address of a port is chosen, where Neutron asks for any.",
    ),
    cfg.StrOpt(
        "prefix_placement",
        default=PrefixPlacement.BEST_FIT.value,
        choices=[one.value for one in PrefixPlacement],
        help="How the prefix of a subnet is chosen, where Neutron asks a subnet pool for any.",
    ),
    cfg.IntOpt(
        "quarantine_seconds",
        default=0,
        min=0,
        max=31_536_000,
        help="How long a released address rests before it is handed out again.",
    ),
)


def list_opts() -> list[tuple[str, list[Any]]]:  # Any: an option of oslo.config's
    """The options, for Neutron's generator of sample configuration files."""
    return [(SECTION, list(OPTIONS))]


def register(conf: Any) -> Any:  # Any: oslo.config is not typed
    """The section of a configuration, made known to it if need be."""
    conf.register_opts(OPTIONS, SECTION)
    return conf[SECTION]


def said_in(section: Any) -> tuple[object, ...]:  # Any: as above
    """All that the section says: as long as it is the same, so is the book."""
    return tuple(section[option.dest] for option in OPTIONS)


def choice_of(section: Any) -> Choice:  # Any: as above
    """The book that the section names.

    Raises:
        InvalidValue: it names none, or two, or its service without a token.
    """
    database, server = section.database, section.server
    if (database is None) == (server is None):
        rule = f"give one of database and server in the section [{SECTION}]"
        raise InvalidValue("server", server or "(none)", rule)
    if database is not None:
        return InDatabase(parse_url(database))
    return AtServer(server, _token(section), section.ca_file, section.allow_plain_http)


def _token(section: Any) -> Secret:  # Any: as above
    if (section.token is None) == (section.token_file is None):
        rule = f"give one of token and token_file in the section [{SECTION}]"
        raise InvalidValue("token_file", section.token_file or "(none)", rule)
    return Secret(section.token) if section.token is not None else token_in(section.token_file)


def plan_of(section: Any) -> Plan:  # Any: as above
    """How Neutron's address space is laid out, by the section."""
    scopes: Mapping[str, str] = dict(section.scopes)
    return Plan(
        unpooled=Unpooled(section.unpooled_subnets),
        scopes=scopes,
        project=section.project,
        placement=AddressPlacement(section.placement),
        prefix_placement=PrefixPlacement(section.prefix_placement),
        quarantine_seconds=section.quarantine_seconds,
    )
