"""The short campaigns: what fails is broken on purpose, over and over, and nothing is lost.

Invariant: each runs as everybody runs it, by its own command, and tells its verdict by the code it
ends with; the seed is printed, so that a red one can be run again.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from faults import suites

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 550

pytestmark = pytest.mark.postgres


def campaign(*words: str) -> str:
    """Run a campaign; what it printed, when it was green."""
    seed = str(secrets.randbelow(1_000_000))
    command = [sys.executable, "-m", "faults", *words, "--seed", seed]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except BaseException:
            process.terminate()
            raise
    assert process.returncode == 0, told[-6000:]
    return told


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("c2", id="the service is killed"),
        pytest.param("c3", id="programs on SQLite are killed"),
        pytest.param("c4", id="every database call fails"),
        pytest.param("c5", id="threads run in any order"),
        pytest.param("c10", id="one order explains every answer"),
    ],
)
def test_nothing_is_lost_and_nothing_given_twice_when(name: str) -> None:
    assert "verdict    green" in campaign(name, "--size", "gate")


@pytest.mark.parametrize("sabotage", ["asynchronous", "audit-apart", "unfiltered-feed"])
def test_sabotage_is_noticed(sabotage: str) -> None:
    campaign("controls", "--only", sabotage)


@pytest.mark.parametrize(
    ("name", "some"),
    [("c11", "edge and memory"), ("c12", "role_it_needs"), ("c16", "changed_places")],
)
def test_a_campaign_that_is_a_suite_runs_it(name: str, some: str) -> None:
    """Its own command, on a few of its tests: all of them run with the tests anyway."""
    assert "verdict    green" in campaign(name, "--only", some)


def test_the_suites_of_campaigns_are_among_the_tests() -> None:
    """At their gate size, which is what runs with the tests: nothing of it is left out there."""
    paths = [path for paths in suites.PATHS.values() for path in paths]
    assert all((ROOT / path).exists() for path in paths)
    assert all(path.startswith("tests/") for path in paths)
