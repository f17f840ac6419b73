"""A scripted server, and a desk that talks to it without much patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import allotment
from allotment.client.patience import Patience
from scripted_server import ScriptedServer

TOKEN = "allot_canary_hunter2hunter2"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers as its script says."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def desk(server: ScriptedServer) -> Iterator[allotment.RemoteDesk]:
    """The desk of the scripted server."""
    patience = Patience(seconds=2, long_seconds=4, whole_book_seconds=4, first_seconds=0.3)
    with allotment.connect(server.url, token=TOKEN, patience=patience) as desk:
        yield desk
