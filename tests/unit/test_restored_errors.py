"""An error that crossed a wire is the same error again: class, message, facts."""

from __future__ import annotations

import inspect
import json
import pickle
from typing import Any, get_args

import pytest

from allotment import errors
from allotment.errors import AllotmentError, StoreError
from allotment.errors.restored import by_code, restored

SAMPLES: dict[str, Any] = {
    "str": "x",
    "object": "x",
    "int": 7,
    "int | None": 1 << 70,
    "dict[str, int]": {"subnets": 2},
    "tuple[str, ...]": ("a", "b"),
    "Phase": "commit",
    "str | None": "40001",
}


def every_error() -> list[type[AllotmentError]]:
    found = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    return [one for one in found if issubclass(one, AllotmentError)]


def made(kind: type[AllotmentError]) -> AllotmentError:
    parameters = inspect.signature(kind.__init__).parameters
    given = {
        name: SAMPLES[str(one.annotation)]
        for name, one in parameters.items()
        if name not in ("self", "facts")
    }
    return kind(**given)


@pytest.mark.parametrize("kind", every_error(), ids=lambda one: one.__name__)
def test_an_error_is_itself_again(kind: type[AllotmentError]) -> None:
    before = made(kind)
    facts = json.loads(json.dumps(before.facts))
    after = restored(before.code, before.message, facts)
    assert type(after) is kind
    assert (after.message, str(after), after.facts) == (before.message, str(before), facts)
    assert (after.kind, after.retryable) == (before.kind, before.retryable)
    if isinstance(before, StoreError):
        assert isinstance(after, StoreError)
        assert (after.phase, after.state) == (before.phase, before.state)


@pytest.mark.parametrize("kind", every_error(), ids=lambda one: one.__name__)
def test_an_error_crosses_process_borders_whole(kind: type[AllotmentError]) -> None:
    before = made(kind)
    after = pickle.loads(pickle.dumps(before))
    assert type(after) is kind
    assert (str(after), after.args) == (before.message, before.args)
    assert vars(after) == vars(before)


def test_every_code_is_of_one_class() -> None:
    assert {kind.code: kind for kind in every_error()} == by_code()
    assert len(by_code()) == len(every_error())


def test_an_unknown_code_is_kept_among_the_facts() -> None:
    error = restored("of-a-later-version", "no", {"a": 1})
    assert type(error) is AllotmentError
    assert error.facts == {"a": 1, "code": "of-a-later-version"}


def test_facts_named_like_parameters_do_no_harm() -> None:
    error = restored("not-found", "no", {"message": "x", "self": 1})
    assert (error.message, error.facts) == ("no", {"message": "x", "self": 1})


@pytest.mark.parametrize("phase", [*get_args(errors.Phase), "nonsense", None, 7])
def test_a_phase_that_is_none_is_not_believed(phase: object) -> None:
    error = restored("busy", "later", {"phase": phase, "state": None})
    assert isinstance(error, StoreError)
    assert error.phase in get_args(errors.Phase)
