"""Campaigns that go side by side are one campaign: nothing that a part found or counted is lost."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from faults.ledger import Growth, Ledger
from faults.parts import shares, side_by_side
from faults.record import Record


def a_record() -> Record:
    return Record("c0", argparse.Namespace(seed=5, kills=10, size="gate"))


def play(record: Record, folder: Path) -> None:
    record.counts["kills"] += record.options.kills
    record.recoveries.append(float(record.options.kills))
    record.notes["slowest request, s"] = record.options.kills
    if record.options.kills == 4:
        record.findings.append(f"D1 something was lost with seed {record.seed}")


def test_what_the_parts_found_and_counted_is_in_the_one_record(tmp_path: Path) -> None:
    record = a_record()
    side_by_side(record, tmp_path, [{"kills": share} for share in shares(10, 3)], play)
    assert record.counts["kills"] == 10
    assert sorted(record.recoveries) == [3.0, 3.0, 4.0]
    assert record.notes["slowest request, s"] == 4
    assert record.laws == {"D1"}
    assert len({str(5 + 7_919 * part) for part in range(3)} & set(record.findings[0].split())) == 1


def test_one_part_is_the_campaign_itself(tmp_path: Path) -> None:
    record = a_record()
    side_by_side(record, tmp_path, [{"kills": 4}], play)
    assert (record.counts["kills"], record.findings) == (4, ["D1 something was lost with seed 5"])


def test_a_part_that_fails_turns_the_campaign_red(tmp_path: Path) -> None:
    def fails(record: Record, folder: Path) -> None:
        raise SystemExit(3)

    record = a_record()
    side_by_side(record, tmp_path, [{"kills": 5}, {"kills": 5}], fails)
    assert record.findings == ["E1 part 0 ended with 3", "E1 part 1 ended with 3"]


@pytest.mark.parametrize(("total", "parts"), [(10, 3), (2, 4), (0, 2), (7, 1)])
def test_shares_are_even_and_nothing_is_left(total: int, parts: int) -> None:
    found = shares(total, parts)
    assert (sum(found), len(found)) == (total, parts)
    assert max(found) - min(found) <= 1


def test_a_killer_sees_acknowledged_changes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger = Ledger(path, "w")
    seen = Growth(path)
    assert seen.changes() == 0
    for op, code in (("take", "ok"), ("look", "ok"), ("give", "not-found"), ("give", "ok")):
        ledger.heard(ledger.call(op), code)
    assert seen.changes() == 2
    open_one = ledger.call("take")
    with path.open("ab") as file:
        file.write(b'{"n":"' + open_one.encode())  # the half line of a write that goes on
    assert seen.changes() == 2
    ledger.close()
