"""The strict address reader, against the table in SECURITY.md and against the standard library."""

from __future__ import annotations

import ipaddress
import re
from socket import AF_INET6, inet_pton

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.errors import InvalidValue
from allotment.model.address import Address, parse_address
from allotment.model.prefix import Prefix

REFUSED_ADDRESSES = {
    "leading zero": ("010.0.0.1", "leading zeros are ambiguous; write 10.0.0.1"),
    "leading zero at the end": ("192.168.1.010", "leading zeros are ambiguous; write 192.168.1.10"),
    "double zero": ("10.0.00.1", "leading zeros are ambiguous; write 10.0.0.1"),
    "two parts": ("10.8", "four parts"),
    "three parts": ("10.8.1", "four parts"),
    "five parts": ("10.0.0.0.1", "four parts"),
    "empty part": ("10..0.1", "four parts"),
    "ends in a dot": ("10.0.0.1.", "four parts"),
    "one digit": ("1", "an integer is not an address"),
    "hexadecimal": ("0x0a000001", "hexadecimal"),
    "hexadecimal part": ("10.0.0.0x1", "hexadecimal"),
    "decimal integer": ("167772161", "an integer is not an address"),
    "octal integer": ("01200000001", "an integer is not an address"),
    "trailing newline": ("10.0.0.1\n", "line break; write 10.0.0.1"),
    "trailing blank": ("10.0.0.1 ", "blank or a line break; write 10.0.0.1"),
    "leading blank": (" 10.0.0.1", "blank or a line break; write 10.0.0.1"),
    "inner blank": ("10.0. 0.1", "it contains a blank"),
    "IPv6 trailing newline": ("::1\n", "line break; write ::1"),
    "no-break space": ("10.0.0.1\u00a0", "blank"),
    "Arabic-Indic digits": ("١.١.١.١", "only ASCII"),
    "full-width digits": ("10.0.0.\uff11", "only ASCII"),
    "superscript digit": ("10.0.0.\u00b2", "only ASCII"),
    "full-width colon": ("\uff1a\uff1a1", "only ASCII"),
    "lone surrogate": ("10.0.0.\ud800", "only ASCII"),
    "IPv4-mapped, dotted": ("::ffff:10.0.0.1", "IPv4-mapped addresses are refused; write 10.0.0.1"),
    "IPv4-mapped, grouped": ("::FFFF:a00:1", "IPv4-mapped addresses are refused; write 10.0.0.1"),
    "IPv4-mapped, in full": ("0:0:0:0:0:ffff:0a00:0001", "write 10.0.0.1"),
    "zone id": ("fe80::1%eth0", "zone ids are refused; write fe80::1"),
    "numeric zone id": ("fe80::1%1", "zone ids are refused; write fe80::1"),
    "empty zone id": ("fe80::1%", "zone ids are refused; write fe80::1"),
    "zone id on IPv4": ("10.0.0.1%eth0", "zone ids are refused; write 10.0.0.1"),
    "brackets": ("[::1]", "brackets belong to URLs, not to addresses; write ::1"),
    "bracket and port": ("[::1]:80", "brackets belong to URLs, not to addresses; write ::1"),
    "prefix length": ("10.1.2.3/8", "carries no prefix length; write 10.1.2.3"),
    "IPv6 prefix length": ("2001:db8::1/64", "carries no prefix length; write 2001:db8::1"),
    "NUL byte": ("10.0.0.1\x00", "NUL"),
    "NUL byte in IPv6": ("::1\x00", "NUL"),
    "control character": ("10.0.0.1\x7f", "only ASCII"),
    "empty": ("", "it is empty; write an address such as"),
    "too long": ("1" * 65, "longer than 64 characters"),
    "much too long": ("10.0.0.1" + " " * 1_000_000, "longer than 64 characters"),
    "part above 255": ("10.0.0.256", "at most 255"),
    "leading zeros above 255": ("10.0.0.0999", "leading zeros are ambiguous"),
    "negative part": ("10.0.0.-1", "neither IPv4"),
    "signed part": ("10.0.0.+1", "neither IPv4"),
    "underscore": ("10.0.0.1_0", "neither IPv4"),
    "exponent": ("1e1.0.0.1", "neither IPv4"),
    "hostname": ("localhost", "neither IPv4"),
    "netmask beside it": ("10.0.0.1,255.0.0.0", "neither IPv4"),
    "two compressions": ("1::2::3", "'::' may stand only once"),
    "three colons": (":::", "'::' may stand only once"),
    "five digits in a group": ("12345::", "at most four hexadecimal digits"),
    "nine groups": ("1:2:3:4:5:6:7:8:9", "eight groups"),
    "seven groups": ("1:2:3:4:5:6:7", "eight groups"),
    "compression of nothing": ("1:2:3:4::5:6:7:8", "eight groups"),
    "lone colon": (":", "eight groups"),
    "leading colon": (":1:2:3:4:5:6:7", "eight groups"),
    "trailing colon": ("1:2:3:4:5:6:7:", "eight groups"),
    "not hexadecimal": ("g::", "only hexadecimal digits"),
    "hexadecimal prefix in a group": ("::0x1", "only hexadecimal digits"),
    "leading zero in the IPv4 tail": ("64:ff9b::010.0.0.1", "IPv4 tail: leading zeros"),
    "short IPv4 tail": ("64:ff9b::10.1", "IPv4 tail: an IPv4 address has four parts"),
    "IPv4 tail in the middle": ("::10.0.0.1:1", "eight groups"),
    "tail after too many groups": ("1:2:3:4:5:6:7:10.0.0.1", "eight groups"),
}

REFUSED_PREFIXES = {
    "leading zero": ("010.0.0.0/8", "leading zeros are ambiguous; write 10.0.0.0/8"),
    "leading zero, one address": ("10.0.0.01/32", "ambiguous; write 10.0.0.1/32"),
    "two parts": ("10.8/16", "four parts"),
    "one part": ("10", "an integer is not an address"),
    "one part and length": ("10/8", "an integer is not an address"),
    "hexadecimal": ("0x0a000000/8", "hexadecimal"),
    "decimal integer": ("167772160/8", "an integer is not an address"),
    "trailing newline": ("10.0.0.0/8\n", "plain decimal number; write 10.0.0.0/8"),
    "trailing blank": ("10.0.0.0/8 ", "plain decimal number; write 10.0.0.0/8"),
    "leading blank": (" 10.0.0.0/8", "it contains a blank or a line break; write 10.0.0.0/8"),
    "blank before the slash": ("10.0.0.0 /8", "blank or a line break; write 10.0.0.0/8"),
    "blank after the slash": ("10.0.0.0/ 8", "plain decimal number; write 10.0.0.0/8"),
    "Arabic-Indic digits": ("١.٠.٠.٠/8", "only ASCII"),
    "Arabic-Indic length": ("10.0.0.0/٨", "plain decimal number"),
    "IPv4-mapped": ("::ffff:10.0.0.0/104", "IPv4-mapped addresses are refused; write 10.0.0.0/8"),
    "IPv4-mapped block": ("::ffff:0:0/96", "IPv4-mapped addresses are refused; write 0.0.0.0/0"),
    "IPv4-mapped, short length": ("::ffff:0:0/90", "IPv4-mapped addresses are refused"),
    "zone id": ("fe80::%eth0/64", "zone ids are refused; write fe80::/64"),
    "zone id at the end": ("fe80::/64%eth0", "plain decimal number"),
    "brackets": (
        "[2001:db8::]/32",
        "brackets belong to URLs, not to addresses; write 2001:db8::/32",
    ),
    "hostmask": ("10.0.0.0/0.255.255.255", "netmask or hostmask is not"),
    "hostmask hint": ("10.0.0.0/0.255.255.255", "write 10.0.0.0/8"),
    "netmask": (
        "10.0.0.0/255.0.0.0",
        "netmask or hostmask is not a prefix length; write 10.0.0.0/8",
    ),
    "netmask of nothing": ("0.0.0.0/0.0.0.0", "write 0.0.0.0/0"),
    "netmask with a hole": ("10.0.0.0/255.0.255.0", "netmask or hostmask is not a prefix length"),
    "IPv6 netmask": ("2001:db8::/ffff:ffff::", "not a prefix length; write 2001:db8::/32"),
    "netmask of the other family": ("10.0.0.0/ffff::", "plain decimal number"),
    "host bits": ("10.1.2.3/8", "host bits are set; write 10.0.0.0/8"),
    "IPv6 host bits": ("2001:db8::1/64", "host bits are set; write 2001:db8::/64"),
    "missing length": ("10.0.0.0", "the prefix length is missing; write 10.0.0.0/32"),
    "missing IPv6 length": ("2001:db8::", "the prefix length is missing; write 2001:db8::/128"),
    "empty length": ("10.0.0.0/", "plain decimal number"),
    "empty address": ("/8", "it is empty"),
    "empty": ("", "it is empty; write a prefix such as"),
    "leading zero in the length": ("10.0.0.0/08", "plain decimal number; write 10.0.0.0/8"),
    "two zeros": ("0.0.0.0/00", "plain decimal number; write 0.0.0.0/0"),
    "plus": ("10.0.0.0/+8", "plain decimal number; write 10.0.0.0/8"),
    "minus": ("10.0.0.0/-8", "plain decimal number"),
    "hexadecimal length": ("10.0.0.0/0x8", "plain decimal number"),
    "fraction": ("10.0.0.0/8.0", "plain decimal number"),
    "two lengths": ("10.0.0.0/8/8", "plain decimal number"),
    "IPv4 length too great": ("10.0.0.0/33", "the length of an IPv4 prefix is 0 to 32"),
    "IPv6 length too great": ("::/129", "the length of an IPv6 prefix is 0 to 128"),
    "NUL byte": ("10.0.0.0\x00/8", "NUL"),
    "too long": ("10.0.0.0/" + "0" * 60, "longer than 64 characters"),
}

NOT_TEXT = [b"10.0.0.1", 167772161, 1, True, None, 1.5, ["10.0.0.1"], 10**5000, Address.of(4, 1)]


@pytest.mark.parametrize(("text", "rule"), REFUSED_ADDRESSES.values(), ids=REFUSED_ADDRESSES)
def test_address_is_refused_with_its_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(rule)) as refusal:
        Address(text)
    assert str(refusal.value).startswith("address ")
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize(("text", "rule"), REFUSED_PREFIXES.values(), ids=REFUSED_PREFIXES)
def test_prefix_is_refused_with_its_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(rule)) as refusal:
        Prefix(text)
    assert str(refusal.value).startswith("prefix ")


@pytest.mark.parametrize(
    ("kind", "refused"), [(Address, REFUSED_ADDRESSES), (Prefix, REFUSED_PREFIXES)]
)
def test_what_a_refusal_advises_is_accepted(
    kind: type[Address | Prefix], refused: dict[str, tuple[str, str]]
) -> None:
    advised = 0
    for text, _ in refused.values():
        with pytest.raises(InvalidValue) as refusal:
            kind(text)
        for word in re.findall(r"; write ([0-9a-f.:/]+)$", str(refusal.value)):
            assert str(kind(word)) == word
            advised += 1
    assert advised > 15


@pytest.mark.parametrize("value", NOT_TEXT, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("kind", [Address, Prefix])
def test_what_is_not_text_is_refused(kind: type, value: object) -> None:
    with pytest.raises(InvalidValue, match="it must be text"):
        kind(value)


def test_mapped_address_has_a_code_of_its_own_and_names_the_ipv4_form() -> None:
    with pytest.raises(InvalidValue) as refusal:
        Address("::ffff:192.0.2.7")
    assert refusal.value.facts["why"] == "ipv4_mapped"
    assert "write 192.0.2.7" in refusal.value.message


def test_the_error_names_the_field_it_was_given() -> None:
    with pytest.raises(InvalidValue, match="gateway '10' is not valid") as refusal:
        parse_address("10", "gateway")
    assert refusal.value.facts["field"] == "gateway"


@pytest.mark.parametrize(
    ("text", "family", "value", "canonical"),
    [
        ("0.0.0.0", 4, 0, "0.0.0.0"),
        ("255.255.255.255", 4, 2**32 - 1, "255.255.255.255"),
        ("10.20.30.40", 4, 0x0A141E28, "10.20.30.40"),
        ("::", 6, 0, "::"),
        ("::1", 6, 1, "::1"),
        ("::a00:1", 6, 0x0A000001, "::a00:1"),
        ("::10.0.0.1", 6, 0x0A000001, "::a00:1"),
        ("::1:2", 6, 0x10002, "::1:2"),
        ("::1:0", 6, 0x10000, "::1:0"),
        ("::ffff", 6, 0xFFFF, "::ffff"),
        ("::ffff:ffff", 6, 0xFFFFFFFF, "::ffff:ffff"),
        ("::1:0:0", 6, 0x100000000, "::1:0:0"),
        ("::1:ffff:0:0", 6, 0x1FFFF00000000, "::1:ffff:0:0"),
        ("::ffff:0:10.0.0.1", 6, 0xFFFF00000A000001, "::ffff:0:a00:1"),
        ("64:ff9b::10.0.0.1", 6, (0x64FF9B << 96) + 0x0A000001, "64:ff9b::a00:1"),
        ("2001:DB8::00A", 6, (0x20010DB8 << 96) + 10, "2001:db8::a"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6, 2**128 - 1, ":".join(["ffff"] * 8)),
    ],
)
def test_accepted_text_has_one_value_and_one_canonical_spelling(
    text: str, family: int, value: int, canonical: str
) -> None:
    address = Address(text)
    assert (address.family, address.value) == (family, value)
    assert str(address) == canonical
    assert repr(address) == f"Address('{canonical}')"
    assert Address(canonical) == address


@pytest.mark.parametrize(  # RFC 5952, sections 4 and 2.1
    ("text", "canonical"),
    [
        ("2001:0db8::0001", "2001:db8::1"),
        ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:DB8:AAAA::", "2001:db8:aaaa::"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ],
)
def test_ipv6_text_is_written_as_rfc_5952_says(text: str, canonical: str) -> None:
    assert str(Address(text)) == canonical


def test_a_str_subclass_is_text() -> None:
    class Label(str):
        __slots__ = ()

    assert Address(Label("10.0.0.1")) == Address("10.0.0.1")


def test_a_library_that_reads_more_than_we_do_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lenient(family: int, text: str) -> bytes:
        return inet_pton(family, re.sub(r"%.*|[^0-9a-f:.]|(?<=[:.])0+(?=\d)", "", text))

    monkeypatch.setattr("allotment.model.address.inet_pton", lenient)
    assert lenient(AF_INET6, "fe80::1%eth0") == Address("fe80::1").packed
    for text in ("fe80::1%eth0", "64:ff9b::010.0.0.1", "::1\n", "::1 ", "[::1]", "010.0.0.1"):
        with pytest.raises(InvalidValue):
            Address(text)


near_addresses = st.one_of(
    st.text(alphabet="0123456789.", max_size=18),
    st.text(alphabet="0123456789abcdefABCDEF:.%/ x[]\n", max_size=40),
    st.lists(st.integers(0, 300).map(str), min_size=3, max_size=5).map(".".join),
    st.lists(
        st.one_of(
            st.just(""),
            st.integers(0, 0x1FFFF).map("{:x}".format),
            st.integers(0, 0xFFFF).map("{:04X}".format),
            st.sampled_from(["0", "0", "ffff", "10.0.0.1", "010.0.0.1", "1.2.3"]),
        ),
        max_size=10,
    ).map(":".join),
    st.ip_addresses().map(lambda address: address.exploded),
    st.ip_addresses().map(str),
    st.text(max_size=20),
)


def documented_refusal(text: str) -> bool:
    """Whether we refuse this address, which the standard library accepts, and say so."""
    theirs = ipaddress.ip_address(text)
    mapped = isinstance(theirs, ipaddress.IPv6Address) and theirs.ipv4_mapped is not None
    return mapped or "%" in text


@given(near_addresses)
def test_address_reader_agrees_with_the_standard_library(text: str) -> None:
    try:
        theirs = ipaddress.ip_address(text)
    except ValueError:
        with pytest.raises(InvalidValue):
            Address(text)
        return
    if documented_refusal(text):
        with pytest.raises(InvalidValue):
            Address(text)
        return
    ours = Address(text)
    assert (ours.family, ours.value) == (theirs.version, int(theirs))


near_prefixes = st.builds(
    "{}{}{}".format,
    st.one_of(near_addresses, st.sampled_from(["10.0.0.0", "0.0.0.0", "::", "2001:db8::"])),
    st.sampled_from(["/", "/", "/", "", "//"]),
    st.one_of(
        st.integers(-1, 130).map(str),
        st.integers(0, 9).map("0{}".format),
        st.sampled_from(["", " 8", "8 ", "+8", "8\n", "255.0.0.0", "0.255.255.255", "٨"]),
    ),
)


@given(near_prefixes)
def test_prefix_reader_accepts_nothing_the_standard_library_refuses(text: str) -> None:
    try:
        ours = Prefix(text)
    except InvalidValue:
        assert not should_be_a_prefix(text)
        return
    theirs = ipaddress.ip_network(text)
    assert (ours.family, ours.first, ours.length) == (
        theirs.version,
        int(theirs.network_address),
        theirs.prefixlen,
    )
    assert Prefix(str(ours)) == ours


def should_be_a_prefix(text: str) -> bool:
    """Accepted by the standard library, and none of the refusals that we document."""
    head, _, length = text.partition("/")
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return re.fullmatch("0|[1-9][0-9]*", length) is not None and not documented_refusal(head)
