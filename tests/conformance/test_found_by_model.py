"""Faults that the model and the races found, each as the smallest test that showed it."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Event, Thread, Timer
from time import monotonic

from allotment import AddressRange, LocalDesk, Prefix, open_book
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    CreateAddressScope,
    CreateSubnet,
    ReleaseAddress,
    UpdateAllocationPools,
)

CROWD = 8
PATIENCE_SECONDS = 3.0


def test_new_pools_do_not_wait_for_the_crowd_to_go_home(postgres_url: str, me: Actor) -> None:
    """L4: those who share a subnet's row came past the one who waits to have it alone."""
    busy, over = Event(), Event()
    with ExitStack() as open_desks:
        desks = [
            open_desks.enter_context(open_book(postgres_url, create=True)) for _ in range(CROWD)
        ]
        mine = desks[0]
        mine.do(CreateAddressScope(name="s"), me)
        mine.do(CreateSubnet(prefix=Prefix("10.0.0.0/24"), name="n"), me)

        def crowd(desk: LocalDesk) -> None:
            while not over.is_set():
                made = desk.do(AllocateAddress(subnet="n"), me)
                desk.do(ReleaseAddress(subnet="n", address=made.address), me)
                busy.set()

        threads = [Thread(target=crowd, args=(desk,)) for desk in desks[1:]]
        for thread in threads:
            thread.start()
        busy.wait()
        closing_time = Timer(2 * PATIENCE_SECONDS, over.set)
        closing_time.start()
        begun = monotonic()
        mine.do(
            UpdateAllocationPools(subnet="n", ranges=(AddressRange("10.0.0.2-10.0.0.200"),)), me
        )
        took = monotonic() - begun
        over.set()
        closing_time.cancel()
        for thread in (*threads, closing_time):
            thread.join()
    assert took < PATIENCE_SECONDS
