"""The command line on PostgreSQL: what differs from a file of one's own."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from allotment.doors.cli.app import root


@pytest.fixture
def on_postgres(blank_postgres_url: str) -> Any:
    def run(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(
            root, ["--database", blank_postgres_url, "--output", "json", *words]
        )
        assert result.exit_code == code, result.output
        return json.loads(result.stdout if code == 0 else result.stderr)

    return run


def test_a_database_without_a_book_is_refused_with_the_command_to_run(on_postgres: Any) -> None:
    fault = on_postgres("scope", "create", "corp", code=7)
    assert fault["code"] == "schema-mismatch"
    assert "allotment init" in fault["message"]
    on_postgres("init")
    assert on_postgres("scope", "create", "corp")["name"] == "corp"


def test_every_change_is_keyed_so_that_a_lost_commit_can_be_found(
    on_postgres: Any, blank_postgres_url: str
) -> None:
    on_postgres("init")
    on_postgres("scope", "create", "corp")
    on_postgres("subnet", "create", "10.0.0.0/24", "--name", "web", "--key", "mine")
    on_postgres("allocate", "web")
    on_postgres("allocate", "web", "--count", "3")
    on_postgres("subnet", "update", "web", "--range", "10.0.0.9-10.0.0.99", "--tag", "t")
    assert on_postgres("release", "web", "10.0.0.2")["count"] == 1
    with psycopg.connect(blank_postgres_url) as connection:
        keys = [row[0] for row in connection.execute("SELECT key FROM idempotency")]
    assert len(keys) == 6
    assert [key for key in keys if not key.startswith("cli-")] == ["mine"]
    assert on_postgres("check")["clean"] is True
