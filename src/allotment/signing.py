"""Signatures of the audit's anchors: Ed25519, with a key of the installation.

Invariant: the private key is read from its file and is in nothing that can be printed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Final

from allotment.errors import InvalidValue
from allotment.model.events import Anchor

FIELD: Final = "audit key file"
_KEY = "openssl genpkey -algorithm ed25519 makes such a file"
_PUBLIC = "openssl pkey -in KEYFILE -pubout makes such a file"


def signing_key(path: Path) -> Callable[[bytes], bytes]:
    """What signs with the private key in a PEM file.

    Raises:
        InvalidValue: there is no Ed25519 key in that file, or no library to use it.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise _no_library(path) from error
    try:
        key = load_pem_private_key(_read(path, _KEY), None)
    except (ValueError, TypeError):
        # Not chained: what the library says may quote the file.
        raise InvalidValue(FIELD, str(path), _KEY) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidValue(FIELD, str(path), _KEY)
    return key.sign


def is_signed(anchor: Anchor, public_key: Path) -> bool:
    """Whether an anchor is as the holder of the private key signed it; an unsigned one is not.

    Raises:
        InvalidValue: there is no Ed25519 public key in that file, or no library to use it.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise _no_library(public_key) from error
    try:
        key = load_pem_public_key(_read(public_key, _PUBLIC))
    except ValueError as error:
        raise InvalidValue(FIELD, str(public_key), _PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidValue(FIELD, str(public_key), _PUBLIC)
    try:
        key.verify(base64.b64decode(anchor.signature or "", validate=True), anchor.signed_bytes())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(FIELD, str(path), f"it cannot be read; {hint}") from error


def _no_library(path: Path) -> InvalidValue:
    return InvalidValue(FIELD, str(path), "this needs the extra: pip install 'allotment[signing]'")
