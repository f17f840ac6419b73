"""Neutron's own transactions, as SQLAlchemy tells of them: when one commits, fails, or is lost.

Invariant: a ledger ends with its transaction, in one of three ways: done, not done, or unknown; an
error here never reaches Neutron.
"""

from __future__ import annotations

import sys
from typing import Any

from oslo_db import exception as db_exc
from oslo_log import log as logging
from sqlalchemy import event
from sqlalchemy.orm import Session

from allotment.doors.neutron.ledger import INFO_KEY, Ledger, Mark

LOG = logging.getLogger(__name__)


def ledger_of(session: object) -> Ledger | None:
    """The ledger of the transaction that a session is in; None where it is in none."""
    if not isinstance(session, Session) or not session.in_transaction():
        return None
    _listen()
    found = session.info.get(INFO_KEY)
    if found is None:
        found = session.info[INFO_KEY] = Ledger(_tell)
    assert isinstance(found, Ledger), "nobody else writes there"
    return found


def mark_of(session: object) -> Mark:
    """The savepoints that are open, innermost first."""
    found = []
    if isinstance(session, Session):
        inner: Any = session.get_nested_transaction()  # Any: a transaction or its parent
        while inner is not None and inner.nested:
            found.append(inner)
            inner = inner.parent
    return tuple(found)


def _tell(what: str, error: Exception) -> None:
    LOG.error(
        "The book and Neutron differ until 'allotment neutron reconcile' runs: %s was not done: %s",
        what,
        error,
    )


def _open_ledger(session: Session) -> Ledger | None:
    found = session.info.get(INFO_KEY)
    return found if isinstance(found, Ledger) and found.entries else None


def _before_commit(session: Session) -> None:
    """All that can fail before the commit itself fails here: what fails later is in doubt."""
    ledger = _open_ledger(session)
    if ledger is not None and not session.in_nested_transaction():
        session.flush()
        ledger.asked_to_commit = True


def _after_commit(session: Session) -> None:
    ledger = _open_ledger(session)
    if ledger is not None and not session.in_nested_transaction():
        ledger.commit()


def _after_soft_rollback(session: Session, previous: Any) -> None:  # Any: a SessionTransaction
    ledger = _open_ledger(session)
    if ledger is None:
        return
    if previous.nested:
        ledger.roll_back_to(previous)
    elif previous.parent is None:
        _end(ledger)


def _after_transaction_end(session: Session, transaction: Any) -> None:  # Any: as above
    """What was neither committed nor rolled back was given up: that is a rollback, too."""
    ledger = _open_ledger(session)
    if ledger is not None and transaction.parent is None:
        _end(ledger)


def _end(ledger: Ledger) -> None:
    """The transaction is over without a commit that was confirmed."""
    if ledger.asked_to_commit and not _surely_failed(sys.exception()):
        for what in ledger.leave_open():
            LOG.warning(
                "A commit of Neutron's was lost on the way: %s stays as it is in the book until "
                "'allotment neutron reconcile' has looked",
                what,
            )
        return
    ledger.roll_back()


def _surely_failed(error: BaseException | None) -> bool:
    """Whether the database itself has said that a commit did not happen."""
    return isinstance(error, db_exc.DBError) and not isinstance(error, db_exc.DBConnectionError)


_LISTENERS = (
    ("before_commit", _before_commit),
    ("after_commit", _after_commit),
    ("after_soft_rollback", _after_soft_rollback),
    ("after_transaction_end", _after_transaction_end),
)


def _listen() -> None:
    for name, listener in _LISTENERS:
        if not event.contains(Session, name, listener):
            event.listen(Session, name, listener)
