"""Figures and logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from allotment.doors.rest import logs
from allotment.doors.rest.settings import Settings
from doors.rest.conftest import House, plan


def figures(house: House) -> dict[str, float]:
    """What /metrics says: names with labels, and values."""
    answer = house.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        f"{sample.name}{json.dumps(sample.labels)}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_and_not_by_path(planned: House) -> None:
    for name in ("office", "none", "other"):
        planned.get(f"/v1/subnets/{name}")
    found = figures(planned)
    label = {"route": "GET /v1/subnets/{subnet}", "status": "404"}
    assert found["allotment_requests_total" + json.dumps(label)] == 2
    label["status"] = "200"
    assert found["allotment_requests_total" + json.dumps(label)] == 1
    assert not [name for name in found if "none" in name]
    assert found['allotment_request_seconds_count{"route": "GET /v1/subnets/{subnet}"}'] == 3
    assert found["process_open_fds{}"] > 0


def test_allocations_and_exhaustion_are_counted(planned: House) -> None:
    held = "/v1/subnets/office/allocations"
    planned.made(held, {})
    planned.made(held, {"count": 5})
    planned.made("/v1/subnet-pools/corp/allocations", {"length": 26})
    parts = [{"do": "AllocateAddress", "subnet": "office"}] * 2
    assert planned.ask("POST", "/v1/batches", json={"commands": parts}).is_success
    planned.refused(409, "POST", held, json={"count": 1000})
    planned.refused(409, "POST", held, json={"address": "10.1.0.2"})
    found = figures(planned)
    assert found['allotment_allocations_total{"kind": "address"}'] == 8
    assert found['allotment_allocations_total{"kind": "prefix"}'] == 1
    assert found['allotment_exhausted_total{"kind": "address"}'] == 1
    assert found['allotment_book_things{"kind": "subnets"}'] == 1


def test_subnets_that_are_nearly_full_are_named(desk: Any) -> None:
    house = House(desk, Settings(full_from=0.5, log_requests=False))
    try:
        plan(house)
        held = "/v1/subnets/office/allocations"
        house.made(held, {"count": 100})
        assert not [name for name in figures(house) if "used_ratio" in name]
        house.made(held, {"count": 53})
        ratios = [v for name, v in figures(house).items() if "used_ratio" in name]
        assert ratios == [pytest.approx(153 / 253)]
    finally:
        house.close()


def test_groups_that_were_committed_together_can_be_counted(house: House) -> None:
    house.door.records.metrics.observe_batch(3)
    found = figures(house)
    assert found["allotment_group_commit_size_count{}"] == 1
    assert found['allotment_group_commit_size_bucket{"le": "4.0"}'] == 1


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Afterwards everything logs as before."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


FORGED = "a\nb\x1b[31m\x7f\x9b\u202e\u2028"


def test_a_json_line_is_one_line_of_visible_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    structlog.get_logger("x").info("request", request_id=FORGED, status=200)
    logging.getLogger("uvicorn.error").error("it %s", FORGED)
    ours, theirs = capsys.readouterr().err.splitlines()
    assert json.loads(ours)["request_id"] == FORGED
    assert json.loads(theirs)["event"] == f"it {FORGED}"
    assert all(" " <= mark <= "~" for mark in ours + theirs)


def test_a_text_line_is_one_line_that_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("text")
    structlog.get_logger("x").info("request", request_id=FORGED, status=200)
    logging.getLogger("uvicorn.error").error("it %s", FORGED)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert "status=200" in lines[0]


def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("json")
    try:
        raise RuntimeError("it broke")
    except RuntimeError as error:
        logging.getLogger("uvicorn.error").error("failed", exc_info=error)
    (line,) = capsys.readouterr().err.splitlines()
    assert "it broke" in json.loads(line)["exception"]
