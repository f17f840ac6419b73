"""The audit log: sealing it, and proving that it is as it was sealed.

Invariant: sealing adds blocks and touches nothing else; who writes events never waits for it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from allotment.engine.audit_chain import BLOCK_EVENTS_MAX, START, Leaf, Link, leaf, link, seal
from allotment.engine.audit_proof import Known, Proof
from allotment.errors import StoreCorrupt
from allotment.model.events import Anchor, AuditReport, SealAudit, VerifyAudit
from allotment.model.results import Fault
from allotment.operations.registry import answers, handles
from allotment.store import audit_blocks
from allotment.store.session import Read, Write

FAULTS_MAX = 1000
BLOCKS_AT_ONCE = 200


@handles(SealAudit)
def seal_audit(tx: Write, _command: SealAudit) -> Anchor:
    """Add blocks until nothing is left to seal, or enough for one transaction was sealed."""
    audit_blocks.take_turn(tx)
    here = seal_blocks(tx, BLOCK_EVENTS_MAX, BLOCKS_AT_ONCE)
    anchor = _anchor(here)
    if tx.sign is None or not here.number:
        return anchor
    signature = b64encode(tx.sign(anchor.signed_bytes())).decode()
    return msgspec.structs.replace(anchor, signature=signature)


def seal_blocks(tx: Write, per_block: int, most: int) -> Link:
    """Add up to `most` blocks, while there is anything to seal; where the chain stands then."""
    here = _last(tx)
    for _ in range(most):
        found = _unsealed(tx, here, per_block)
        if not found:
            break
        block = seal(here, found, tx.now)
        audit_blocks.enter(tx, block)
        here = link(block)
        if len(found) < per_block:
            break  # whatever was committed meanwhile is for the next time
    return here


def is_sealed(r: Read) -> bool:
    """Whether every event is sealed; of a log whose last block was changed, sealing says so."""
    with suppress(StoreCorrupt):
        return not _unsealed(r, _last(r), 1)
    return False


def _unsealed(r: Read, here: Link, most: int) -> list[Leaf]:
    """The next events that no block has: the late ones, then the new ones."""
    found = [leaf(one) for one in audit_blocks.late(r, here.gaps, most)]
    if len(found) < most:
        found += [leaf(one) for one in audit_blocks.new(r, here.high, most - len(found))]
    return found


def _last(r: Read) -> Link:
    block = audit_blocks.last(r)
    if block is None:
        return START
    try:
        return link(block)
    except ValueError as error:
        raise StoreCorrupt(f"the audit's last block was changed: {error}") from error


@answers(VerifyAudit)
def verify_audit(r: Read, query: VerifyAudit) -> AuditReport:
    """Read every event and block once, of one snapshot."""
    proof = Proof(map(leaf, audit_blocks.events(r)), _known(query.anchors))
    faults: list[Fault] = []
    for what, detail in proof.findings(audit_blocks.blocks(r)):
        if len(faults) < FAULTS_MAX:
            faults.append(Fault(rule="A3", kind="audit", id=what, detail=detail, repairable=False))
    return AuditReport(
        intact=not faults,
        events=proof.events,
        blocks=proof.blocks,
        unsealed=proof.unsealed,
        anchor=_anchor(proof.head) if proof.head.number else None,
        faults=tuple(faults),
    )


def _known(anchors: Sequence[Anchor]) -> dict[int, list[Known]]:
    known: dict[int, list[Known]] = {}
    for one in anchors:
        known.setdefault(one.block, []).append(Known(one.sequence, one.digest, one.at))
    return known


def _anchor(here: Link) -> Anchor:
    return Anchor(
        block=here.number, sequence=here.sequence, digest=here.digest.hex(), at=here.sealed_at
    )
