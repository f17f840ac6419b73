"""The corpora of attacks, a sample of each; `python tests/attacks/run.py` throws them whole."""

from __future__ import annotations

import pytest

from allotment.model.address import parse_address
from attacks.ground import Told, ground
from attacks.trials import TRIALS, _imports_nothing, _is_refused, _is_stranger, _plain, _refuses

EVERY = {"tokens of an identity provider": 3, "markup": 12, "formulas": 9, "other servers": 9}
TRIED_MIN = 15
GOOD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-content-type-options: nosniff"


@pytest.mark.parametrize("corpus", TRIALS)
def test_nothing_of_it_gets_in(corpus: str) -> None:
    with ground() as service:
        found = list(TRIALS[corpus](service, EVERY.get(corpus, 3)))
    assert [hit for hit in found if hit is not None] == []
    assert len(found) >= TRIED_MIN


def test_what_is_good_would_be_a_hit() -> None:
    """Each look finds what it looks for: a token that is known, an address that is one."""
    with ground() as service:
        assert list(_is_stranger(service, service.token, 0)) != [None]
        assert not _refuses(parse_address, "10.1.0.77")
        assert not _is_refused(service, "10.1.0.77")
        assert not _imports_nothing(service, "10.1.0.78")


@pytest.mark.parametrize(
    "head",
    [
        GOOD.replace("200", "500"),
        GOOD.replace("application/json", "text/html"),
        GOOD.replace("nosniff", "maybe"),
        GOOD + "\r\nx-injected: zqx",
    ],
)
def test_what_a_page_would_run_would_be_a_hit(head: str) -> None:
    status = int(head.split(" ")[1])
    assert _plain(Told(200, GOOD, "{}"), "x") is None
    assert _plain(Told(status, head, "{}"), "x") is not None
