"""The text of API tokens: round trips, mistyped tokens, leak scanning, digests."""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections import Counter
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine import token_text
from allotment.engine.token_text import LEAK_PATTERN, digest, make, parse, same
from allotment.errors import AllotmentError, Unauthenticated

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
ENTROPY = st.binary(min_size=48, max_size=64)
TOKEN = make(bytes(range(48)))
PEPPER = b"p" * 32


@given(ENTROPY)
def test_a_token_that_was_made_parses_to_itself(entropy: bytes) -> None:
    made = make(entropy)
    assert parse(made.text) == made
    assert made.text.startswith(f"allot_{made.key_id}_{made.secret}_")
    assert len(made.text) == token_text.TEXT_LENGTH
    assert (len(made.key_id), len(made.secret)) == (12, 32)


@given(ENTROPY)
def test_the_check_is_the_crc_of_all_before_the_last_underscore(entropy: bytes) -> None:
    body, _, check = make(entropy).text.rpartition("_")
    value = 0
    for character in check:
        value = value * 62 + BASE62.index(character)
    assert value == crc32(body.encode())


def test_tokens_never_change_between_releases() -> None:
    assert TOKEN.text == "allot_iUPCkeK8fsOO_HCGbYdCUyWx6xd2ivh2DOxR816N56NAd_0mdaq0"


def test_a_secret_has_190_bits_or_more() -> None:
    assert 62**token_text.SECRET_LENGTH > 2**190


def test_too_little_entropy_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="48 random bytes"):
        make(bytes(47))


def test_every_character_is_as_likely_as_any_other_at_every_position() -> None:
    random = Random(62)
    made = [make(random.randbytes(48)) for _ in range(6_200)]
    for position in range(44):
        counts = Counter((token.key_id + token.secret)[position] for token in made)
        chi_squared = sum((counts[character] - 100) ** 2 / 100 for character in BASE62)
        assert chi_squared < 140, position  # 61 degrees of freedom: p < 1e-7 for one position


@pytest.mark.parametrize("entropy", [bytes(48), b"\xff" * 48, bytes(range(48))])
def test_every_edit_of_a_single_character_is_refused(entropy: bytes) -> None:
    text = make(entropy).text
    characters = {*map(chr, range(128)), "é", "１", "\u0661", "\ud800"}
    edits = {text[:at] + text[at + 1 :] for at in range(len(text))}
    for at in range(len(text) + 1):
        edits |= {text[:at] + character + text[at:] for character in characters}
        edits |= {text[:at] + character + text[at + 1 :] for character in characters}
    edits.discard(text)
    assert len(edits) > 10_000
    for edit in edits:
        with pytest.raises(Unauthenticated):
            parse(edit)


@given(ENTROPY, st.integers(0, 60), st.text(max_size=3))
def test_any_other_edit_at_one_place_is_refused_too(entropy: bytes, at: int, new: str) -> None:
    text = make(entropy).text
    for edit in (text[:at] + new + text[at + 1 :], text[:at] + new + text[at:]):
        if edit != text:
            with pytest.raises(Unauthenticated):
                parse(edit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "allot_",
        "allot___",
        TOKEN.text + "\n",
        " " + TOKEN.text,
        TOKEN.text.upper(),
        TOKEN.text.replace("allot", "ALLOT"),
        TOKEN.text.replace("_", "-"),
        TOKEN.text * 2,
        "allot_" * 100_000,
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        parse(text)


@given(ENTROPY, st.integers(0, 57), st.sampled_from(BASE62))
def test_an_error_repeats_nothing_of_the_token(entropy: bytes, at: int, new: str) -> None:
    text = make(entropy).text
    edit = text[:at] + new + text[at + 1 :]
    if edit == text:
        edit += new
    with pytest.raises(AllotmentError) as caught:
        parse(edit)
    shown = f"{caught.value!r} {caught.value.facts} {caught.value.__context__!r}"
    for part in text.split("_")[1:]:
        assert part not in shown


def test_printing_a_token_shows_its_key_id_only() -> None:
    assert TOKEN.key_id in repr(TOKEN)
    assert TOKEN.secret not in repr(TOKEN)
    assert TOKEN.secret not in f"{TOKEN} {[TOKEN]}"


SURROUNDINGS = [
    "{}",
    "Authorization: Bearer {}\r\n",
    'token = "{}"',
    "https://host/?token={}&page=2",
    "https://host/?a=%20{}%22",
    '{{"log": "line\\n{}\\n"}}',
    "TOKEN_{}_OLD",
    "0{}0",
]


@given(st.lists(st.tuples(ENTROPY, st.sampled_from(SURROUNDINGS)), min_size=1, max_size=20))
def test_the_leak_pattern_finds_every_token_of_a_corpus(leaks: list[tuple[bytes, str]]) -> None:
    tokens = [make(entropy).text for entropy, _ in leaks]
    corpus = "\n".join(
        around.format(token) for token, (_, around) in zip(tokens, leaks, strict=True)
    )
    assert re.findall(LEAK_PATTERN, corpus) == tokens


INNOCENT = [
    "allot_",
    "allotment_allocations_total_bytes",
    "ALLOT_" + TOKEN.text[6:],
    TOKEN.text[:-1],
    TOKEN.text[1:],
    TOKEN.text.replace("_", "."),
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUifQ.c2lnbmF0dXJl",
    "allot_0123456789ab_" + "-" * 32 + "_000000",
    f"allot_{TOKEN.key_id}_***_",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_the_leak_pattern_finds_nothing_else(text: str) -> None:
    assert not re.search(LEAK_PATTERN, text)


def test_the_leak_pattern_takes_linear_time() -> None:
    assert not re.search(LEAK_PATTERN, "allot_0123456789ab_" * 100_000)


@given(st.binary(min_size=16, max_size=64), ENTROPY)
def test_a_digest_is_the_hmac_sha_256_of_the_secret(pepper: bytes, entropy: bytes) -> None:
    secret = make(entropy).secret
    assert digest(pepper, secret) == hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def test_another_pepper_or_secret_gives_another_digest() -> None:
    first = digest(PEPPER, TOKEN.secret)
    assert same(first, digest(PEPPER, TOKEN.secret))
    assert not same(first, digest(b"q" * 32, TOKEN.secret))
    assert not same(first, digest(PEPPER, make(bytes(48)).secret))
    assert not same(first, first[:-1])


def test_a_short_pepper_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="16 bytes"):
        digest(b"short", TOKEN.secret)
