"""What a campaign did and found: printed, written, and told by the exit code.

Invariant: a campaign is green only when no law was broken and as much happened as it needs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.judge.verdict import Verdict
from faults.stage import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from surroundings import surroundings

SHOWN_MAX = 20


class Record:
    """One run of one campaign."""

    def __init__(self, campaign: str, options: argparse.Namespace) -> None:
        self.campaign = campaign
        self.options = options
        self.seed: int = options.seed
        self.chance = random.Random(self.seed)
        self.counts: Counter[str] = Counter()
        self.needed: dict[str, int] = {}
        self.notes: dict[str, Any] = {}  # Any: whatever JSON holds
        self.findings: list[str] = []
        self.recoveries: list[float] = []
        self._began = time.monotonic()

    def need(self, least: Mapping[str, int]) -> None:
        """Say how often something must have happened for the campaign to show anything."""
        self.needed |= least

    def say(self, text: str) -> None:
        """Tell whoever watches how far it is."""
        print(f"[{time.monotonic() - self._began:8.1f} s] {text}", flush=True)

    def take(self, verdict: Verdict, where: str = "") -> None:
        """Add what the judge said."""
        self.findings += [f"{finding}{where}" for finding in verdict.findings]
        self.counts.update(verdict.outcomes)
        self.counts["acknowledged"] += sum(
            number for name, number in verdict.outcomes.items() if name in ("take: ok", "give: ok")
        )
        self.counts["unknown, done"] += verdict.unknown_done
        self.counts["unknown, not done"] += verdict.unknown_not_done
        self.counts["histories ordered"] += verdict.orders.objects
        self.counts["calls ordered"] += verdict.orders.calls
        self.counts["histories left open"] += verdict.orders.undecided
        slowest = max(self.notes.get("slowest request, s", 0.0), verdict.slowest_seconds)
        self.notes["slowest request, s"] = round(slowest, 3)

    @property
    def too_few(self) -> list[str]:
        """What did not happen often enough."""
        return [
            f"{name}: {self.counts[name]} of {least}"
            for name, least in self.needed.items()
            if self.counts[name] < least
        ]

    @property
    def laws(self) -> set[str]:
        """The names of the laws that were broken."""
        return {finding.split(" ", 1)[0] for finding in self.findings}

    @property
    def green(self) -> bool:
        """Whether nothing was found, and enough happened."""
        return not self.findings and not self.too_few

    def finish(self, directory: Path) -> int:
        """Print everything, write it where that was asked for; the exit code."""
        told = self.told(directory)
        machine = told["surroundings"]["machine"]
        print(f"campaign   {self.campaign}, size {self.options.size}")
        print(f"seed       {self.seed}")
        print(f"commit     {told['surroundings']['commit']}")
        print(f"machine    {machine['cores']} x {machine['processor']}, {machine['system']}")
        print(f"took       {told['seconds']} s")
        for name, number in sorted(self.counts.items()):
            least = f" (at least {self.needed[name]})" if name in self.needed else ""
            print(f"  {number:>9}  {name}{least}")
        for name, value in self.notes.items():
            print(f"  {name}: {value}")
        if self.recoveries:
            print(f"  slowest recovery: {max(self.recoveries):.2f} s of {len(self.recoveries)}")
        for finding in self.findings[:SHOWN_MAX]:
            print(f"FOUND      {finding}")
        if len(self.findings) > SHOWN_MAX:
            print(f"FOUND      ... {len(self.findings)} in all")
        for missing in self.too_few:
            print(f"TOO LITTLE {missing}")
        print(f"verdict    {'green' if self.green else 'RED'}", flush=True)
        if self.options.json is not None:
            self.options.json.parent.mkdir(parents=True, exist_ok=True)
            self.options.json.write_text(json.dumps(told, indent=1) + "\n")
        return 0 if self.green else 1

    def told(self, directory: Path) -> dict[str, Any]:  # Any: JSON
        """The run as it is recorded."""
        recoveries = sorted(self.recoveries)
        return {
            "campaign": self.campaign,
            "size": self.options.size,
            "arguments": {
                name: value
                for name, value in sorted(vars(self.options).items())
                if isinstance(value, int | float | str) and name != "json"
            },
            "seed": self.seed,
            "seconds": round(time.monotonic() - self._began, 1),
            "surroundings": surroundings(ROOT, directory),
            "counts": dict(sorted(self.counts.items())),
            "needed": self.needed,
            "notes": self.notes,
            "recoveries": {
                "count": len(recoveries),
                "median_seconds": round(statistics.median(recoveries), 3) if recoveries else None,
                "slowest_seconds": round(recoveries[-1], 3) if recoveries else None,
            },
            "findings": self.findings[:200],
            "verdict": "green" if self.green else "red",
        }
