"""C11, C12 and C16: campaigns that are tests, at the sizes they have here.

Invariant: what runs is the suite itself; its own verdict is this one's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults.record import Record
from faults.stage import ROOT

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"examples": 0, "only": ""},
    "long": {"examples": 5_000, "only": ""},
}
PATHS = {
    "c11": ["tests/model", "tests/conformance/test_exhaustive.py"],
    "c12": ["tests/access", "tests/house/test_access.py", "tests/house/test_access_rules.py"],
    "c16": ["tests/conformance/audit", "tests/unit/test_audit_chain.py"],
}
TESTS_MIN = 20
HANGS = 14_400
"""Seconds after which a test hangs: a campaign may share its machine with others."""
_COUNTED = re.compile(r"(\d+) (passed|failed|error|errors|skipped)\b")


def run(record: Record, folder: Path) -> None:
    """Run the suite; `examples` is how many each property is tried with, `only` picks tests."""
    environment = dict(os.environ)
    words = ["-n", "2", f"--hypothesis-seed={record.seed}", "-o", f"faulthandler_timeout={HANGS}"]
    if record.options.size == "gate":
        words += ["-m", "not long"]
    else:
        words += ["--hypothesis-profile=long"]
        if record.options.examples:
            environment["ALLOTMENT_EXAMPLES"] = str(record.options.examples)
    if record.options.only:
        words += ["-k", record.options.only, "-n", "0"]
    done = tested([*words, *PATHS[record.campaign]], environment)
    for number, what in _COUNTED.findall(done.stdout.splitlines()[-1] if done.stdout else ""):
        record.counts[f"tests {what}"] += int(number)
    if done.returncode != 0:
        record.findings.append(f"T1 {done.stdout[-3000:]}{done.stderr[-1000:]}")
    record.need({"tests passed": 1 if record.options.only else TESTS_MIN})


def tested(words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The tests of the house, run as they are; what they said."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
