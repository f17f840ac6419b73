"""A secret is told to nobody by accident: in words, in JSON, in a pickle, in a comparison."""

from __future__ import annotations

import pickle

import pytest

from allotment.model import wire
from allotment.model.secret import MASK, Secret

TEXT = "hunter2"


def test_what_prints_or_encodes_a_secret_writes_stars_unless_it_means_to() -> None:
    secret = Secret(TEXT)
    told = (str(secret), repr(secret), f"{secret}", wire.encode([secret]).decode())
    assert not [one for one in told if TEXT in one]
    assert all(MASK in one for one in told)
    assert secret.reveal() == TEXT
    assert wire.encode_revealing([secret]) == b'["hunter2"]'


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps([Secret(TEXT)])


def test_secrets_are_equal_if_their_texts_are_and_a_text_is_no_secret() -> None:
    assert {Secret(TEXT), Secret(TEXT)} == {Secret(TEXT)}
    assert Secret(TEXT) != Secret("another")
    assert Secret(TEXT) != TEXT
