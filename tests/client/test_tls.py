"""A server is believed when its certificate says who it is, and nobody else is."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import allotment
from allotment.errors import Misconfigured
from allotment.model.queries import ListProjects
from certificates import certify

heard: list[str] = []


class Nothing(BaseHTTPRequestHandler):
    """Answers an empty page to everything."""

    def do_GET(self) -> None:
        heard.append(self.path)
        body = b'{"items": [], "next": null}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["127.0.0.1", "127.0.0.2"], ids=["its own name", "another's name"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path, bool]]:
    """A server over TLS at 127.0.0.1: its URL, its certificate, and whether that is its own."""
    certificate = certify(tmp_path, request.param)
    server = HTTPServer(("127.0.0.1", 0), Nothing)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    heard.clear()
    yield f"https://127.0.0.1:{server.server_port}", certificate, request.param == "127.0.0.1"
    server.shutdown()
    server.server_close()


def test_a_server_is_believed_by_a_trusted_certificate_of_its_own_name_only(
    secured: tuple[str, Path, bool],
) -> None:
    url, certificate, is_its_own = secured
    with (
        allotment.connect(url, token="t") as desk,
        pytest.raises(Misconfigured, match="not trusted"),
    ):
        desk.ask(ListProjects(), desk.actor)
    assert heard == [], "not even the token was sent"
    with allotment.connect(url, token="t", ca_file=str(certificate)) as desk:
        if is_its_own:
            assert desk.ask(ListProjects(), desk.actor).items == ()
        else:
            with pytest.raises(Misconfigured, match="not trusted"):
                desk.ask(ListProjects(), desk.actor)
    assert len(heard) == int(is_its_own)
