#!/usr/bin/env python3
"""Run Neutron's own tests on our driver, and ours in Neutron: one command, a quarter of an hour.

It makes `.venv-neutron` from the list beside it (Neutron from PyPI, all of it pinned with hashes),
puts this Allotment into it, and runs, in this order: our tests on SQLite, on PostgreSQL and with
the book at a service, the base set of Neutron's API tests, and the further sets
(`api_sets.py`). Words choose among them:

    python tests/neutron/run.py                 all of it
    python tests/neutron/run.py own             our tests, on both databases and at a service
    python tests/neutron/run.py base further    Neutron's own
    python tests/neutron/run.py base -k ports   what it does not know goes to pytest

Invariant: Neutron's tests are run as they come out of its package; what cannot apply to a driver
that is not the reference is listed by name in `api_sets.py`, with the reason.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from api_sets import BASE, FURTHER, NOT_APPLICABLE, TestSet

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / ".venv-neutron"
REQUIREMENTS = HERE / "requirements.txt"
SETS = ("own", "base", "further")
ON = ("sqlite", "postgresql", "service")
WORKERS = min(os.cpu_count() or 1, 4)


def main() -> int:
    """Run what is asked for; 1 if any of it failed."""
    asked = [word for word in sys.argv[1:] if word in SETS] or list(SETS)
    more = [word for word in sys.argv[1:] if word not in SETS]
    python = environment()
    failed = []
    if "own" in asked:
        runs = {one: run_own(python, one, more) for one in ON}
        failed += [f"own tests on {one}" for one, code in runs.items() if code]
    for name, sets in (("base", BASE), ("further", FURTHER)):
        if name in asked and run_neutron_s(python, sets, more) != 0:
            failed.append(f"Neutron's {name} set")
    if NOT_APPLICABLE:
        print("\nNot run, since they cannot apply:")
        for test, reason in NOT_APPLICABLE.items():
            print(f"  {test}: {reason}")
    print("FAILED: " + ", ".join(failed) if failed else "all passed")
    return 1 if failed else 0


def environment() -> Path:
    """Neutron's environment, made if it is not there or no longer the right one; its Python."""
    python = VENV / "bin" / "python"
    stamp = VENV / "stamp"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("preparing .venv-neutron: some minutes, once", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        _pip(python, "--require-hashes", "--requirement", str(REQUIREMENTS))
        stamp.write_text(wanted)
    # Its entry points are read from the installed package, so it is put there every time.
    _pip(python, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    return python


def _pip(python: Path, *words: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([str(python), "-m", "pip", "install", *quiet, *words], check=True)


def run_own(python: Path, database: str, more: list[str]) -> int:
    """Our own tests, with Neutron and the book on one kind of database, or at a service."""
    print(f"--- own tests, {database}", flush=True)
    places = (HERE, HERE / "own", ROOT / "tests")
    return _pytest(
        python,
        places,
        ["-p", "neutron_and_book", "--import-mode=importlib", str(HERE / "own"), *more],
        database,
    )


def run_neutron_s(python: Path, sets: tuple[TestSet, ...], more: list[str]) -> int:
    """Some of Neutron's own tests, all on our driver."""
    words = ["-p", "our_driver", "-n", str(WORKERS)]
    for one in sets:
        print(f"--- {one.module}: {', '.join(one.classes)}", flush=True)
        words += [f"{_file_of(python, one.module)}::{name}" for name in one.classes]
    return _pytest(python, (HERE,), [*words, *more], "sqlite")


def _file_of(python: Path, module: str) -> str:
    code = f"import importlib.util; print(importlib.util.find_spec({module!r}).origin)"
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _pytest(python: Path, places: tuple[Path, ...], words: list[str], database: str) -> int:
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "NEUTRON_ON": database,
        "OS_TEST_TIMEOUT": "600",  # a busy machine is no failure
    }
    usual = ["-q", "-c", os.devnull, "-p", "no:cacheprovider", f"--rootdir={HERE}"]
    usual += [f"--confcutdir={HERE}", "--tb=short"]
    command = [str(python), "-W", "ignore", "-m", "pytest", *usual, *words]
    return subprocess.run(command, check=False, cwd=HERE, env=os.environ | settings).returncode


if __name__ == "__main__":
    sys.exit(main())
