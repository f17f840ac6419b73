"""The corpora of attacks, a sample of each; `python tests/attacks/run.py` throws them whole."""

from __future__ import annotations

import pytest

from attacks.ground import ground
from attacks.trials import TRIALS

EVERY = {"tokens of an identity provider": 3, "markup": 12, "formulas": 9, "other servers": 9}
TRIED_MIN = 15


@pytest.mark.parametrize("corpus", TRIALS)
def test_nothing_of_it_gets_in(corpus: str) -> None:
    with ground() as service:
        found = list(TRIALS[corpus](service, EVERY.get(corpus, 3)))
    assert [hit for hit in found if hit is not None] == []
    assert len(found) >= TRIED_MIN
