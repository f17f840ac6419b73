"""The service does what its description says, whatever is asked and whoever asks: schemathesis.

Invariant: the service is a real one, on a real socket; the book holds what the examples name.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from allotment import Prefix
from allotment.doors.rest.settings import Rates, Settings
from allotment.model.access import Actor, Role, local_owner
from allotment.model.commands import (
    AllocateAddress,
    Batch,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.grants import CreateGrant, CreateToken, TargetKind
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
    settings = Settings(log_requests=False, rates=Rates(failures=None))  # many are refused here
    server = LiveServer(f"sqlite:///{path}", settings)
    plan = (
        CreateProject(name="payments"),
        CreateAddressScope(name="blue"),
        CreateSubnetPool(name="corp", scope="blue", prefixes=(Prefix("10.0.0.0/8"),)),
        CreateSubnet(name="office", scope="blue", prefix=Prefix("10.1.0.0/24")),
        AllocateAddress(subnet="office", hostname="web-1", identifier="vm-17", owner="payments"),
    )
    server.desk.do(Batch(commands=plan), local_owner("local:test"))
    yield server
    server.close()


def token_of(service: LiveServer, role: Role | None, name: str) -> str:
    """A new token with a role on everything, or with none."""
    me: Actor = local_owner("local:test")
    made = service.desk.do(CreateToken(name=name), me)
    if role is not None:
        service.desk.do(
            CreateGrant(actor=f"token:{name}", role=role, target=TargetKind.INSTALLATION), me
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
