"""Run the benchmarks one after another and rewrite the table of docs/performance.md.

Invariant: each benchmark is a process of its own and leaves its raw figures in bench/results/; the
table says nothing that is not there. A smoke run (--quick) writes neither.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import plots
from ground import Ground

from postgres_cluster import CHOICE_VARIABLE

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results"
PAGE = BENCH.parent / "docs" / "performance.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
SCRIPTS = {
    "p1": "p1_many_processes.py",
    "p2": "p2_threads.py",
    "p3": "p3_service.py",
    "p4": "p4_flatness.py",
    "p5": "p5_bulk.py",
    "p6": "p6_prefixes.py",
    "p7": "p7_neutron.py",
    "p8": "p8_embedded.py",
    "p9": "p9_reads.py",
    "p10": "p10_start.py",
    "p11": "p11_load.py",
    "s1": "s1_wal_and_bloat.py",
    "s2": "s2_indexes.py",
    "s3": "s3_scale.py",
    "s4": "s4_partitions.py",
    "s5": "s5_fleet.py",
}
Record = dict[str, Any]  # Any: JSON, as ground.Bench.finish writes it


def main() -> int:
    """Run what is asked for; 1 if a benchmark failed (not: if it missed its target)."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Sizes: --size p1:clients=1,8 --size p5:count=100000; see p1_many_processes.py -h.",
    )
    parser.add_argument(
        "claims", nargs="*", metavar="CLAIM", help=f"{' '.join(SCRIPTS)}; all if none"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test; writes no results")
    parser.add_argument("--size", action="append", default=[], metavar="CLAIM:NAME=VALUE[,VALUE]")
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    asked = parser.parse_args()
    claims = [claim.lower() for claim in asked.claims] or list(SCRIPTS)
    if unknown := set(claims) - set(SCRIPTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = [] if asked.table else _run(claims, asked.size, quick=asked.quick)
    if not asked.quick:
        records = sorted(RESULTS.glob("*.json"), key=_number)
        known = [json.loads(path.read_text()) for path in records]
        charts = plots.written(known, PAGE.parent / "charts")
        _rewrite(PAGE, _table(known) + _shown(charts))
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def _run(claims: list[str], sizes: list[str], *, quick: bool) -> list[str]:
    failed = []
    with ExitStack() as stack:
        drafts = stack.enter_context(tempfile.TemporaryDirectory(prefix="allotment-bench-"))
        surroundings = dict(os.environ)
        if quick:
            # One server for all, to be quick; a measurement has a new one for each benchmark.
            server = stack.enter_context(Ground()).server
            surroundings[CHOICE_VARIABLE] = server.admin_url
        for claim in claims:
            draft = Path(drafts) / f"{claim}.json"
            command = [sys.executable, str(BENCH / SCRIPTS[claim]), "--json", str(draft)]
            command += ["--quick"] * quick + _arguments(claim, sizes)
            print(f"== {claim}: {SCRIPTS[claim]}", flush=True)
            if subprocess.run(command, check=False, env=surroundings).returncode != 0:
                failed.append(claim)
            elif not quick:
                RESULTS.mkdir(exist_ok=True)
                (RESULTS / draft.name).write_text(draft.read_text())
    return failed


def _shown(charts: list[Path]) -> str:
    """The charts, as the page shows them."""
    lines = [f"![{path.stem.upper()}](charts/{path.name})" for path in charts]
    return "\n\n" + "\n\n".join(lines)


def _number(path: Path) -> tuple[str, int]:
    """P2 comes before P10."""
    return path.stem[0], int(path.stem[1:])


def _arguments(claim: str, sizes: list[str]) -> list[str]:
    """Of CLAIM:NAME=VALUE,VALUE those of this claim, as its script takes them."""
    arguments = []
    for size in sizes:
        whose, _, size = size.partition(":")
        name, _, values = size.partition("=")
        if whose.lower() == claim:
            arguments += [f"--{name}", *values.split(",")]
    return arguments


def _table(records: list[Record]) -> str:
    lines = [
        "| claim | what | allotment | baseline | ratio (its rounds) | to reach | reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for figure in record["figures"]:
            baseline = f"{figure['baseline_name']}: {_told(figure, 'baseline')}"
            span = f"{figure['ratio_low']:.2f}-{figure['ratio_high']:.2f}"
            lines.append(
                f"| {record['claim']} | {figure['name']} | {_told(figure, 'product')} | {baseline}"
                f" | **{figure['ratio']:.2f}** ({span}) | {figure['reach']}"
                f" | {'yes' if figure['reached'] else 'no'} |"
            )
    lines += ["", "Beside them:", ""]
    for record in records:
        for figure in record["figures"]:
            if figure["notes"]:
                notes = "; ".join(f"{key}: {_plain(one)}" for key, one in figure["notes"].items())
                lines.append(f"- {record['claim']} {figure['name']}: {notes}")
        lines += [
            f"- {record['claim']} {key}: {_plain(one)}"
            for key, one in record["notes"].items()
            if not key.startswith("raw:")  # for those who read the JSON
        ]
    lines += ["", "Where and when:", ""]
    lines += [f"- {record['claim']}: {_where(record)}" for record in records]
    return "\n".join(lines)


def _told(figure: Record, whose: str) -> str:
    return f"{_plain(figure[f'{whose}_median'])} {figure['unit']}"


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_plain, value)) or "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _where(record: Record) -> str:
    place = record["surroundings"]
    machine = place["machine"]
    changed = " with changes" if place["changed_since_commit"] else ""
    parts = [
        f"commit `{place['commit']}`{changed}, {place['at']}, {record['seconds']:.0f} s",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        f"a page synced in {machine['fdatasync_ms']} ms",
        f"load {record['load_before']} before and {machine['load_average'][0]} after",
        f"Python {place['python']}",
    ]
    if "postgresql" in place:
        parts.append(f"PostgreSQL {place['postgresql']['server_version']}")
    if record["claim"] in ("P4", "P8"):
        parts.append(f"SQLite {place['sqlite']}")
    sizes = {key: one for key, one in record["arguments"].items() if key != "quick"}
    return "; ".join(parts) + f"; sizes {json.dumps(sizes)}"


def _rewrite(page: Path, table: str) -> None:
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
