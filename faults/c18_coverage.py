"""C18: which branches of the core the tests take, on each database by itself.

Invariant: a branch that only the tests of one database take is open on the other; the tests that
need no database count for both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from faults.record import Record
from faults.stage import ROOT

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"share_percent": 100, "only": "", "examples": 40},
    "long": {"share_percent": 100, "only": "", "examples": 300},
}
CORE = (
    "*/allotment/desk.py",
    "*/allotment/teller.py",
    "*/allotment/reception.py",
    "*/allotment/errors/*",
    "*/allotment/engine/*",
    "*/allotment/model/*",
    "*/allotment/operations/*",
)
# A pool of every size (test_exhaustive.py) takes the branches that the others take, and minutes.
TESTS = (
    "--ignore=tests/conformance/test_exhaustive.py",
    "tests/unit",
    "tests/conformance",
    "tests/model",
    "tests/house/test_access.py",
    "tests/access/test_faults.py",
)
# Which tests are not asked: those of the other database, races, and what takes minutes.
DATABASES = {
    "sqlite": ("-m", "not long and not races and not postgres"),
    "postgresql": ("-m", "not long and not races", "-k", "not sqlite"),
}
# What the other database alone can need, beside what is the core's.
OF_ITS_OWN = {
    "sqlite": ("*/allotment/store/sqlite*.py",),
    "postgresql": ("*/allotment/store/postgres*.py",),
}
OPEN_SHOWN_MAX = 40
HANGS = "faulthandler_timeout=14400"


def run(record: Record, folder: Path) -> None:
    """The tests twice, measured; then every file of the core."""
    for database in DATABASES:
        if record.options.only in ("", database):
            _weigh(record, database, _measured(record, folder, database))
            record.counts["databases"] += 1
    record.need({"databases": 1 if record.options.only else len(DATABASES)})


# Any: JSON, as the library writes it.
def _measured(record: Record, folder: Path, database: str) -> dict[str, Any]:
    place = folder / database
    place.mkdir()
    measure = [sys.executable, "-m", "coverage"]
    where = f"--data-file={place}/measured"
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "-o", HANGS]
    os.environ["ALLOTMENT_EXAMPLES"] = str(record.options.examples)
    words += [*DATABASES[database], f"--hypothesis-seed={record.seed}", *TESTS]
    done = _ran([*measure, "run", where, *words])
    if done.returncode != 0:
        record.findings.append(f"T1 the tests on {database}: {done.stdout[-1500:]}")
    _ran([*measure, "combine", "--quiet", where, str(place)])
    _ran([*measure, "json", "--quiet", where, "-o", str(place / "told.json")])
    told: dict[str, Any] = json.loads((place / "told.json").read_text())["files"]
    return told


def _ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )


def _weigh(record: Record, database: str, files: dict[str, Any]) -> None:
    """How many branches and lines there are, and which of them nobody took."""
    wanted = (*CORE, *OF_ITS_OWN[database])
    every = taken = 0
    left: list[str] = []
    for name, told in sorted(files.items()):
        if not any(fnmatch(f"/{name}", pattern) for pattern in wanted):
            continue
        summary = told["summary"]
        every += summary["num_branches"] + summary["num_statements"]
        taken += summary["covered_branches"] + summary["covered_lines"]
        left += [f"{name}:{line}" for line in told["missing_lines"]]
        left += [f"{name}:{start} to {end}" for start, end in told["missing_branches"]]
    share = 100 * taken / max(1, every)
    record.counts[f"{database}: lines and branches"] = every
    record.counts[f"{database}: taken"] = taken
    record.notes[f"{database}: taken, %"] = round(share, 2)
    where = Counter(place.partition(":")[0] for place in left)
    record.notes[f"{database}: open, by file"] = dict(where.most_common())
    record.notes[f"{database}: open"] = left[:OPEN_SHOWN_MAX]
    if share < record.options.share_percent:
        found = f"{share:.2f} % of the core on {database}, {len(left)} places are open"
        record.findings.append(f"B1 {found}")
