"""The reference is made from the code and committed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_reference", ROOT / "docs" / "make_reference.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_says_what_the_code_says() -> None:
    for name, text in _maker().pages().items():
        committed = (ROOT / "docs" / "reference" / name).read_text()
        assert committed == text, f"{name} is old: run docs/make_reference.py"


def test_every_operation_and_every_error_is_in_the_reference() -> None:
    from allotment import errors
    from allotment.operations import registry

    text = (ROOT / "docs" / "reference" / "operations.md").read_text()
    commands, queries = registry.served()
    assert all(f"## {kind.__name__} →" in text for kind in commands | queries if kind.__name__)
    table = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert f"`{errors.PoolExhausted.code}`" in table
