"""That the code keeps the rules of the access check, and that each rule can fail.

Invariant: every rule has a case that breaks it.
"""

from __future__ import annotations

import ast

import pytest

from house.access_rules import (
    RULES,
    Rule,
    an_actor_is_always_named,
    each_operation_has_one_handler,
    handlers_are_reached_by_the_registry_only,
    permits_are_asked_for_in_the_transaction,
    permits_come_from_authorize,
    statements_are_written_in_the_store_only,
    the_registry_keeps_its_tables,
    transactions_begin_at_the_desk_only,
)
from house.permit_flow import (
    PERMITTING,
    handlers_are_run_with_a_permit_only,
    takers_of_permits,
    what_takes_a_permit_is_given_one,
)
from house.syntax import functions, nodes, said, the_code


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps(rule: Rule) -> None:
    broken = list(rule(the_code()))
    assert not broken, "\n".join(broken)


KEEPS = "class Job(NamedTuple):\n    permit: Permit[C]\n    deadline: float\n"
TAKES = "def serve(tx, permit: Permit[C]): ...\n"
BAD: list[tuple[Rule, str, str]] = [
    (permits_come_from_authorize, "desk.py", "Permit(seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "access.Permit(seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "Permit[Any](seal, actor, command)"),
    (permits_come_from_authorize, "desk.py", "Permit.__new__(Permit)"),
    (permits_come_from_authorize, "engine/access.py", "def grant(): return Permit(_SEAL, a, c)"),
    (permits_come_from_authorize, "desk.py", "from allotment.engine.access import _SEAL"),
    (permits_come_from_authorize, "desk.py", "permit.request = other"),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@handles(CreateSubnet)\ndef create(tx, c): ...\ndef other(tx): create(tx, 1)",
    ),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@registry.answers(GetSubnet)\ndef get(r, q): ...\nother = get",
    ),
    (the_registry_keeps_its_tables, "desk.py", "registry._one[kind](tx, command)"),
    (the_registry_keeps_its_tables, "desk.py", "from allotment.operations.registry import _many"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx, c)"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx, Permit_of(c))"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): serve(tx)"),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(p: Permit[C]):\n    for c in p.request.commands:\n        serve(tx, c)",
    ),
    (what_takes_a_permit_is_given_one, "desk.py", KEEPS + "def do(c): return Job(c, 1)"),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + KEEPS + "def do(j): serve(tx, j.wish)"),
    (transactions_begin_at_the_desk_only, "bootstrap.py", "with store.writing() as tx: ..."),
    (transactions_begin_at_the_desk_only, "doors/cli/app.py", "desk.store.reading()"),
    (transactions_begin_at_the_desk_only, "desk.py", "self.store.dialect.engine.connect()"),
    (transactions_begin_at_the_desk_only, "desk.py", "create_engine(url)"),
    (handlers_are_run_with_a_permit_only, "desk.py", "def do(self, c): registry.run(tx, c)"),
    (
        handlers_are_run_with_a_permit_only,
        "operations/perform.py",
        "def do(tx, permit: AnyPermit): return registry.run_many(tx, [permit.request])",
    ),
    (handlers_are_run_with_a_permit_only, "desk.py", "def ask(r): return registry.answer(r)"),
    (
        permits_are_asked_for_in_the_transaction,
        "desk.py",
        "def do(self, rights, c): return authorize(rights, c)",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def plain(self, actor: Actor, c): return authorize(self.rights, c, wants=[])",
    ),
    (an_actor_is_always_named, "client.py", "def do(self, command, actor=None): ..."),
    (an_actor_is_always_named, "client.py", "def ask(self, query): ..."),
    (
        each_operation_has_one_handler,
        "operations/subnets.py",
        "@handles(A)\ndef one(): ...\n@handles_many(A)\ndef two(): ...",
    ),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'DELETE FROM subnet'"),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'select id\\nfrom subnet'"),
]
GOOD: list[tuple[Rule, str, str]] = [
    (
        permits_come_from_authorize,
        "engine/access.py",
        "def authorize(a, r): return Permit(_SEAL, a, r)",
    ),
    (
        handlers_are_reached_by_the_registry_only,
        "operations/subnets.py",
        "@handles(A)\ndef create(tx, c): return read(tx)\ndef read(tx): ...",
    ),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(c):\n    p = authorize(a, c)\n    def once(): return serve(tx, p)\n",
    ),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + "def do(ps: Sequence[Permit[C]]): return [serve(tx, p) for p in ps]",
    ),
    (what_takes_a_permit_is_given_one, "desk.py", TAKES + "def do(c): other.serve(tx, c)"),
    (
        what_takes_a_permit_is_given_one,
        "desk.py",
        TAKES + KEEPS + "def do(c):\n    job = Job(authorize(a, c), 1)\n    serve(tx, job.permit)",
    ),
    (transactions_begin_at_the_desk_only, "desk.py", "with self.store.writing() as tx: ..."),
    (
        handlers_are_run_with_a_permit_only,
        "operations/perform.py",
        "def do(tx, permit: AnyPermit): return registry.run_many(tx, [permit])",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def permit(self, r: Read, rights, c): return authorize(rights, c)",
    ),
    (
        permits_are_asked_for_in_the_transaction,
        "operations/gate.py",
        "def plain(a, c, e): return authorize(a, c, epoch=e) or authorize(owner_rights(a), c)",
    ),
    (an_actor_is_always_named, "client.py", "def do(self, command, actor, /): ..."),
    (
        each_operation_has_one_handler,
        "a.py",
        "@handles(A)\ndef one(): ...\n@handles(B)\ndef two(): ...",
    ),
    (statements_are_written_in_the_store_only, "store/x.py", "x = 'DELETE FROM subnet'"),
    (statements_are_written_in_the_store_only, "desk.py", "x = 'select an address'"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BAD)
def test_each_rule_can_fail(rule: Rule, path: str, text: str) -> None:
    assert list(rule({path: ast.parse(text)}))


@pytest.mark.parametrize(("rule", "path", "text"), GOOD)
def test_no_rule_cries_wolf(rule: Rule, path: str, text: str) -> None:
    assert not list(rule({path: ast.parse(text)}))


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_a_permit_is_followed_from_the_check_to_every_handler() -> None:
    wanting = {
        name for (path, name), _ in takers_of_permits(the_code()) if path.endswith("registry.py")
    }
    assert wanting == {"run", "run_many", "answer"}, "the registry's doors are what is followed"


def test_what_answers_with_a_permit_is_known_and_says_so() -> None:
    methods = {
        function.name
        for tree in the_code().values()
        for kind in nodes(tree)
        if isinstance(kind, ast.ClassDef)
        for function in functions(kind)
        if "Permit" in said(function.returns)
    }
    assert methods == PERMITTING
