"""Which commands take an idempotency key, which are given one, and what a batch may hold."""

from __future__ import annotations

from typing import Any

import pytest

from allotment.errors import InvalidValue
from allotment.model.commands import AllocateAddress, Batch, Command, CreateProject
from allotment.model.events import ResolveOperation, SealAudit
from allotment.model.grants import CreateToken
from allotment.model.keys import check_keys, wants_key
from allotment.model.limits import BATCH_MAX

ONE = CreateProject(name="a")
TOKEN = CreateToken(name="t")
KEYED = CreateProject(name="a", idempotency_key="k")
ONE_OF_A_BATCH = "a part of a batch is no batch, changes something, and has no key of its own"


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (ONE, True),
        (KEYED, False),
        (TOKEN, False),
        (SealAudit(), False),
        (ResolveOperation(key="k"), False),
        (Batch(commands=(ONE,)), True),
        (Batch(commands=(ONE,) * 10), True),
        (Batch(commands=(ONE,) * 11), False),
        (Batch(commands=(ONE, TOKEN)), False),
        (Batch(commands=(ONE,), idempotency_key="k"), False),
    ],
)
def test_a_key_is_made_where_an_answer_may_be_kept_and_is_not_long(
    command: Command[Any], wanted: bool
) -> None:
    assert wants_key(command) is wanted
    check_keys(command)


@pytest.mark.parametrize(
    ("command", "field", "rule"),
    [
        (CreateToken(name="t", idempotency_key="k"), "idempotency_key", "ask without a key"),
        (Batch(commands=()), "commands", f"a batch has 1 to {BATCH_MAX}"),
        (Batch(commands=(ONE,) * (BATCH_MAX + 1)), "commands", f"a batch has 1 to {BATCH_MAX}"),
        (Batch(commands=(ONE, Batch(commands=(ONE,)))), "commands[1]", ONE_OF_A_BATCH),
        (Batch(commands=(KEYED,)), "commands[0]", ONE_OF_A_BATCH),
        (Batch(commands=(ONE, ONE, SealAudit())), "commands[2]", ONE_OF_A_BATCH),
        (
            Batch(commands=(ONE, TOKEN), idempotency_key="k"),
            "commands[1]",
            "it fits no batch with a key",
        ),
        (Batch(commands=(ONE, AllocateAddress(subnet=""))), "subnet", ""),
    ],
)
def test_what_no_key_or_no_batch_fits_is_refused_by_its_place(
    command: Command[Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_keys(command)
    assert refused.value.facts["field"] == field
    assert str(refused.value.facts["rule"]).endswith(rule)
