"""Making a book and bringing it up to date: idempotent, by many at once, and never by guessing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, make_url, text

from allotment import LocalDesk, open_book
from allotment.errors import SchemaMismatch
from allotment.model.access import Actor
from allotment.model.commands import CreateAddressScope, CreateProject
from allotment.model.events import SealAudit
from allotment.model.queries import CheckBook, GetStatus, ListProjects
from allotment.store import migrations, schema, upgrade
from allotment.store.dialect import Dialect
from allotment.store.settings import CURSOR_KEY, PEPPER, SECRET
from conformance.dumps import Dumper


@pytest.fixture
def postgres_url(blank_postgres_url: str) -> str:
    """Here books are made, not copied."""
    return blank_postgres_url


def with_connection(desk: LocalDesk, use: Callable[[Connection], Any]) -> Any:
    dialect = desk.store.dialect
    with dialect.exclusive("read"), dialect.engine.connect() as conn:
        dialect.begin(conn, "read")
        return use(conn)


def set_version(desk: LocalDesk, version: str) -> None:
    with desk.store.writing() as tx:
        tx.run(text("UPDATE alembic_version SET version_num = :new"), {"new": version})


@pytest.fixture
def lasting_url(database_url: str) -> str:
    """A database that outlives its connections."""
    if database_url == "sqlite://":
        pytest.skip("a book in memory ends with its one connection")
    return database_url


# --- making a book


def test_making_a_book_again_changes_nothing(lasting_url: str, me: Actor, dump: Dumper) -> None:
    with open_book(lasting_url, create=True) as desk:
        desk.do(CreateProject(name="p"), me)
        desk.do(SealAudit(), me)  # or it is sealed when the desk is closed
        before = dump(desk)
    for _ in range(2):
        with open_book(lasting_url, create=True) as desk:
            assert dump(desk) == before
            assert upgrade.upgrade(desk.store.dialect) is False


def test_the_secret_of_a_book_is_made_once(lasting_url: str, dump: Dumper) -> None:
    found = set()
    for _ in range(3):
        with open_book(lasting_url, create=True) as desk:
            found.add(repr(dump(desk)["setting"]))
    assert len(found) == 1


MAKE = """
import sys
from allotment import local_owner, open_book
from allotment.model.commands import CreateProject
with open_book(sys.argv[1], create=sys.argv[2] == "create") as desk:
    print(desk.do(CreateProject(name=sys.argv[3]), local_owner()).name)
"""


def several(url: str, how: str, count: int) -> list[subprocess.CompletedProcess[str]]:
    command = [sys.executable, "-c", MAKE, url, how]
    running = [
        subprocess.Popen(
            [*command, f"p{number}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(count)
    ]
    done = []
    for one in running:
        out, err = one.communicate(timeout=120)
        done.append(subprocess.CompletedProcess(one.args, one.returncode, out, err))
    return done


def test_several_processes_that_make_one_book_at_once_all_succeed(
    lasting_url: str, me: Actor
) -> None:
    done = several(lasting_url, "create", 3)
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    with open_book(lasting_url) as desk:
        assert len(desk.ask(ListProjects(), me).items) == 3
        rows = with_connection(
            desk, lambda conn: conn.execute(text("SELECT name FROM setting ORDER BY name")).all()
        )
        assert [name for (name,) in rows] == [CURSOR_KEY, SECRET, PEPPER.format(1)]
        assert desk.ask(CheckBook(), me).clean


def test_several_first_commands_on_a_new_file_all_succeed(tmp_path: Path, me: Actor) -> None:
    url = f"sqlite:///{tmp_path}/book.db"
    done = several(url, "open", 3)
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    with open_book(url) as desk:
        assert len(desk.ask(ListProjects(), me).items) == 3


def test_a_new_file_becomes_a_book_by_itself(tmp_path: Path, me: Actor) -> None:
    with open_book(f"sqlite:///{tmp_path}/book.db") as desk:
        assert desk.ask(GetStatus(), me).projects == 0


def test_a_server_database_without_a_book_is_refused_with_the_command_to_run(
    postgres_url: str,
) -> None:
    secret = "hunter2"
    url = make_url(postgres_url).set(password=secret).render_as_string(hide_password=False)
    with pytest.raises(SchemaMismatch) as refusal:
        open_book(url)
    assert "allotment init" in str(refusal.value)
    assert str(make_url(url).database) in str(refusal.value)
    assert secret not in str(refusal.value)
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    assert inspect(engine).get_table_names() == [], "and it is left as it was"
    engine.dispose()


def test_a_file_with_somebody_elses_tables_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/theirs.db"
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE theirs (a int)"))
    engine.dispose()
    with pytest.raises(SchemaMismatch) as refusal:
        open_book(url)
    assert "allotment init" in str(refusal.value)


# --- another version


@pytest.mark.parametrize("create", [False, True], ids=["open", "init"])
def test_a_book_of_an_unknown_newer_version_is_refused_and_left_alone(
    lasting_url: str, dump: Dumper, create: bool
) -> None:
    with open_book(lasting_url, create=True) as desk:
        set_version(desk, "9999")
        before = dump(desk)
        with pytest.raises(SchemaMismatch) as refusal:
            open_book(lasting_url, create=create)
        assert refusal.value.phase == "connect"
        assert "9999" in str(refusal.value)
        assert "upgrade Allotment" in str(refusal.value)
        assert dump(desk) == before
        set_version(desk, schema.HEAD)
    open_book(lasting_url).close()


# --- what the migrations leave


def scripts() -> ScriptDirectory:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_the_head_is_the_newest_migration() -> None:
    assert scripts().get_heads() == [schema.HEAD]


def test_migrations_are_one_chain() -> None:
    steps = list(scripts().walk_revisions())
    assert [one.down_revision for one in steps[:-1]] == [one.revision for one in steps[1:]]
    assert steps[-1].down_revision is None


def test_a_migration_stands_by_itself() -> None:
    """It never reads today's schema, which tomorrow's version changes under it."""
    for path in Path(migrations.__file__).parent.glob("versions/v*.py"):
        assert "store.schema" not in path.read_text("utf-8"), path.name


def test_a_new_book_says_that_it_is_at_the_head(desk: LocalDesk) -> None:
    found = with_connection(desk, lambda conn: MigrationContext.configure(conn).get_current_heads())
    assert found == (schema.HEAD,)


def test_the_tables_are_those_that_the_schema_says(desk: LocalDesk) -> None:
    def compared(conn: Connection) -> Any:
        options = {"compare_type": _types_differ, "compare_server_default": False}
        return compare_metadata(MigrationContext.configure(conn, opts=options), schema.metadata)

    differences = with_connection(desk, compared)
    native = native_of(desk.store.dialect)
    assert [one for one in differences if not _is_no_table_of_ours(one, native)] == []


def _types_differ(
    context: MigrationContext, _found: Any, column: Any, there: Any, wanted: Any
) -> bool:
    """Our own types are compared by what they are in the database, collation included."""
    spelled = [str(one.compile(dialect=context.dialect)) for one in (there, wanted)]
    return spelled[0] != spelled[1]


def _is_no_table_of_ours(difference: Any, native: set[str]) -> bool:
    """What Alembic keeps for itself, or one database alone has."""
    what, one = difference[:2]
    own = what == "remove_table" and one.name == "alembic_version"
    return own or (what == "remove_index" and one.name in native)


def test_the_comparison_sees_a_difference(desk: LocalDesk) -> None:
    with desk.store.writing() as tx:
        tx.run(text("ALTER TABLE project ADD COLUMN extra INTEGER"))
    with pytest.raises(AssertionError):
        test_the_tables_are_those_that_the_schema_says(desk)


def declared() -> set[str]:
    """Every named constraint and index of the tables."""
    tables = schema.metadata.tables.values()
    names = {one.name for table in tables for one in (*table.constraints, *table.indexes)}
    assert None not in names, "every constraint has a name"
    return {str(name) for name in names}


def in_postgres(conn: Connection) -> set[str]:
    queries = (
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT viewname FROM pg_views WHERE schemaname = 'public'",
    )
    return {row[0] for query in queries for row in conn.execute(text(query))}


def native_of(dialect: Dialect) -> set[str]:
    """The names of the guards that only the database's own tongue can say."""
    names = set()
    for statement in statements_of(dialect):
        words = statement.replace("(", " ").split()
        for at, word in enumerate(words):
            if word in ("FUNCTION", "TRIGGER", "VIEW", "INDEX") and words[at - 1] == "CREATE":
                names.add(words[at + 1])
            if word == "CONSTRAINT" and words[at - 1] in ("ADD", "uuid", "BLOB"):
                names.add(words[at + 1])
    return names


def statements_of(dialect: Dialect) -> list[str]:
    """What each migration says in the database's own tongue, one after another."""
    return [statement for step in dialect.native_schema().values() for statement in step]


def test_every_guard_is_in_the_database_under_its_name(desk: LocalDesk) -> None:
    native = native_of(desk.store.dialect)
    if desk.store.dialect.concurrent:
        found = with_connection(desk, in_postgres)
        made = [one for one in statements_of(desk.store.dialect) if "DROP FUNCTION" not in one]
        assert len(native) == len(made) - 1, "all but the extension have a name"
    else:
        rows = with_connection(
            desk, lambda conn: conn.execute(text("SELECT name, sql FROM sqlite_master")).all()
        )
        found = {row[0] for row in rows}
        said = "\n".join(str(row[1]) for row in rows)
        found |= {name for name in declared() if f"CONSTRAINT {name} " in said}
    assert native
    assert not (declared() | native) - found


@pytest.mark.parametrize("guard", ["prefix_siblings_never_overlap", "subnet_never_overlaps"])
def test_overlaps_are_guarded_on_every_database(desk: LocalDesk, guard: str) -> None:
    assert any(name.startswith(guard) for name in native_of(desk.store.dialect))


def test_foreign_keys_and_durability_are_on(desk: LocalDesk) -> None:
    def settings(conn: Connection) -> dict[str, Any]:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        ask = "SHOW {}"
        if not desk.store.dialect.concurrent:
            names, ask = ("foreign_keys", "synchronous", "journal_mode"), "PRAGMA {}"
        return {name: conn.execute(text(ask.format(name))).scalar_one() for name in names}

    found = with_connection(desk, settings)
    if desk.store.dialect.concurrent:
        assert set(found.values()) == {"on"}
    else:
        mode = "memory" if desk.store.dialect.shown == "sqlite://" else "wal"
        assert found == {"foreign_keys": 1, "synchronous": 2, "journal_mode": mode}


def test_a_book_made_in_a_failed_attempt_is_no_book(tmp_path: Path, me: Actor) -> None:
    """All tables come in one transaction: an attempt that ends half-way leaves nothing."""
    url = f"sqlite:///{tmp_path}/book.db"
    code = (
        "import os, sys\n"
        "from allotment.store import settings, upgrade\n"
        "settings.enter_missing = lambda *_: os._exit(9)\n"
        "from allotment import open_book\n"
        "open_book(sys.argv[1], create=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, url], check=False, timeout=120)
    assert ended.returncode == 9
    with open_book(url, create=True) as desk:
        assert desk.do(CreateAddressScope(name="s"), me).name == "s"
        assert desk.ask(CheckBook(), me).clean
