"""Which database, from what the caller or the environment says.

Invariant: a URL is understood here or refused with the forms there are; passwords are not shown.
"""

from __future__ import annotations

import os
from pathlib import Path

from allotment.errors import InvalidValue

VARIABLE = "ALLOTMENT_DATABASE"
AUDIT_KEY_VARIABLE = "ALLOTMENT_AUDIT_KEY_FILE"
_FORMS = "write sqlite:///path/to/file, sqlite:// (in memory) or postgresql://user@host/database"


def default_file() -> Path:
    """The book of this user, where no database is named."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "allotment" / "book.db"


def parse_url(database: str | None) -> str:
    """The URL of the database meant by a URL, by the environment, or by nobody.

    Raises:
        InvalidValue: the URL has none of the known forms.
    """
    url = database if database is not None else os.environ.get(VARIABLE)
    if not url:
        path = default_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{path}"
    scheme = url.partition("://")[0]
    if url in ("sqlite://", "sqlite:///:memory:"):
        return "sqlite://"
    if url.startswith("sqlite:///"):
        return _file(url, Path(url.removeprefix("sqlite:///")))
    if scheme == "postgres":
        return "postgresql" + url.removeprefix("postgres")
    if scheme == "postgresql":
        return url
    raise InvalidValue("database", _masked(url), _FORMS)


def _file(url: str, path: Path) -> str:
    if not path.parent.is_dir():
        raise InvalidValue("database", url, f"there is no folder {path.parent}; make it first")
    return url


def _masked(url: str) -> str:
    """What cannot be a password: neither what is before the host, nor a parameter."""
    scheme, found, rest = url.rpartition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}{found}{place}"


def audit_key_file() -> Path | None:
    """The file of the key that signs anchors of the audit, if there is one."""
    named = os.environ.get(AUDIT_KEY_VARIABLE)
    return Path(named) if named else None


def is_new(url: str) -> bool:
    """Whether opening this database would make a new book: a file that is not there, or memory."""
    path = url.removeprefix("sqlite://").removeprefix("/")
    return url.startswith("sqlite:") and not (path and Path(path).exists())
