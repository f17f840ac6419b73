"""One command for every campaign: `python -m faults c3 --size long`.

Invariant: the exit code is the verdict: 0 green, 1 red, 2 not run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CAMPAIGNS = {
    "c1": ("faults.c1_postgres_killed", "kill -9 of PostgreSQL under load"),
    "c2": ("faults.c2_service_killed", "kill -9 of the service under load"),
    "c3": ("faults.c3_sqlite_killed", "kill -9 of an embedded program and of a CLI import"),
    "c4": ("faults.c4_every_call_fails", "the k-th database call fails, of every use case"),
    "c5": ("faults.c5_simulation", "the group commit in simulated threads and time"),
    "c6": ("faults.c6_cut_at_commit", "the wire to PostgreSQL is cut before, during, after COMMIT"),
    "c7": ("faults.c7_failover", "the primary dies or stands still, and a standby takes over"),
    "c9": ("faults.c9_scarcity", "room, connections, a backend or the clock are taken away"),
    "c10": ("faults.c10_linearizable", "one order explains every answer, under faults"),
    "c11": ("faults.suites", "the desk against a pure model"),
    "c12": ("faults.suites", "who may do what, through every door"),
    "c16": ("faults.suites", "every field of every record of the audit is tampered with"),
    "c17": ("faults.c17_mutants", "small faults in the code, which the tests must notice"),
    "c18": ("faults.c18_coverage", "which branches of the core the tests take, on each database"),
    "c19": ("faults.c19_soak", "hours of work with a kill every half minute: nothing grows"),
    "c20": ("faults.c20_restored", "a backup under load is restored and brought to its end"),
    "controls": ("faults.controls", "sabotage that every campaign must notice"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one campaign."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    campaigns = parser.add_subparsers(dest="campaign", required=True)
    words = sys.argv[1:] if argv is None else list(argv)
    for name, (module, what) in CAMPAIGNS.items():
        sub = campaigns.add_parser(name, help=what)
        sub.add_argument("--size", choices=("gate", "long"), default="gate")
        sub.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
        sub.add_argument("--json", type=Path, help="write the record to this file")
        if words[:1] == [name]:
            for option, value in importlib.import_module(module).SIZES["gate"].items():
                sub.add_argument(f"--{option.replace('_', '-')}", type=type(value))
    options = parser.parse_args(words)
    chosen = importlib.import_module(CAMPAIGNS[options.campaign][0])
    for option, value in chosen.SIZES[options.size].items():
        if getattr(options, option) is None:
            setattr(options, option, value)
    from faults.record import Record

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order: nothing is left running
    record = Record(options.campaign, options)
    with tempfile.TemporaryDirectory(prefix="allotment-faults-") as folder:
        os.chmod(folder, 0o755)
        chosen.run(record, Path(folder))
        return record.finish(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
