"""P10: what it costs to start: the processor time of whole programs, against a bound.

`allotment --version`, and `allotment allocate` on a book in a SQLite file, each in a process of its
own: user and system time as the kernel counts them for that process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ground import Bench, Figure, Ground, checked, interleaved, options

from allotment.bootstrap import open_book

PROGRAM = str(Path(sys.executable).parent / "allotment")
BOUNDS = {"allotment --version": 0.15, "allotment allocate, SQLite": 0.35}


def main() -> None:
    """Start each again and again."""
    sizes = options(__doc__, rounds=(15, 2))
    bench = Bench(claim="P10", options=sizes)
    with Ground() as ground:
        book = ground.book("sqlite", "10.0.0.0/16")
        words = {
            "allotment --version": [PROGRAM, "--version"],
            "allotment allocate, SQLite": [
                PROGRAM, "--database", book.url, "allocate", book.subnet,
            ],
            "python, nothing": [sys.executable, "-c", "pass"],
        }  # fmt: skip
        programs = {name: _started(command) for name, command in words.items()}
        samples = interleaved(
            programs, sizes.rounds, lambda: [program() for program in programs.values()]
        )
        for name, bound in BOUNDS.items():
            bench.add(
                Figure(
                    name=name,
                    unit="s of CPU",
                    baseline_name="the bound",
                    product=samples[name],
                    baseline=[bound] * sizes.rounds,
                    reach=1.0,
                    at_most=True,
                )
            )
        bench.note("python that does nothing, s of CPU", min(samples["python, nothing"]))
        with open_book(book.url) as desk:
            report = checked(desk)
        assert report.allocations == sizes.rounds + 1, "each start allocated one address"
        bench.note("check", f"clean; {report.allocations} addresses")
        bench.note("CNI ADD", "not measured: there is no CNI plugin yet")
        bench.finish(ground)


def _started(command: list[str]) -> Callable[[], float]:
    """Run it once; its processor time in seconds."""

    def run() -> float:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} failed")
        return used.ru_utime + used.ru_stime

    return run


if __name__ == "__main__":
    main()
