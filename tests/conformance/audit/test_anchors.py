"""Anchors: what somebody keeps elsewhere to prove that a log was not cut off.

Invariant: a log that no longer reaches its anchor is found, and a signed anchor cannot be changed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete

from allotment import LocalDesk, open_book
from allotment.errors import InvalidValue
from allotment.model.access import Actor
from allotment.model.commands import CreateAddressScope
from allotment.model.events import Anchor, AuditReport, SealAudit
from allotment.signing import is_signed
from conformance.audit.log import B, E, record, seal_in_blocks_of, verify


def test_a_log_without_events_has_the_anchor_of_nothing(desk: LocalDesk, me: Actor) -> None:
    anchor = desk.do(SealAudit(), me)
    assert anchor == Anchor(block=0, sequence=0, digest="00" * 32, at=0)
    assert verify(desk, me, anchor) == AuditReport(
        intact=True, events=0, blocks=0, unsealed=0, anchor=None, faults=()
    )


def test_a_log_that_was_cut_off_is_found_by_an_anchor_only(desk: LocalDesk, me: Actor) -> None:
    record(desk, range(20))
    seal_in_blocks_of(desk, 5)
    anchor = desk.do(SealAudit(), me)
    assert anchor.block == 4
    with desk.store.writing() as tx:
        tx.run(delete(E).where(E.c.id > 15))
        tx.run(delete(B).where(B.c.number > 3))
    assert verify(desk, me).intact
    (fault,) = verify(desk, me, anchor).faults
    assert fault.id == "block 4"
    assert "cut off" in fault.detail
    record(desk, range(20, 25))  # nobody makes the log reach the anchor again
    seal_in_blocks_of(desk, 5)
    (fault,) = verify(desk, me, anchor).faults
    assert "anchor is not met" in fault.detail


def test_an_anchor_is_signed_by_the_installations_key(
    database_url: str, me: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = tmp_path / "key", tmp_path / "public"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    monkeypatch.setenv("ALLOTMENT_AUDIT_KEY_FILE", str(key))
    with open_book(database_url, create=True) as desk:
        desk.do(CreateAddressScope(name="blue"), me)
        anchor = desk.do(SealAudit(), me)
        assert verify(desk, me, anchor).intact
        assert key.read_text().splitlines()[1] not in repr(vars(desk.store))
    assert is_signed(anchor, public)
    for field, value in (("block", 2), ("sequence", 2), ("digest", "00" * 32), ("at", 1)):
        assert not is_signed(msgspec.structs.replace(anchor, **{field: value}), public)
    assert not is_signed(msgspec.structs.replace(anchor, signature=None), public)
    assert not is_signed(msgspec.structs.replace(anchor, signature="no base64"), public)


@pytest.mark.parametrize("content", [None, "", "-----BEGIN PRIVATE KEY-----\nx\n"])
def test_a_key_file_that_holds_no_key_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    monkeypatch.setenv("ALLOTMENT_AUDIT_KEY_FILE", str(key))
    with pytest.raises(InvalidValue) as refused:
        open_book("sqlite://")
    assert refused.value.facts["field"] == "audit key file"
