"""Putting the house together: a URL becomes a desk.

Invariant: a book is created only where there was nothing, or when asked to; a book of another
version is refused with the command to run. What a server keeps is opened without any database.
"""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING

from allotment.errors import AlreadyExists, Misconfigured
from allotment.model.access import Actor, Role
from allotment.model.access import local_owner as _owner

if TYPE_CHECKING:
    from allotment.choice import AtServer, Choice
    from allotment.client.remote_desk import RemoteDesk
    from allotment.desk import Desk, LocalDesk
    from allotment.model.grants import Identity
    from allotment.model.secret import Secret
    from allotment.store.dialect import Dialect
    from allotment.store.neutron_tables import NeutronTables

FIRST_TOKEN = "bootstrap"  # noqa: S105 - a name
FIRST_TOKEN_SECONDS = 24 * 3600


def clock() -> int:
    """Now, in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def local_owner() -> Actor:
    """The person at this machine, as the owner of their own book."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        name = f"uid-{os.getuid()}"
    return _owner(f"local:{name}")


def open_book(
    database: str | None = None, *, create: bool = False, partitions: int | None = None
) -> LocalDesk:
    """Open the book of addresses at a database URL.

    `database`: `sqlite:///path`, `sqlite://` (in memory) or `postgresql://...`; None: what
    `ALLOTMENT_DATABASE` says, else a file in the user's data folder. A new SQLite file becomes
    a book by itself; any other database only with `create`, which also upgrades an older book.
    `partitions` puts its big tables into so many parts, on PostgreSQL, while nobody uses it.

    Raises:
        SchemaMismatch: the database holds no book, or one of another version.
        StoreUnavailable, Misconfigured: the database cannot be reached, or refuses us.
        InvalidValue: the URL is none, the file of the audit's key holds none, or the book cannot be
            put into so many partitions.
    """
    from allotment.config import audit_key_file, parse_url
    from allotment.desk import LocalDesk
    from allotment.signing import signing_key
    from allotment.store import upgrade
    from allotment.store.session import Store

    key_file = audit_key_file()
    sign = None if key_file is None else signing_key(key_file)
    dialect = _dialect(parse_url(database))
    try:
        upgrade.make_ready(dialect, create=create)
        if partitions is not None:
            upgrade.partition(dialect, partitions)
    except BaseException:
        dialect.engine.dispose()
        raise
    return LocalDesk(Store(dialect, clock, sign))


def open_desk(
    choice: Choice, *, create: bool = False, partitions: int | None = None, hurried: bool = False
) -> tuple[Desk, Actor]:
    """The desk of the book that is meant, and who asks there.

    `hurried`: somebody waits at a keyboard, and would rather have no answer than a late one.

    Raises:
        InvalidValue, AllotmentError: as `open_book` and `allotment.connect`.
    """
    from allotment.choice import InDatabase

    if isinstance(choice, InDatabase):
        return open_book(choice.url, create=create, partitions=partitions), local_owner()
    desk = _connected(choice, hurried=hurried)
    return desk, desk.actor


def open_neutron(database: str, *, snapshot: bool) -> NeutronTables:
    """The database of a Neutron, to be read only; `snapshot`: as of one moment.

    Raises:
        InvalidValue, Misconfigured, StoreUnavailable: as `store.neutron_tables.open_tables`.
    """
    from allotment.store.neutron_tables import open_tables

    return open_tables(database, snapshot=snapshot)


def log_in(choice: AtServer) -> Identity:
    """Find out that a server knows a token, and keep both for the next command lines.

    Raises:
        Unauthenticated: it does not; nothing was kept.
    """
    from allotment import credentials
    from allotment.client.server import parse_server
    from allotment.model.grants import WhoAmI

    with _connected(choice) as desk:
        identity = desk.ask(WhoAmI(), desk.actor)
    server = parse_server(choice.url, allow_plain_http=True).url
    ca_file = os.path.abspath(choice.ca_file) if choice.ca_file is not None else None
    credentials.write(
        credentials.Login(
            server=server,
            token=choice.token,
            ca_file=ca_file,
            allow_plain_http=choice.allow_plain_http,
        )
    )
    return identity


def _connected(choice: AtServer, *, hurried: bool = False) -> RemoteDesk:
    from allotment.client.connection import connect
    from allotment.client.patience import HURRIED, USUAL

    return connect(
        choice.url,
        token=choice.token,
        ca_file=choice.ca_file,
        allow_plain_http=choice.allow_plain_http,
        patience=HURRIED if hurried else USUAL,
    )


def first_token(desk: LocalDesk) -> Secret | None:
    """The token of a first administrator, for a book that has no token yet.

    Returns:
        Its text, to be shown once; None: there are tokens, or another process made the first.
    """
    from allotment.model.commands import Batch
    from allotment.model.grants import CreateGrant, CreateToken, ListTokens, NewToken, TargetKind

    owner = _owner("local:bootstrap")
    if desk.ask(ListTokens(limit=1), owner).items:
        return None
    make = CreateToken(
        name=FIRST_TOKEN,
        lifetime_seconds=FIRST_TOKEN_SECONDS,
        description="made at the first start: make others with it, then revoke it",
    )
    grant = CreateGrant(
        actor=f"token:{FIRST_TOKEN}", role=Role.ADMIN, target=TargetKind.INSTALLATION
    )
    try:
        made, _ = desk.do(Batch(commands=(make, grant)), owner)
    except AlreadyExists:
        return None
    assert isinstance(made, NewToken)
    return made.secret


def _dialect(url: str) -> Dialect:
    if url.startswith("sqlite"):
        from allotment.store.sqlite import SqliteDialect

        return SqliteDialect(url)
    try:
        from allotment.store.postgres import PostgresDialect
    except ImportError as error:
        raise Misconfigured(
            "PostgreSQL needs the extra: pip install 'allotment[postgres]'", phase="connect"
        ) from error
    return PostgresDialect(url)
