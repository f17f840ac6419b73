"""A plug-in of pytest: Neutron's own tests run on our driver, each with a new book.

It is loaded by `run.py`, in Neutron's environment, and knows no test by name: whatever asks for
Neutron's reference driver gets ours.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_sets import NOT_APPLICABLE
from neutron.common import config as neutron_config
from oslo_config import cfg

from allotment import open_book
from allotment.doors.neutron import counter, options
from allotment.model.access import local_owner
from allotment.model.queries import CheckBook
from neutron import manager

# Some tests set options before anybody has made them known.
neutron_config.register_common_config_options()

GROUP = "neutron.ipam_drivers"
REFERENCE, OURS = "internal", "allotment"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, by name, what cannot apply."""
    out = [one for one in items if ".".join(one.nodeid.split("::")[-2:]) in NOT_APPLICABLE]
    if out:
        items[:] = [one for one in items if one not in out]
        config.hook.pytest_deselected(items=out)


@pytest.fixture(scope="session")
def empty_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a book with nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("book") / "empty.db"
    with open_book(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture(scope="session")
def _our_driver_is_loaded() -> Iterator[None]:
    load = manager.NeutronManager.load_class_for_provider

    def load_ours(namespace: str, name: str) -> Any:
        if (namespace, name) == (GROUP, REFERENCE):
            name = OURS
        return load(namespace, name)

    manager.NeutronManager.load_class_for_provider = staticmethod(load_ours)
    yield
    manager.NeutronManager.load_class_for_provider = load


@pytest.fixture(autouse=True)
def book(_our_driver_is_loaded: None, empty_book: Path, tmp_path: Path) -> Iterator[str]:
    """A new book for each test; whatever the test did, the book is consistent afterwards."""
    path = tmp_path / "book.db"
    shutil.copyfile(empty_book, path)
    url = f"sqlite:///{path}"
    options.register(cfg.CONF)
    cfg.CONF.set_override("database", url, options.SECTION)
    yield url
    counter.close()
    cfg.CONF.clear_override("database", options.SECTION)
    with open_book(url) as desk:
        report = desk.ask(CheckBook(), local_owner("test:check"))
    assert report.clean, report.faults
    os.unlink(path)
