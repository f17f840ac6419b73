"""C11, C12 and C16: campaigns that are tests, at the sizes they have here.

Invariant: what runs is the suite itself; its own verdict is this one's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from faults.record import Record
from faults.stage import ROOT

SIZES: dict[str, dict[str, Any]] = {"gate": {"examples": 0}, "long": {"examples": 5_000}}
PATHS = {
    "c11": ["tests/model", "tests/conformance/test_exhaustive.py"],
    "c12": ["tests/access", "tests/house/test_access.py", "tests/house/test_access_rules.py"],
    "c16": ["tests/conformance/audit", "tests/unit/test_audit_chain.py"],
}
_COUNTED = re.compile(r"(\d+) (passed|failed|error|errors|skipped)\b")


def run(record: Record, folder: Path) -> None:
    """Run the suite; `examples` is how many each property of the model is tried with."""
    environment = dict(os.environ)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2"]
    if record.options.size == "gate":
        command += ["-m", "not long"]
    else:
        command += ["--hypothesis-profile=long", "-o", "faulthandler_timeout=14400"]
        if record.options.examples:
            environment["ALLOTMENT_EXAMPLES"] = str(record.options.examples)
    done = subprocess.run(
        [*command, f"--hypothesis-seed={record.seed}", *PATHS[record.campaign]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    for number, what in _COUNTED.findall(done.stdout.splitlines()[-1] if done.stdout else ""):
        record.counts[f"tests {what}"] += int(number)
    if done.returncode != 0:
        record.findings.append(f"T1 {done.stdout[-3000:]}{done.stderr[-1000:]}")
    record.need({"tests passed": 20})
