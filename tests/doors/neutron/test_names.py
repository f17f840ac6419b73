"""What Neutron's things are called, and in which scope they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Place, Plan, Unpooled
from allotment.model.address import Address
from allotment.model.names import IDENTIFIER, NAME, TAG

ID = "0d1c8ef2-8b1f-4b4c-b3cf-9f2f6a1b2c3d"


@given(st.uuids().map(str))
def test_a_name_gives_its_id_back_and_is_a_name_of_the_book(some_id: str) -> None:
    subnet, pool = names.subnet_name(some_id), names.pool_name(some_id)
    assert (names.subnet_of(subnet), names.pool_of(pool)) == (some_id, some_id)
    assert (names.subnet_of(pool), names.pool_of(subnet)) == (None, None)
    for name in (subnet, pool):
        NAME.check(name, "name")
    said = names.identifier(some_id, Address("2001:db8::1"))
    IDENTIFIER.check(said, "identifier")
    assert names.port_of(said) == some_id


@pytest.mark.parametrize("other", [None, "", "web", "port", "neutron-subnet-"])
def test_other_names_are_nobody_s(other: str | None) -> None:
    assert names.subnet_of(other) is None
    assert names.pool_of(other) is None
    assert names.port_of(other) is None


@given(st.text(max_size=300))
def test_whatever_a_project_is_called_its_tag_is_a_tag(project: str) -> None:
    TAG.check(names.project_tag(project), "tag")


def test_a_project_s_tag_gives_it_back() -> None:
    assert names.project_of((names.project_tag(ID), "other")) == ID
    assert names.project_of((names.project_tag(None),)) is None
    assert names.project_of(()) is None


def test_two_projects_have_two_tags_however_long_they_are() -> None:
    assert names.project_tag("x" * 100) != names.project_tag("x" * 101)


def test_an_attempt_says_its_request() -> None:
    assert names.request_of(names.attempt("req-7", "abc")) == "req-7"
    assert names.request_of("somebody else's words") is None


def place(**facts: str | None) -> Place:
    given = {"subnet_id": "s", "prefix": "10.0.0.0/24", "network_id": "n"} | facts
    return Place(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("where", "scope"),
    [
        (place(), "neutron-network-n"),
        (place(network_id=None), "neutron-subnet-s"),
        (place(pool_id="p"), "neutron-pool-p"),
        (place(pool_id="p", address_scope_id="a"), "neutron-scope-a"),
        (place(prefix="::/64"), "neutron-subnet-s"),
        (place(pool_id="prefix_delegation", prefix="2001:db8::/64"), "neutron-subnet-s"),
    ],
)
def test_what_may_overlap_stands_apart(where: Place, scope: str) -> None:
    assert Plan().scope_of(where) == scope


def test_subnets_of_no_pool_may_each_stand_alone() -> None:
    assert Plan(unpooled=Unpooled.SUBNET).scope_of(place()) == "neutron-subnet-s"


def test_scopes_of_the_operator_s_own_are_used() -> None:
    plan = Plan(scopes={"a": "corp", "n": "lab", "p": "dmz"})
    assert plan.scope_of(place(pool_id="p", address_scope_id="a")) == "corp"
    assert plan.scope_of(place(pool_id="p")) == "dmz"
    assert plan.scope_of(place()) == "lab"
    assert plan.scope_of(place(prefix="::/64")) == "neutron-subnet-s", "many have that prefix"
