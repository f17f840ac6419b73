"""How long a request may take, wherever it is served."""

from __future__ import annotations

import time

import pytest

from allotment.client.patience import USUAL
from allotment.model.command import Command
from allotment.model.commands import CreateAddressScope, DeleteAddressScope, RepairBook
from allotment.model.events import VerifyAudit
from allotment.model.queries import CheckBook, GetStatus, GetUtilisation, ListProjects, Query
from allotment.operations.retries import deadline_of

DAY, HOUR, USUALLY = 86_400.0, 3_600.0, 30.0


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        (CheckBook(), DAY),
        (VerifyAudit(), DAY),
        (RepairBook(), DAY),
        (GetUtilisation(), HOUR),
        (GetStatus(), HOUR),
        (DeleteAddressScope(scope="s"), HOUR),
        (ListProjects(), USUALLY),
        (CreateAddressScope(name="s"), USUALLY),
    ],
)
def test_what_reads_the_whole_book_has_a_day_at_the_desk_and_over_http(
    request_: Command[object] | Query[object], seconds: float
) -> None:
    assert deadline_of(request_) == pytest.approx(time.monotonic() + seconds, abs=5)
    assert USUAL.for_request(request_) == seconds
