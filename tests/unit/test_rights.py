"""What an actor may do, by their grants: each rule of it in a table that a person can check."""

from __future__ import annotations

from uuid import UUID

import pytest

from allotment.engine.access import (
    ANYWHERE,
    EVERYTHING,
    FOREVER,
    INSTALLATION,
    LEVELS_KEPT_MAX,
    NOTHING,
    Bounds,
    GrantFact,
    Rights,
    Want,
)
from allotment.model.access import Actor, Role

SCOPE, SUBNET, PROJECT, OTHER = (UUID(int=number) for number in range(1, 5))
HERE = frozenset({SCOPE, SUBNET})
NOW = 1_000
VIEWER, ALLOCATOR, OPERATOR, ADMIN = Role
ME = Actor(name="token:me")


def may(role: Role, target: UUID, expires_at: int | None = None) -> GrantFact:
    return GrantFact(target, role, deny=False, expires_at=expires_at)


def may_not(role: Role, target: UUID) -> GrantFact:
    return GrantFact(target, role, deny=True, expires_at=None)


def rights(*facts: GrantFact, bounds: Bounds | None = None) -> Rights:
    return Rights(ME, facts, NOW) if bounds is None else Rights(ME, facts, NOW, bounds)


TOUCHES = {
    "nothing": ((), False, False),
    "sees the subnet": ((may(VIEWER, SUBNET),), False, False),
    "allocates in the subnet": ((may(ALLOCATOR, SUBNET),), True, False),
    "allocates in the scope above": ((may(ALLOCATOR, SCOPE),), True, False),
    "allocates everywhere": ((may(ALLOCATOR, INSTALLATION),), True, True),
    "operates the subnet": ((may(OPERATOR, SUBNET),), True, True),
    "allocates for the project alone": ((may(ALLOCATOR, PROJECT),), False, False),
    "sees the project and the subnet": ((may(VIEWER, PROJECT), may(VIEWER, SUBNET)), False, False),
    "allocates for the project, sees the subnet": (
        (may(ALLOCATOR, PROJECT), may(VIEWER, SUBNET)),
        False,
        True,
    ),
    "allocates for the project, the subnet is hidden": (
        (may(ALLOCATOR, PROJECT), may(VIEWER, SUBNET), may_not(VIEWER, SUBNET)),
        False,
        False,
    ),
    "operates the subnet, denied at the project": (
        (may(OPERATOR, SUBNET), may_not(ALLOCATOR, PROJECT)),
        True,
        False,
    ),
    "operates the subnet, operating is denied at the project": (
        (may(OPERATOR, SUBNET), may_not(OPERATOR, PROJECT)),
        True,
        True,
    ),
    "operates the subnet, denied at the scope": (
        (may(OPERATOR, SUBNET), may_not(ALLOCATOR, SCOPE)),
        False,
        False,
    ),
    "operates another place": ((may(OPERATOR, OTHER),), False, False),
}


@pytest.mark.parametrize("case", TOUCHES)
def test_what_is_held_is_touched_by_who_may_allocate_there_and_for_its_owner(case: str) -> None:
    facts, nobodys, owned = TOUCHES[case]
    assert rights(*facts).may_touch(HERE, None) is nobodys
    assert rights(*facts).may_touch(HERE, PROJECT) is owned


def test_the_level_is_the_highest_grant_below_the_lowest_denial() -> None:
    mine = rights(may(VIEWER, SCOPE), may(OPERATOR, SUBNET), may_not(OPERATOR, SCOPE))
    assert (mine.granted(HERE), mine.cap(HERE), mine.level(HERE)) == (3, 2, 2)
    assert [mine.has(role, HERE) for role in Role] == [True, True, False, False]
    assert (mine.granted(ANYWHERE), mine.cap(ANYWHERE)) == (NOTHING, EVERYTHING)
    assert mine.level(frozenset({OTHER})) == NOTHING


def test_of_several_grants_the_higher_counts_and_of_several_denials_the_lower() -> None:
    for facts in ((VIEWER, ADMIN), (ADMIN, VIEWER)):
        assert rights(*(may(role, SUBNET) for role in facts)).level(HERE) == EVERYTHING
        denied = rights(may(ADMIN, SUBNET), *(may_not(role, SUBNET) for role in facts))
        assert denied.level(HERE) == NOTHING


def test_a_grant_ends_at_its_moment() -> None:
    assert rights(may(ADMIN, SUBNET, NOW)).level(HERE) == NOTHING
    assert rights(may(ADMIN, SUBNET, NOW + 1)).level(HERE) == EVERYTHING
    ends = [rights(may(ADMIN, SUBNET, end)).valid_until for end in (NOW, NOW + 1)]
    assert ends == [FOREVER, NOW + 1]
    bound = rights(may(ADMIN, SUBNET, NOW + 9), bounds=Bounds(until=NOW + 5))
    assert bound.valid_until == NOW + 5


def test_rights_last_as_long_as_the_longest_grant_of_the_role_or_a_higher_one() -> None:
    mine = rights(
        may(ALLOCATOR, SUBNET, NOW + 5), may(OPERATOR, SCOPE, NOW + 3), may_not(VIEWER, SCOPE)
    )
    assert mine.lasts_until(VIEWER, HERE) == NOW + 5
    assert mine.lasts_until(ALLOCATOR, HERE) == NOW + 5
    assert mine.lasts_until(OPERATOR, HERE) == NOW + 3
    assert mine.lasts_until(ADMIN, HERE) == 0
    assert mine.lasts_until(VIEWER, frozenset({OTHER})) == 0
    assert rights(may(VIEWER, INSTALLATION)).lasts_until(VIEWER, ANYWHERE) == FOREVER


def test_whoever_is_denied_anything_has_the_whole_of_nothing() -> None:
    assert rights(may(OPERATOR, INSTALLATION)).whole == 3
    assert rights(may(OPERATOR, INSTALLATION), may_not(ADMIN, OTHER)).whole == NOTHING
    assert rights(may(OPERATOR, SUBNET)).whole == NOTHING


@pytest.mark.parametrize(
    ("facts", "bounds", "unbounded"),
    [
        ((may(ADMIN, INSTALLATION),), Bounds(), True),
        ((may(OPERATOR, INSTALLATION),), Bounds(), False),
        ((may(ADMIN, INSTALLATION, NOW + 1),), Bounds(), False),
        ((may(ADMIN, INSTALLATION),), Bounds(home=PROJECT), False),
        ((may(ADMIN, INSTALLATION), may_not(ADMIN, OTHER)), Bounds(), False),
        ((may(ADMIN, SCOPE),), Bounds(), False),
    ],
)
def test_unbounded_is_who_may_do_everything_for_ever(
    facts: tuple[GrantFact, ...], bounds: Bounds, unbounded: bool
) -> None:
    assert rights(*facts, bounds=bounds).unbounded is unbounded


def test_hidden_is_where_even_looking_is_denied() -> None:
    mine = rights(may(ADMIN, INSTALLATION), may_not(VIEWER, SUBNET), may_not(ALLOCATOR, SCOPE))
    assert mine.hidden == {SUBNET}
    assert mine.denied == {SUBNET, SCOPE}
    assert mine.seen == {INSTALLATION}


def test_placed_is_where_the_role_or_a_higher_one_was_given() -> None:
    mine = rights(may(VIEWER, SCOPE), may(OPERATOR, SUBNET), may(ALLOCATOR, OTHER))
    assert mine.placed(VIEWER) == {SCOPE, SUBNET, OTHER}
    assert mine.placed(ALLOCATOR) == {SUBNET, OTHER}
    assert mine.placed(ADMIN) == frozenset()


@pytest.mark.parametrize(
    ("want", "there"),
    [
        (Want(None, None), True),
        (Want(ALLOCATOR, HERE), True),
        (Want(OPERATOR, HERE), False),
        (Want(ALLOCATOR, None), True),
        (Want(OPERATOR, None), False),
        (Want(VIEWER, frozenset({OTHER})), False),
    ],
)
def test_a_want_is_for_a_place_or_for_anywhere(want: Want, there: bool) -> None:
    assert rights(may(ALLOCATOR, SUBNET)).satisfies(want) is there


def test_what_is_denied_everywhere_is_wanted_in_vain_anywhere() -> None:
    mine = rights(may(OPERATOR, SUBNET), may_not(OPERATOR, INSTALLATION))
    assert mine.satisfies(Want(ALLOCATOR, None))
    assert not mine.satisfies(Want(OPERATOR, None))


def test_the_rights_of_an_actor_are_theirs_in_another_request_too() -> None:
    mine = rights(may(ALLOCATOR, SUBNET))
    assert mine.of(ME) is mine
    again = Actor(name="token:me", request_id="2")
    assert mine.of(again).actor is again
    assert mine.of(again).level(HERE) == mine.level(HERE)
    assert mine.actor is ME


def test_the_levels_kept_in_mind_are_bounded_and_the_others_are_right_too() -> None:
    mine = rights(may(ALLOCATOR, SUBNET))
    elsewhere = [frozenset({UUID(int=number)}) for number in range(100, 101 + LEVELS_KEPT_MAX)]
    assert {mine.level(place) for place in elsewhere} == {NOTHING}
    for _ in range(2):
        assert mine.has(ALLOCATOR, HERE)
        assert not mine.has(OPERATOR, HERE)
    assert len(mine._levels) == LEVELS_KEPT_MAX
