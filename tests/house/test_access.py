"""That nothing is served without the access check: asked of Python, and tried out.

Invariant: nothing here is a list of operations; what is added later is bound by the same rules.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import UnsetType
from sqlalchemy import event

import allotment.operations  # noqa: F401 - registers every handler
from allotment import Address, AddressRange, LocalDesk, Mac, Prefix, local_owner, open_book
from allotment.engine import access
from allotment.errors import Bug, Forbidden, InvalidValue, NotFound, Unauthenticated
from allotment.model.access import Actor, ActorKind, Role
from allotment.model.commands import Batch, Command, CreateProject, UpdateProject
from allotment.model.events import ResolveOperation
from allotment.model.grants import CreateGrant, CreateToken, ListTokens, TargetKind, WhoAmI
from allotment.model.queries import GetProject, Query
from allotment.operations import aims, registry


def every(kind: type) -> list[type]:
    """All operations below Command or Query: asked of Python, so that none can be forgotten."""
    below = [one for child in kind.__subclasses__() for one in (child, *every(child))]
    return sorted({one for one in below if one.__module__.startswith("allotment.")}, key=str)


COMMANDS = every(Command)
QUERIES = every(Query)
EVERYTHING = COMMANDS + QUERIES

# What is about everything there is: for those only who have its role without exception.
WHOLE = {"CheckBook", "RepairBook", "ListEvents", "ListAudit", "VerifyAudit", "SealAudit"}
# What everybody may ask who is known: about themselves, and what is theirs.
OF_EVERYBODY = (WhoAmI, ListTokens, ResolveOperation)


def test_every_command_has_an_aim_or_is_about_everything() -> None:
    served_commands, served_queries = registry.served()
    aimless = (served_commands | served_queries | {Batch}) - aims.known()
    commands = {kind.__name__ for kind in aimless if issubclass(kind, Command)}
    queries = {kind.__name__ for kind in aimless if issubclass(kind, Query)}
    assert commands <= WHOLE
    readers = {kind.__name__ for kind in aimless if kind.needs is Role.VIEWER}  # type: ignore[attr-defined]
    assert queries - readers <= WHOLE, "a query of readers is bounded by what they see"


def test_every_command_and_query_has_a_handler_and_nothing_else_has() -> None:
    served_commands, served_queries = registry.served()
    assert served_commands | {Batch} == set(COMMANDS), "Batch is served part by part"
    assert served_queries == set(QUERIES)


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_operation_says_which_role_it_needs(kind: type) -> None:
    assert isinstance(kind.needs, Role)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", EVERYTHING)
def test_every_operation_is_documented_and_closed(kind: type[msgspec.Struct]) -> None:
    assert kind.__doc__
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("method", [LocalDesk.do, LocalDesk.ask])
def test_no_desk_knows_a_default_actor(method: Callable[..., Any]) -> None:
    _, request, actor = inspect.signature(method).parameters.values()
    for one in (request, actor):
        assert one.default is inspect.Parameter.empty
        assert one.kind is inspect.Parameter.POSITIONAL_ONLY
    assert actor.name == "actor"


@pytest.mark.parametrize("seal", [None, object(), "seal", True])
def test_a_permit_cannot_be_made_by_hand(seal: object) -> None:
    wish = CreateProject(name="p")
    with pytest.raises(Bug, match="authorize"):
        access.Permit(seal, access.owner_rights(local_owner()), wish, wish, None)


@pytest.mark.parametrize("thing", [None, "CreateProject", object(), local_owner()])
def test_what_is_neither_command_nor_query_is_refused(thing: Any) -> None:
    with open_book("sqlite://", create=True) as desk:
        with pytest.raises(InvalidValue, match="command"):
            desk.do(thing, local_owner())
        with pytest.raises(InvalidValue, match="command"):
            desk.do(GetProject(project="p"), local_owner())  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="query"):
            desk.ask(thing, local_owner())
        with pytest.raises(InvalidValue, match="query"):
            desk.ask(CreateProject(name="p"), local_owner())  # type: ignore[arg-type]


EXAMPLES: dict[type, object] = {
    str: "a-name",
    bool: True,
    int: 60,
    Address: Address("10.0.0.5"),
    Prefix: Prefix("10.0.0.0/24"),
    AddressRange: AddressRange("10.0.0.5-10.0.0.9"),
    Mac: Mac("02:00:00:00:00:01"),
}


def example(hint: Any) -> object:
    """A value of a type, made from nothing but the type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return example(get_args(hint)[0])
    if origin in (Union, UnionType):
        absent = (NoneType, UnsetType)
        return example(next(one for one in get_args(hint) if one not in absent))
    if origin is tuple:
        return (example(get_args(hint)[0]),)
    if origin is Command:
        return CreateProject(name="part")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return next(instances(hint))
    return EXAMPLES[hint]


def instances(kind: type[msgspec.Struct]) -> Iterator[msgspec.Struct]:
    """An operation with the fields it must have, and with all it can have."""
    hints = get_type_hints(kind, include_extras=True)
    fields = msgspec.structs.fields(kind)
    yield kind(**{one.name: example(hints[one.name]) for one in fields if one.required})
    keyless = getattr(kind, "takes_key", True) is False
    given = [one.name for one in fields if not (keyless and one.name == "idempotency_key")]
    yield kind(**{name: example(hints[name]) for name in given})


class Watch:
    """Counts what reaches the database: statements, and connections that could carry them."""

    def __init__(self, desk: LocalDesk) -> None:
        self.seen: list[str] = []
        engine = desk.store.dialect.engine
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine.pool, "checkout", self._connection)

    def _statement(self, _conn: object, _cursor: object, statement: str, *_: object) -> None:
        self.seen.append(statement)

    def _connection(self, *_: object) -> None:
        self.seen.append("a connection")


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], scope="module"
)
def watched(request: pytest.FixtureRequest) -> Iterator[tuple[LocalDesk, Watch]]:
    url, drop = "sqlite://", None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url, drop = server.create_database(), server.drop_database
    with open_book(url, create=True) as desk:
        yield desk, Watch(desk)
    if drop is not None:
        drop(url)


ASKED = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)", re.IGNORECASE)
OF_ACCESS = {"access_epoch", "token", "project"}  # a token, with the name of its project
OF_GRANTS = OF_ACCESS | {"access_grant"}
OF_REFUSALS = {"event"}
OF_KEYS = {"idempotency"}


def tables(watch: Watch) -> set[str]:
    """The tables that were asked since the watch was cleared."""
    return {name.lower() for one in watch.seen for name in ASKED.findall(one)}


def serve(desk: LocalDesk, request: Any, actor: Actor) -> object:
    return (desk.do if isinstance(request, Command) else desk.ask)(request, actor)


STRANGERS = [
    Actor(name="token:1", kind=ActorKind.TOKEN),
    Actor(name="token:1"),
    Actor(name=local_owner().name, kind=ActorKind.TOKEN),
    Actor(name="user:1", kind=ActorKind.TOKEN),
    Actor(name="token:1", kind=ActorKind.USER),
]


@pytest.mark.parametrize(
    "actor", STRANGERS, ids=["token", "by default", "namesake", "no token", "no user"]
)
@pytest.mark.parametrize("kind", EVERYTHING)
def test_a_stranger_is_nobody_and_reaches_nothing_but_the_check(
    watched: tuple[LocalDesk, Watch], kind: type[msgspec.Struct], actor: Actor
) -> None:
    desk, watch = watched
    for request in instances(kind):
        watch.seen.clear()
        with pytest.raises(Unauthenticated):
            serve(desk, request, actor)
        assert tables(watch) <= OF_ACCESS | OF_REFUSALS


@pytest.mark.parametrize("name", ["token:1", "user:1"])
def test_nobody_owns_a_book_who_bears_the_name_of_a_token(
    watched: tuple[LocalDesk, Watch], name: str
) -> None:
    desk, watch = watched
    watch.seen.clear()
    with pytest.raises(Forbidden):
        desk.do(CreateProject(name="p"), Actor(name=name, kind=ActorKind.OWNER))
    assert tables(watch) <= OF_REFUSALS


@pytest.fixture(scope="module")
def ungranted(watched: tuple[LocalDesk, Watch]) -> Actor:
    watched[0].do(CreateToken(name="ungranted"), local_owner())
    return Actor(name="token:ungranted")


@pytest.mark.parametrize("kind", [kind for kind in EVERYTHING if kind not in OF_EVERYBODY])
def test_whoever_holds_no_grant_changes_nothing_and_is_told_nothing(
    watched: tuple[LocalDesk, Watch], kind: type[msgspec.Struct], ungranted: Actor
) -> None:
    """A query reads grants only; what a command refers to is looked for, and not seen."""
    desk, watch = watched
    for request in instances(kind):
        watch.seen.clear()
        with pytest.raises((Forbidden, NotFound, InvalidValue)):
            serve(desk, request, ungranted)
        asked = tables(watch)
        if isinstance(request, Query):
            assert asked <= OF_GRANTS | OF_REFUSALS
        written = {
            name.lower()
            for one in watch.seen
            if not one.lstrip().upper().startswith(("SELECT", "WITH"))
            for name in ASKED.findall(one)
        }
        assert written <= OF_REFUSALS | OF_KEYS


def test_the_watch_sees_what_the_owner_does(watched: tuple[LocalDesk, Watch]) -> None:
    desk, watch = watched
    watch.seen.clear()
    desk.do(CreateProject(name="seen"), local_owner())
    assert "a connection" in watch.seen
    assert any("INSERT INTO project" in one for one in watch.seen)
    watch.seen.clear()
    desk.ask(GetProject(project="seen"), local_owner())
    assert len(watch.seen) > 1


@pytest.mark.parametrize("kind", EVERYTHING)
def test_no_subclass_or_other_kind_of_role_gets_round_the_check(kind: type[msgspec.Struct]) -> None:
    """Deny by default: a role that is none is nobody's, whatever the actor's rights."""
    request = next(instances(kind))
    unsure = type(kind.__name__, (kind,), {"needs": "owner", "__module__": __name__})
    fields = {one.name: getattr(request, one.name) for one in msgspec.structs.fields(kind)}
    with pytest.raises(Forbidden):
        access.authorize(access.owner_rights(local_owner()), unsure(**fields))


def test_each_part_of_a_batch_is_looked_at_when_its_turn_comes(
    watched: tuple[LocalDesk, Watch],
) -> None:
    """One part that is refused refuses the batch, and what the parts before it did is undone."""
    desk, _ = watched
    made = desk.do(CreateProject(name="parted"), local_owner())
    desk.do(CreateToken(name="parting"), local_owner())
    grant = CreateGrant(
        actor="token:parting", role=Role.ADMIN, target=TargetKind.PROJECT, reference=str(made.id)
    )
    desk.do(grant, local_owner())
    actor = Actor(name="token:parting")
    allowed = UpdateProject(project="parted", description="changed")
    for refused in (CreateProject(name="secret"), UpdateProject(project="seen", description="x")):
        with pytest.raises((Forbidden, NotFound)):
            desk.do(Batch(commands=(allowed, refused)), actor)
        assert desk.ask(GetProject(project="parted"), actor).description == ""
    desk.do(Batch(commands=(allowed, allowed)), actor)
    assert desk.ask(GetProject(project="parted"), actor).description == "changed"


def test_a_batch_cannot_hide_another_batch_or_a_key(watched: tuple[LocalDesk, Watch]) -> None:
    desk, watch = watched
    watch.seen.clear()
    inner = Batch(commands=(CreateProject(name="p"),))
    keyed = CreateProject(name="p", idempotency_key="k")
    for part in (inner, keyed):
        with pytest.raises(InvalidValue):
            desk.do(Batch(commands=(part,)), local_owner())
    assert watch.seen == []
