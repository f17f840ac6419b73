"""Addresses that are not handed out: by what a request says, by what is held, by who asks.

Invariant: a refusal names what is wrong, and leaves the book as it was.
"""

from __future__ import annotations

from typing import Any

import pytest

from allotment import Address, LocalDesk, Prefix
from allotment.errors import (
    AddressTaken,
    AllotmentError,
    Forbidden,
    IdentifierTaken,
    InvalidValue,
    NotFound,
)
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Command,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    Method,
    ReleaseAddress,
)
from allotment.model.grants import CreateGrant, CreateToken, TargetKind
from allotment.model.queries import CheckBook, GetSubnet
from allotment.model.results import AddressPlacement
from allotment.operations.perform import Asked
from allotment.operations.retries import deadline_of
from allotment.teller import Job
from conformance.dumps import Dumper

T, USER = Actor(name="token:t"), Actor(name="user:u", kind=ActorKind.USER)
HERE = Address("10.0.0.9")
NO_CHOICE = "a specific address leaves no choice"
PAST = "the run goes past the end of the family"
END4 = Address("255.255.255.250")


@pytest.fixture
def book(desk: LocalDesk, me: Actor) -> LocalDesk:
    """Subnets, one whose addresses rest; `t` may allocate in `n`, where `j` holds `theirs`."""
    for command in (
        CreateAddressScope(name="s"),
        CreateProject(name="j"),
        CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"),
        CreateSubnet(prefix=Prefix("2001:db8::/64"), name="six"),
        CreateSubnet(prefix=Prefix("255.255.255.0/24"), name="last4"),
        CreateSubnet(prefix=Prefix("ffff:ffff::/32"), name="last6", gateway=None),
        CreateSubnet(prefix=Prefix("10.1.0.0/24"), name="resting", quarantine_seconds=3600),
        AllocateAddress(subnet="n", identifier="theirs", owner="j"),
        AllocateAddress(subnet="resting", address=Address("10.1.0.9")),
        ReleaseAddress(subnet="resting", address=Address("10.1.0.9")),
        CreateToken(name="t"),
        CreateGrant(actor=T.name, role=Role.ALLOCATOR, target=TargetKind.SUBNET, reference="n"),
    ):
        desk.do(command, me)  # type: ignore[arg-type]
    return desk


REFUSED: dict[str, tuple[Command[Any], type[AllotmentError], dict[str, object]]] = {
    "an address and a method": (
        AllocateAddress(subnet="n", address=HERE, method=Method.NEXT),
        InvalidValue,
        {"field": "method", "rule": NO_CHOICE},
    ),
    "an address and a placement": (
        AllocateAddress(subnet="n", address=HERE, placement=AddressPlacement.RANDOM),
        InvalidValue,
        {"field": "placement", "rule": NO_CHOICE},
    ),
    "an address and fallbacks": (
        AllocateAddress(subnet="n", address=HERE, fallbacks=("last4",)),
        InvalidValue,
        {"field": "fallbacks", "rule": NO_CHOICE},
    ),
    "a method and a placement": (
        AllocateAddress(subnet="n", method=Method.NEXT, placement=AddressPlacement.RANDOM),
        InvalidValue,
        {"field": "placement", "rule": "method next decides"},
    ),
    "a stable address of no interface": (
        AllocateAddress(subnet="six", method=Method.STABLE_PRIVATE),
        InvalidValue,
        {"field": "interface"},
    ),
    "a run past the last IPv4 address": (
        AllocateAddresses(subnet="last4", first=END4, count=7),
        InvalidValue,
        {"field": "count", "rule": PAST},
    ),
    "a run past the last IPv6 address": (
        AllocateAddresses(
            subnet="last6", first=Address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0"), count=17
        ),
        InvalidValue,
        {"field": "count", "rule": PAST},
    ),
    "a run in which an address rests": (
        AllocateAddresses(subnet="resting", first=Address("10.1.0.8"), count=3),
        AddressTaken,
        {"subnet": "10.1.0.0/24 (resting)"},
    ),
    "a run in no subnet": (
        AllocateAddresses(subnet="nowhere", count=1),
        NotFound,
        {"what": "subnet", "reference": "nowhere"},
    ),
}


def test_what_cannot_be_had_is_refused_by_its_field_and_changes_nothing(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    before = dump(book)
    for case, (command, kind, facts) in REFUSED.items():
        with pytest.raises(AllotmentError) as refused:
            book.do(command, me)
        assert type(refused.value) is kind, case
        assert facts.items() <= refused.value.facts.items(), case
        assert dump(book) == before, case


def test_an_identifier_of_somebody_elses_allocation_is_taken_and_does_not_say_whose(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    before = dump(book)
    with pytest.raises(IdentifierTaken) as refused:
        book.do(AllocateAddress(subnet="n", identifier="theirs"), T)
    assert refused.value.facts == {
        "identifier": "theirs", "holder": "somebody else's allocation",
    }  # fmt: skip
    assert dump(book) == before


def test_those_of_a_group_with_one_identifier_get_one_allocation(
    book: LocalDesk, me: Actor
) -> None:
    wish = AllocateAddress(subnet="n", identifier="new")
    jobs = [Job(Asked(me, wish), deadline_of(wish)) for _ in range(3)]
    first, *others = book._teller.serve_crowd(jobs)
    assert others == [first, first]
    assert book.ask(CheckBook(), me).allocations == 2


def test_an_interface_has_eight_stable_addresses_in_a_subnet_and_no_more(
    book: LocalDesk, me: Actor, dump: Dumper
) -> None:
    wish = AllocateAddress(subnet="six", method=Method.STABLE_PRIVATE, interface="eth0")
    held = {book.do(wish, me).address for _ in range(8)}
    assert len(held) == 8
    before = dump(book)
    with pytest.raises(AddressTaken) as refused:
        book.do(wish, me)
    assert Address(str(refused.value.facts["address"])) in held
    assert dump(book) == before
    other = AllocateAddress(subnet="six", method=Method.STABLE_PRIVATE, interface="eth1")
    assert book.do(other, me).address not in held


@pytest.mark.parametrize("name", ["n", "id"], ids=["in a transaction", "at once"])
@pytest.mark.parametrize("pretended", ["token:t", "user:somebody"])
def test_nobody_is_the_owner_by_a_name_that_needs_grants(
    book: LocalDesk, me: Actor, dump: Dumper, pretended: str, name: str
) -> None:
    subnet = str(book.ask(GetSubnet(subnet="n"), me).id) if name == "id" else name
    before = dump(book)
    with pytest.raises(Forbidden) as refused:
        book.do(AllocateAddress(subnet=subnet), Actor(name=pretended, kind=ActorKind.OWNER))
    assert refused.value.facts["actor"] == pretended
    assert dump(book) == before


@pytest.mark.parametrize("target", ["installation", "subnet"])
def test_who_may_allocate_is_served_at_once_and_told_what_is_not_there(
    book: LocalDesk, me: Actor, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """What is kept of rights and places is bounded, and what is forgotten is read again."""
    monkeypatch.setattr("allotment.operations.gate._KEPT_MAX", 1)
    if target == "installation":
        everywhere = TargetKind.INSTALLATION
        book.do(CreateGrant(actor=T.name, role=Role.ALLOCATOR, target=everywhere), me)
    book.do(CreateGrant(actor=USER.name, role=Role.ALLOCATOR, target=TargetKind.INSTALLATION), me)
    found, hidden = (str(book.ask(GetSubnet(subnet=name), me).id) for name in ("n", "six"))
    for _ in range(3):
        for actor in (T, USER):
            assert str(book.do(AllocateAddress(subnet=found), actor).subnet_id) == found
            nowhere = "00000000-0000-4000-8000-000000000000"
            with pytest.raises(NotFound):
                book.do(AllocateAddress(subnet=nowhere), actor)
        if target == "subnet":
            with pytest.raises(NotFound):
                book.do(AllocateAddress(subnet=hidden), T)
    assert book.ask(CheckBook(), me).allocations == 7
