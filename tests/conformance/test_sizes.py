"""The database counts free addresses as Python's integers would, at every width."""

from __future__ import annotations

from uuid import uuid4

import hypothesis.strategies as st
from hypothesis import HealthCheck, example, given, settings

from allotment import LocalDesk
from allotment.model.extent import Extent
from allotment.store import extents

LAST = (1 << 128) - 1
NOW_IS_LATER = 1 << 62

ends = st.one_of(
    st.integers(0, LAST),
    st.builds(lambda bits, near: min(LAST, max(0, (1 << bits) + near)), st.integers(0, 128),
              st.integers(-2, 2)),
)  # fmt: skip
runs = st.builds(lambda a, b: Extent(min(a, b), max(a, b)), ends, ends)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    free=st.lists(runs, max_size=6, unique_by=lambda run: run.last),
    resting=st.lists(runs, max_size=3, unique_by=lambda run: run.last),
)
@example(free=[Extent(0, LAST)], resting=[])
@example(free=[Extent((1 << 127) - 1, 1 << 127)], resting=[Extent(0, 0)])
def test_free_and_resting_addresses_are_summed_exactly(
    desk: LocalDesk, free: list[Extent], resting: list[Extent]
) -> None:
    kept = {run.last for run in free}
    resting = [run for run in resting if run.last not in kept]
    container, other = uuid4(), uuid4()
    with desk.store.writing() as tx:
        extents.insert_all(tx, container, [(run, 0, None) for run in free])
        extents.insert_all(tx, container, [(run, NOW_IS_LATER, None) for run in resting])
        extents.insert_all(tx, other, [(Extent(5, 9), 0, None)])
    with desk.store.reading() as r:
        told = {(one, rests): total for one, rests, total in extents.totals(r, [container, other])}
    due = {(container, False): free, (container, True): resting, (other, False): [Extent(5, 9)]}
    assert told == {key: sum(run.size for run in runs) for key, runs in due.items() if runs}
