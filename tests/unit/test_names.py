"""The rules of text: what each kind of name accepts, and what it refuses."""

from __future__ import annotations

import re
import time
from typing import get_args
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.errors import InvalidValue
from allotment.model import names
from allotment.model.names import (
    DESCRIPTION,
    HOSTNAME,
    IDEMPOTENCY_KEY,
    IDENTIFIER,
    NAME,
    PROJECT_NAME,
    REFERENCE,
    TAG,
    Rule,
)

RULES = (NAME, PROJECT_NAME, IDENTIFIER, IDEMPOTENCY_KEY, HOSTNAME, TAG, DESCRIPTION, REFERENCE)
ONE_LINE = tuple(rule for rule in RULES if rule is not DESCRIPTION)
FORGERIES = (
    "a\nb", "a\rb", "a\tb", "a\x00b", "a\x1b[31mb", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b",
    "a\u202eb", "a\u2066b", "a\u200bb", "a\ufeffb", "a\u00a0b", "a\ud800b", "a\n",
)  # fmt: skip


def ascii_type(value: object) -> str:
    return type(value).__name__


def obeys(rule: Rule, value: object) -> bool:
    try:
        rule.check(value, "field")
    except InvalidValue:
        return False
    return True


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("value", [None, 1, True, b"a", ["a"], 10**5000], ids=ascii_type)
def test_what_is_not_text_is_refused(rule: Rule, value: object) -> None:
    with pytest.raises(InvalidValue, match=r"owner .* is not valid: it must be text, not "):
        rule.check(value, "owner")


@pytest.mark.parametrize("rule", ONE_LINE, ids=lambda rule: rule.name)
@pytest.mark.parametrize("text", FORGERIES, ids=ascii)
def test_text_of_one_line_cannot_forge_another(rule: Rule, text: str) -> None:
    assert not obeys(rule, text)


@pytest.mark.parametrize(
    ("rule", "length_max"),
    [
        (NAME, 255), (PROJECT_NAME, 255), (IDENTIFIER, 255), (IDEMPOTENCY_KEY, 255), (TAG, 64),
        (DESCRIPTION, 4096), (REFERENCE, 300),
    ],
    ids=lambda part: getattr(part, "name", part),
)  # fmt: skip
def test_length_is_bounded(rule: Rule, length_max: int) -> None:
    assert obeys(rule, "z" * length_max)
    with pytest.raises(InvalidValue, match=f"longer than {length_max} characters"):
        rule.check("z" * (length_max + 1), "field")
    assert obeys(rule, "z")
    assert obeys(rule, "") == (rule is DESCRIPTION)


@pytest.mark.parametrize("rule", ONE_LINE, ids=lambda rule: rule.name)
def test_emptiness_is_named(rule: Rule) -> None:
    with pytest.raises(InvalidValue, match="field '' is not valid: it must not be empty"):
        rule.check("", "field")


@pytest.mark.parametrize("rule", [NAME, PROJECT_NAME], ids=lambda rule: rule.name)
def test_a_name_cannot_be_mistaken_for_an_id(rule: Rule) -> None:
    uuid = uuid4()
    for text in (str(uuid), uuid.hex, uuid.urn, f"{{{uuid}}}", str(uuid).upper()):
        with pytest.raises(InvalidValue, match="mistaken for an id"):
            rule.check(text, "name")
    assert obeys(rule, str(uuid) + "0")
    assert obeys(rule, "z" * 32)


@pytest.mark.parametrize("text", ["web", "web 1", "10.0.0.0/8", "::1", "Büro", "東京", "a, b", "-"])
def test_names_may_look_like_almost_anything(text: str) -> None:
    assert obeys(NAME, text)
    assert obeys(PROJECT_NAME, text)


@pytest.mark.parametrize("rule", [NAME, PROJECT_NAME, TAG], ids=lambda rule: rule.name)
def test_blanks_at_an_end_are_refused(rule: Rule) -> None:
    for text in (" a", "a ", " "):
        with pytest.raises(InvalidValue, match="begins or ends with a blank"):
            rule.check(text, "name")
    assert obeys(rule, "a b")


def test_identifiers_and_references_are_printable_text() -> None:
    for rule in (IDENTIFIER, REFERENCE):
        assert obeys(rule, "port/7a:eth0 (left), Straße 1")
        assert obeys(rule, str(uuid4()))


@pytest.mark.parametrize("text", ["a b", "ä", " ", "a\u0131"])
def test_idempotency_keys_are_visible_ascii(text: str) -> None:
    assert not obeys(IDEMPOTENCY_KEY, text)
    assert obeys(IDEMPOTENCY_KEY, "".join(map(chr, range(0x21, 0x7F))))


def test_a_tag_holds_no_comma() -> None:
    with pytest.raises(InvalidValue, match="a comma separates tags"):
        TAG.check("a,b", "tags")


def test_a_description_may_have_lines_and_tabs_but_no_control() -> None:
    assert obeys(DESCRIPTION, "first line\n\tsecond – ünïcode 🙂 ")
    for text in ("a\x00", "a\rb", "\x1b[2J", "\x7f", "\x85", "\x9f", "\x08", "\x0b", "\ud800"):
        with pytest.raises(InvalidValue, match="control characters"):
            DESCRIPTION.check(text, "description")


LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)


def is_hostname(text: str) -> bool:
    """RFC 952 with RFC 1123's change, written down a second time."""
    labels = text.split(".")
    return (
        1 <= len(text) <= 253
        and all(LABEL.fullmatch(label) and len(label) <= 63 for label in labels)
        and not (len(labels) > 1 and all(label.isdigit() for label in labels))
    )


@pytest.mark.parametrize(
    "text",
    [
        "a", "A", "WWW.Example.COM", "3com.example", "xn--bcher-kva.example", "a-b.c--d", "42",
        "1a2b3c4d5e6f", "1.in-addr.arpa", "x" * 63 + ".example", ".".join(["a" * 49] * 5) + ".abc",
    ],
)  # fmt: skip
def test_hostnames_of_any_case_are_accepted(text: str) -> None:
    assert is_hostname(text)
    HOSTNAME.check(text, "hostname")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("www.example.com.", "without the dot at its end"),
        (".", "without the dot at its end"),
        ("my_host", "no underscore"),
        ("bücher.example", "only ASCII letters"),
        ("a b", "only ASCII letters"),
        ("a\n", "only ASCII letters"),
        ("*.example", "only ASCII letters"),
        (".example", "empty label"),
        ("a..b", "empty label"),
        ("x" * 64, "longer than 63"),
        ("a." + "x" * 64 + ".b", "longer than 63"),
        ("-a", "hyphen"),
        ("a-", "hyphen"),
        ("a.-b", "hyphen"),
        ("a-.b", "hyphen"),
        ("-", "hyphen"),
        ("10.0.0.1", "reads as an address"),
        ("10.8", "reads as an address"),
        ("a" * 254, "longer than 253"),
        (".".join(["a" * 49] * 5) + ".abcd", "longer than 253"),
    ],
)
def test_hostname_is_refused_with_its_rule(text: str, rule: str) -> None:
    assert not is_hostname(text)
    with pytest.raises(InvalidValue, match=rule):
        HOSTNAME.check(text, "hostname")


@given(st.text(alphabet="aZ09-._é\n", max_size=12))
def test_hostnames_are_those_of_the_grammar(text: str) -> None:
    assert obeys(HOSTNAME, text) == is_hostname(text)


@pytest.mark.parametrize("attack", ["a", "a-", "1.", "-", ".", "a.", "0" * 31 + "-", "\t"])
def test_an_attack_string_costs_no_time(attack: str) -> None:
    for rule in RULES:
        for length in (rule.length_max, 100_000):
            began = time.process_time()
            obeys(rule, (attack * length)[:length])
            assert time.process_time() - began < 0.05


def test_each_alias_carries_its_rule() -> None:
    aliases = {
        "Name": NAME, "ProjectName": PROJECT_NAME, "Identifier": IDENTIFIER, "Tag": TAG,
        "IdempotencyKey": IDEMPOTENCY_KEY, "Hostname": HOSTNAME, "Description": DESCRIPTION,
        "Reference": REFERENCE,
    }  # fmt: skip
    for alias, rule in aliases.items():
        assert get_args(getattr(names, alias)) == (str, rule)


def test_a_rule_is_frozen() -> None:
    with pytest.raises(AttributeError):
        NAME.length_max = 1  # type: ignore[misc]  # refused on purpose
