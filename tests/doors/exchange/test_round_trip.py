"""What `export csv` writes, `import csv` makes again in an empty book: the same book."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from allotment.doors.exchange.export import csv_lines
from allotment.doors.exchange.report import Outcome
from allotment.doors.exchange.seat import DeskSeat
from allotment.errors import AllotmentError, InvalidValue
from allotment.model import names
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    AllocatePrefix,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.mac import Mac
from allotment.model.names import Rule
from allotment.model.prefix import Prefix
from allotment.model.queries import CheckBook
from allotment.model.results import AddressPlacement, Status

# Whatever a formula, a quote, a delimiter or a line end can do to a cell.
MARKS = "ab=+-@'\",; \t\n\r|#\\＝＋－＠é€\u202e"


def obeying(rule: Rule) -> st.SearchStrategy[str]:
    def obeys(text: str) -> bool:
        try:
            rule.check(text, "text")
        except InvalidValue:
            return False
        return True

    marks = st.sampled_from([mark for mark in MARKS if obeys(f"a{mark}a")])
    texts = st.text(marks, max_size=6).map(lambda text: text if obeys(text) else f"a{text.strip()}")
    return st.just("none") | texts.filter(obeys)


NAMES = obeying(names.NAME)
DESCRIPTIONS = obeying(names.DESCRIPTION)
IDENTIFIERS = st.none() | obeying(names.IDENTIFIER)
TAGS = st.lists(obeying(names.TAG), max_size=3).map(tuple)
HOSTNAMES = st.sampled_from([None, "web", "WEB.example.net", "a-b.example.net"])
PROJECTS = ("net", "=ops")
SCOPES = ("corp", "@lab")
SCOPE = st.sampled_from(SCOPES)
PROJECT = st.sampled_from([None, *PROJECTS])
SUBNETS = tuple(
    map(Prefix, ("10.0.0.0/28", "10.0.1.0/31", "10.9.0.0/24", "2001:db8::/64", "2001:db8:1::7/128"))
)
POOLS = tuple(
    tuple(map(Prefix, prefixes))
    for prefixes in (
        ("10.0.0.0/8",),
        ("10.0.0.0/16",),
        ("10.0.0.0/28",),
        ("2001:db8::/32",),
        ("10.8.0.0/24", "10.9.0.0/16"),
        ("192.0.2.0/24", "198.51.100.0/24"),
    )
)
MACS = st.sampled_from([None, Mac("02:00:00:00:00:0a")])
SAID = {"description": DESCRIPTIONS, "tags": TAGS}
HELD = {**SAID, "owner": PROJECT, "status": st.sampled_from(Status)}


@st.composite
def subnets(draw: st.DrawFn) -> CreateSubnet:
    prefix = draw(st.sampled_from(SUBNETS))
    inside = st.integers(prefix.first, prefix.last)
    first, last = sorted((draw(inside), draw(inside)))
    fields: dict[str, Any] = {}
    if draw(st.booleans()):
        fields["gateway"] = draw(
            st.none() | inside.map(lambda value: Address.of(prefix.family, value))
        )
    if draw(st.booleans()):
        ranges = [(), (AddressRange.of(prefix.family, first, last),)]
        fields["ranges"] = draw(st.sampled_from(ranges))
    return CreateSubnet(
        scope=draw(SCOPE),
        prefix=prefix,
        name=draw(st.none() | NAMES),
        placement=draw(st.sampled_from(AddressPlacement)),
        quarantine_seconds=draw(st.integers(0, 99)),
        project=draw(PROJECT),
        description=draw(DESCRIPTIONS),
        tags=draw(TAGS),
        **fields,
    )


@st.composite
def addresses(draw: st.DrawFn) -> AllocateAddress:
    prefix = draw(st.sampled_from(SUBNETS))
    value = draw(st.integers(prefix.first, min(prefix.last, prefix.first + 15)))
    return draw(
        st.builds(
            AllocateAddress,
            subnet=st.just(str(prefix)),
            scope=SCOPE,
            address=st.just(Address.of(prefix.family, value)),
            identifier=IDENTIFIERS,
            hostname=HOSTNAMES,
            mac=MACS,
            **HELD,
        )
    )


COMMANDS: st.SearchStrategy[Command[Any]] = st.one_of(
    st.builds(
        CreateSubnetPool,
        name=NAMES,
        scope=SCOPE,
        prefixes=st.sampled_from(POOLS),
        default_length=st.none() | st.integers(0, 32),
        project=PROJECT,
        **SAID,
    ),
    subnets(),
    subnets(),
    addresses(),
    st.builds(
        AllocateAddresses,
        subnet=st.sampled_from(SUBNETS).map(str),
        scope=SCOPE,
        count=st.integers(1, 9),
        hostname=HOSTNAMES,
        **HELD,
    ),
    st.builds(
        AllocatePrefix,
        pool=st.sampled_from(POOLS).map(lambda prefixes: str(prefixes[-1])),
        scope=SCOPE,
        length=st.integers(20, 64),
        identifier=IDENTIFIERS,
        **HELD,
    ),
)


def build(seat: DeskSeat, commands: list[Command[Any]], text: str) -> None:
    """A book of whatever the commands come to; some contradict others and are refused."""
    for name in PROJECTS:
        seat.do(CreateProject(name=name, description=text))
    for name in SCOPES:
        seat.do(CreateAddressScope(name=name, description=text))
    for command in commands:
        with suppress(AllotmentError):
            seat.do(command)


@settings(max_examples=40)
@given(given=st.tuples(st.lists(COMMANDS, min_size=3, max_size=14), DESCRIPTIONS))
def test_export_then_import_gives_the_same_book(
    two_books: Any, emptied: Any, contents: Any, from_csv: Any, given: Any
) -> None:
    seat, copy = map(emptied, two_books)
    build(seat, *given)
    written = "".join(csv_lines(seat))
    report = from_csv(copy, written)
    assert report.counts()[Outcome.REFUSED] == 0, [row.reason for row in report.rows]
    assert contents(copy) == contents(seat)
    assert "".join(csv_lines(copy)) == written
    assert from_csv(copy, written).counts()[Outcome.IMPORTED] == 0, "again, nothing is new"
    assert copy.ask(CheckBook()).clean
