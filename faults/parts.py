"""A campaign in parts that run side by side, each on a book and with servers of its own.

Invariant: every part is judged as a campaign of its own would be; what all of them counted and
found is in the one record.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from faults.record import Record
from faults.victims import Victim, until

LEAVE_SECONDS = 60.0
SEEDS_APART = 7_919
SLOWEST = "slowest request, s"

Part = Callable[[Record, Path], None]


def shares(total: int, parts: int) -> list[int]:
    """A number in so many parts, as even as may be."""
    return [(total + number) // parts for number in range(parts)]


def side_by_side(
    record: Record, folder: Path, options: Sequence[dict[str, int]], play: Part
) -> None:
    """Play a part for each of the options, which are over the campaign's own; then add them up."""
    if len(options) == 1:
        vars(record.options).update(options[0])
        play(record, folder)
        return
    homes = [folder / f"part-{number}" for number in range(len(options))]
    victims = []
    try:
        for number, (home, own) in enumerate(zip(homes, options, strict=True)):
            home.mkdir(mode=0o755)
            seed = record.seed + SEEDS_APART * number
            part = argparse.Namespace(**(vars(record.options) | own | {"seed": seed}))
            victims.append(Victim(lambda p=part, h=home: _played(record.campaign, p, h, play)))
        for victim in victims:
            until(victim.ended_quietly, float("inf"), pause=0.1)
    finally:
        _ended(victims)
    for number, (home, victim) in enumerate(zip(homes, victims, strict=True)):
        if victim.code != 0:
            record.findings.append(f"E1 part {number} ended with {victim.code}")
        if (note := home / "part.json").exists():
            _add(record, json.loads(note.read_text()))


def _played(campaign: str, options: argparse.Namespace, home: Path, play: Part) -> None:
    record = Record(campaign, options)
    play(record, home)
    told = {
        "counts": record.counts,
        "findings": record.findings,
        "recoveries": record.recoveries,
        "notes": record.notes,
    }
    (home / "part.json").write_text(json.dumps(told))


def _add(record: Record, told: dict[str, dict[str, int] | list[float]]) -> None:
    record.counts.update(told["counts"])
    record.findings += told["findings"]
    record.recoveries += told["recoveries"]
    slowest = dict(told["notes"]).get(SLOWEST, 0.0)
    record.notes[SLOWEST] = max(record.notes.get(SLOWEST, 0.0), slowest)


def _ended(victims: Sequence[Victim]) -> None:
    """In order, so that what a part has started ends with it; by force only if it will not."""
    going = [victim for victim in victims if not victim.ended_quietly()]
    for victim in going:
        victim.signal(15)
    for victim in going:
        if not until(victim.ended_quietly, LEAVE_SECONDS, pause=0.05):
            victim.kill()
