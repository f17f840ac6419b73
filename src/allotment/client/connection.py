"""`connect`: from a URL and a token to a desk.

Invariant: nothing is sent before the first command or query.
"""

from __future__ import annotations

from allotment.client.patience import USUAL, Patience
from allotment.client.remote_desk import RemoteDesk
from allotment.client.server import parse_server
from allotment.client.transport import Transport
from allotment.model.secret import Secret


def connect(
    url: str,
    *,
    token: str | Secret,
    ca_file: str | None = None,
    allow_plain_http: bool = False,
    patience: Patience = USUAL,
) -> RemoteDesk:
    """The desk of the book that the server at a URL keeps.

    `ca_file`: the certificates (PEM) to trust instead of the system's own. `allow_plain_http`:
    talk to another machine without TLS, for everybody on the way to read.

    Raises:
        InvalidValue: the URL, the token or the file will not do.
    """
    server = parse_server(url, allow_plain_http=allow_plain_http)
    secret = token if isinstance(token, Secret) else Secret(token)
    return RemoteDesk(Transport(server, secret, ca_file), patience)
