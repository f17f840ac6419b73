"""Every error of the house has a verdict for Neutron, and only safe ones are asked again."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import allotment.errors
from allotment import errors
from allotment.doors.neutron.patience import AWAY_SECONDS_MAX, Patience
from allotment.doors.neutron.verdicts import VERDICTS, Verdict, verdicts_on
from allotment.errors import AllotmentError


def every_class(kind: type[AllotmentError] = AllotmentError) -> set[type[AllotmentError]]:
    for found in pkgutil.iter_modules(allotment.errors.__path__):
        importlib.import_module(f"allotment.errors.{found.name}")
    below = {one for child in kind.__subclasses__() for one in every_class(child)}
    return {kind, *below}


OURS = sorted(
    (kind for kind in every_class() if kind.__module__.startswith("allotment.errors")),
    key=lambda kind: kind.__name__,
)


def test_every_error_has_a_verdict_and_every_verdict_an_error() -> None:
    assert {kind.code for kind in OURS} == set(VERDICTS)
    assert len(OURS) >= 35, "nothing was looked at"


def test_an_error_of_another_version_is_unforeseen() -> None:
    class Strange(AllotmentError):
        code = "strange"

    assert verdicts_on(Strange("?")) == (Verdict.BROKEN, Verdict.BROKEN)


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_neutron_asks_again_only_what_was_surely_not_done_or_finds_itself_again(
    kind: type[AllotmentError],
) -> None:
    # Not `retryable` at the desk, and safe all the same: the next attempt looks anew, or has
    # another key.
    looks_anew = {errors.StaleAllocation, errors.VersionMismatch, errors.OperationFenced}
    for verdict in VERDICTS[kind.code]:
        if verdict is Verdict.AGAIN:
            assert kind.retryable or kind in looks_anew


def test_what_the_desk_may_retry_neutron_may_too() -> None:
    told = {kind.code for kind in OURS if kind.retryable}
    assert all(VERDICTS[code].address is Verdict.AGAIN for code in told)


def test_a_long_outage_is_not_waited_for() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    assert not patience.is_over()
    now = AWAY_SECONDS_MAX / 2
    assert not patience.is_over()
    now = AWAY_SECONDS_MAX + 1
    assert patience.is_over()
    patience.served()
    assert not patience.is_over(), "it begins anew after an answer"
