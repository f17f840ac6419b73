"""Which server a person logged in to, kept in a file of their own.

Invariant: nobody else can read the file: it is made so, and refused otherwise; it is replaced as
a whole or not at all.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from allotment.errors import InvalidValue
from allotment.model import wire
from allotment.model.secret import Secret

_BYTES_MAX: Final = 64 << 10


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server, and the token to show there."""

    server: str
    token: Secret
    ca_file: str | None = None
    allow_plain_http: bool = False


def path() -> Path:
    """Where the login is kept."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "allotment" / "credentials.json"


def read() -> Login | None:
    """The login there is.

    Raises:
        InvalidValue: others could have read or written the file, or it holds something else.
    """
    file = path()
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidValue("credentials", file, f"it cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as stream:
        _check_rights(file, os.fstat(descriptor))
        raw = stream.read(_BYTES_MAX)
    try:
        return wire.decode(Login, raw)
    except InvalidValue:
        # Not chained: that error quotes the file.
        rule = "it holds no login: 'allotment login' writes it anew"
        raise InvalidValue("credentials", file, rule) from None


def _check_rights(file: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise InvalidValue("credentials", file, "it is not a file of yours")
    if found.st_mode & 0o077:
        rule = f"others may read or write it: revoke that token, then chmod 600 {file}"
        raise InvalidValue("credentials", file, rule)


def write(login: Login) -> Path:
    """Keep a login, in the place of the one before; where it is kept."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".credentials-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(wire.encode_revealing(login))
            stream.flush()
            os.fsync(descriptor)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
    return file


def remove() -> bool:
    """Forget the login; whether there was one."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True
