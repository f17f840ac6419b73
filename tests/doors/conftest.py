"""An empty book to be copied, and a machine that says nothing of its own.

Invariant: no test finds a book, a server or a colour that it did not ask for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from live_server import make_book


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of an empty book, and the token of its administrator."""
    path = tmp_path_factory.mktemp("template") / "book.db"
    return path, make_book(path)


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own colours the output or says where the book is."""
    for name in list(os.environ):
        if name.startswith("ALLOTMENT_") and name != "ALLOTMENT_TEST_POSTGRES":
            monkeypatch.delenv(name)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
