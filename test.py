#!/usr/bin/env python3
"""Run every check of the house: linters, types, imports, then the tests.

Needs Python 3.11 or newer and nothing else: it makes `.venv` from requirements-dev.txt, whose
every file is pinned by hash, and makes it anew when that list has changed. Arguments it doesn't
know go to pytest. It ends with pytest's own summary, and with a failure if anything failed.

Invariant: what a stranger, CI and a developer run is this one command.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements-dev.txt"
WORKERS_MAX = 8
INTERRUPT_SECONDS_MAX = 60
# Of the machine, and not for a run of ours. Not to keep what Python compiled costs a second for
# each of the many programs that the tests start.
NOT_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")


def main() -> int:
    if sys.version_info < (3, 11):
        print(f"Python 3.11 or newer is needed, this is {platform.python_version()}: run test.py")
        print("with a newer one, as in `python3.12 test.py`.")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order: see run()
    options, for_pytest = parse(sys.argv[1:])
    prepare()
    failed = [] if options.only_tests else failed_checks()
    if failed:
        print(f"FAILED so far: {', '.join(failed)}; now the tests", flush=True)
    status = run_tests(options, for_pytest)
    if failed:
        print(f"FAILED before the tests: {', '.join(failed)}", flush=True)
    return status or (1 if failed else 0)


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Run every check of the house.",
        epilog="Other arguments go to pytest, e.g.: test.py -k quarantine tests/unit",
        allow_abbrev=False,
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--fast", action="store_true", help="leave out PostgreSQL and the races")
    size.add_argument("--long", action="store_true", help="add the tests that take minutes each")
    parser.add_argument("--only-tests", action="store_true", help="leave out linters and types")
    parser.add_argument(
        "--coverage", action="store_true", help="measure; the report goes to .coverage-report/"
    )
    return parser.parse_known_args(arguments)


def failed_checks() -> list[str]:
    """Run all static checks and return the names of those that failed."""
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy", "--strict", "src"],
        "lint-imports": ["lint-imports", "--no-logo"],
    }
    failed = []
    for name, command in checks.items():
        print(f"--- {name}", flush=True)
        if run(command) != 0:
            failed.append(name)
    return failed


def run_tests(options: argparse.Namespace, for_pytest: list[str]) -> int:
    print("--- pytest", flush=True)
    workers = min(cores() + 2, WORKERS_MAX)  # some wait for a disk or a server
    arguments = ["-n", str(workers), "--dist", "worksteal"]
    if options.fast:
        arguments += ["-m", "not long and not races and not postgres"]
    elif options.long:
        arguments += ["--hypothesis-profile=long", "-o", "faulthandler_timeout=14400"]
    else:
        arguments += ["-m", "not long"]
    if not options.coverage:
        return run(["pytest", *arguments, *for_pytest])
    run(["coverage", "erase"])
    status = run(["coverage", "run", "-m", "pytest", *arguments, *for_pytest])
    return status or write_coverage_report()


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # what this process may use, not what the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_coverage_report() -> int:
    report = ROOT / ".coverage-report"
    report.mkdir(exist_ok=True)
    with (report / "summary.txt").open("w") as summary:
        return (
            run(["coverage", "combine", "--quiet"])
            or run(["coverage", "report"], output=summary)
            or run(["coverage", "html", "--quiet", "--directory", str(report)])
        )


def run(command: list[str], output=None) -> int:
    """Run a program of the environment, from the root, and return its exit code."""
    program, *arguments = command
    environment = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    command = [str(VENV / "bin" / program), *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output) as process:
        try:
            return process.wait()
        except SystemExit:
            process.terminate()
            raise
        except KeyboardInterrupt:  # the terminal has told it, too: let it clear up
            process.wait(INTERRUPT_SECONDS_MAX)
            raise


def prepare() -> None:
    """Make the environment, unless it is there and still the right one."""
    with alone():
        wanted = stamp(REQUIREMENTS.read_bytes())
        if read(VENV / "requirements-stamp") != wanted:
            print("preparing .venv: about half a minute, once", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            make_environment()
            pip("install", "--require-hashes", "--requirement", str(REQUIREMENTS))
            (VENV / "requirements-stamp").write_text(wanted)
        wanted = stamp((ROOT / "pyproject.toml").read_bytes())
        if read(VENV / "project-stamp") != wanted:
            # The build backend is pinned in the environment: nothing is fetched for it.
            pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
            (VENV / "project-stamp").write_text(wanted)


def stamp(content: bytes) -> str:
    place = f"{sys.version} {platform.machine()} {ROOT}".encode()
    return hashlib.sha256(place + b"\0" + content).hexdigest()


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def make_environment() -> None:
    # Debian splits ensurepip off; pip itself can then serve the environment from outside.
    without = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
    subprocess.run([sys.executable, "-m", "venv", *without, VENV], check=True)


def pip(*arguments: str) -> None:
    python = str(VENV / "bin" / "python")
    inside = importlib.util.find_spec("ensurepip") is not None
    program = [python, "-m", "pip"] if inside else [sys.executable, "-m", "pip", "--python", python]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run([*program, *quiet, *arguments], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit("pip could not prepare .venv: see above")


@contextmanager
def alone():
    """Keep a second run in the same place from using a half-made environment."""
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
