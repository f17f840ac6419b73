"""Where a figure was measured: machine, disk, versions, commit.

Invariant: it reads and never fails; what cannot be found out is None.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SYNCS = 100


def surroundings(root: Path, directory: Path) -> dict[str, object]:
    """Everything that a figure depends on besides the code; `directory`: where the data lay."""
    changed = _output(["git", "-C", str(root), "status", "--porcelain", "--", "src", "bench"])
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]),
        "changed_since_commit": bool(changed),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gib": round(_memory() / 2**30, 1),
            "system": platform.platform(),
            "load_average": [round(load, 2) for load in os.getloadavg()],
            "fdatasync_ms": _sync_milliseconds(directory),
        },
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("SQLAlchemy", "psycopg", "msgspec")},
        "sqlite": sqlite3.sqlite_version,
    }


def _sync_milliseconds(directory: Path) -> float:
    """The median of one 8 KiB page written and synced: what a durable commit costs at least."""
    path = directory / "sync"
    spans = []
    with path.open("wb", buffering=0) as file:
        file.write(bytes(8192 * SYNCS))
        os.fsync(file.fileno())
        for place in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 8192 * place)
            os.fdatasync(file.fileno())
            spans.append(time.perf_counter() - began)
    path.unlink()
    return round(statistics.median(spans) * 1000, 3)


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), None)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
