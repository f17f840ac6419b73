"""Faults that the model and the races found, each as the smallest test that showed it.

Invariant: what is here once failed; a name is the claim that was broken.
"""

from __future__ import annotations

from threading import Event, Thread, Timer
from time import monotonic, sleep

from allotment import AddressRange, LocalDesk, Prefix
from allotment.model.access import Actor
from allotment.model.commands import CreateAddressScope, CreateSubnet, UpdateAllocationPools

HELD_SECONDS = 0.1
PATIENCE_SECONDS = 2.0


def test_new_pools_do_not_wait_until_nobody_allocates(postgres_desk: LocalDesk, me: Actor) -> None:
    """L4: whoever comes later shares the subnet past the one who waits to have it alone."""
    desk = postgres_desk
    desk.do(CreateAddressScope(name="s"), me)
    subnet = desk.do(CreateSubnet(prefix=Prefix("10.0.0.0/28"), name="n"), me)
    over = Event()

    def allocate_again_and_again(after: float) -> None:
        sleep(after)
        while not over.is_set():
            with desk.store.writing() as tx:
                tx.dialect.lock_subnets(tx, {subnet.id: 0})
                sleep(HELD_SECONDS)

    crowd = [
        Thread(target=allocate_again_and_again, args=(n * HELD_SECONDS / 3,)) for n in range(3)
    ]
    closing_time = Timer(2 * PATIENCE_SECONDS, over.set)
    for thread in (*crowd, closing_time):
        thread.start()
    sleep(HELD_SECONDS)
    begun = monotonic()
    pools = (AddressRange("10.0.0.2-10.0.0.9"),)
    desk.do(UpdateAllocationPools(subnet="n", ranges=pools), me)
    took = monotonic() - begun
    over.set()
    closing_time.cancel()
    for thread in crowd:
        thread.join()
    assert took < PATIENCE_SECONDS
