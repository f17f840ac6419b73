"""An error as it was seen, and the statements that provoke one.

Invariant: of every error the driver's own is chained, and no secret is told.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from allotment import LocalDesk
from allotment.errors import Phase, StoreError
from allotment.model.access import Actor
from allotment.model.commands import CreateProject
from allotment.model.queries import CheckBook
from allotment.store.session import Read

SECRET = "hunter2"
PROJECT = (
    "INSERT INTO project (id, name, description, created_at, version)"
    " VALUES (:id, 'first', '', 0, 1)"
)


@dataclass
class Seen:
    """An error, and what there is to say about every error."""

    error: StoreError

    def assert_is(self, kind: type[StoreError], state: str | None, phase: Phase) -> None:
        assert type(self.error) is kind, repr(self.error)
        assert (self.error.state, self.error.phase) == (state, phase)
        assert self.error.__cause__ is not None, "the driver's own error is chained"
        assert SECRET not in str(self.error)
        assert SECRET not in str(self.error.facts)


def seen(raised: pytest.ExceptionInfo[StoreError]) -> Seen:
    return Seen(raised.value)


def new_id(tx: Read) -> Any:
    return secrets.token_hex(16) if tx.dialect.concurrent else secrets.token_bytes(16)


def run(tx: Read, statement: str, **params: object) -> Any:
    return tx.run(text(statement), params)


def still_serves(desk: LocalDesk, me: Actor) -> None:
    """That the connection was left fit for the next one, and the book as it was."""
    name = f"after-{secrets.token_hex(4)}"
    assert desk.do(CreateProject(name=name), me).name == name
    assert desk.ask(CheckBook(), me).clean
