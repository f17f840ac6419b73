"""The service does what its description says, whatever is asked and whoever asks: schemathesis.

Invariant: the service is a real one, on a real socket; the book holds what the examples name.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from allotment.model.access import Role
from allotment.model.grants import CreateGrant, CreateToken, TargetKind
from described_book import ME, PATIENT, describe
from live_server import LiveServer, make_book

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
)
LONG_SECONDS = 600
ROLES: list[Role | None] = [None, *Role]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A service whose book holds what the description's examples name."""
    path = tmp_path_factory.mktemp("described") / "book.db"
    make_book(path)
    server = LiveServer(f"sqlite:///{path}", PATIENT)
    describe(server.desk)
    yield server
    server.close()


def token_of(service: LiveServer, role: Role | None, name: str) -> str:
    """A new token with a role on everything, or with none."""
    made = service.desk.do(CreateToken(name=name), ME)
    if role is not None:
        service.desk.do(
            CreateGrant(actor=f"token:{name}", role=role, target=TargetKind.INSTALLATION), ME
        )
    return made.secret.reveal()


def run(service: LiveServer, token: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"]
    words += ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)]
    # One worker: with two, its own use of Python's compiler can fail ("AST constructor recursion
    # depth mismatch") on a busy machine.
    words += ["--phases", "examples,fuzzing", "--workers", "1", "--no-color", *options]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)


def judged(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert "Test cases:" in done.stdout, "something was asked"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "none")
def test_no_answer_differs_from_the_description(service: LiveServer, role: Role | None) -> None:
    token = token_of(service, role, f"short-{role or 'none'}")
    examples = "3" if role is Role.ADMIN else "1"
    judged(run(service, token, "--max-examples", examples, "--seed", "1"))


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "none")
def test_no_answer_differs_from_the_description_for_minutes(
    service: LiveServer, role: Role | None
) -> None:
    """Ten minutes over all roles, each time with other requests."""
    end = time.monotonic() + LONG_SECONDS / len(ROLES)
    turn = 0
    while turn == 0 or time.monotonic() < end:
        token = token_of(service, role, f"long-{role or 'none'}-{turn}")
        judged(run(service, token, "--max-examples", "50", "--seed", str(turn)))
        turn += 1
