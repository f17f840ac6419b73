"""The room of threads, and the promises of the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from allotment.doors.rest.room import Room
from allotment.errors import NotFound, Overloaded


def test_what_is_done_in_the_room_is_answered_or_raised() -> None:
    async def work() -> None:
        room = Room(2, 2, 1)
        assert await room.run(lambda: threading.current_thread().name) == "desk"

        def fail() -> None:
            raise NotFound("subnet", "x")

        with pytest.raises(NotFound):
            await room.run(fail)
        assert room.inside == 0
        assert room.close()

    asyncio.run(work())


def test_the_line_is_bounded_and_so_is_long_work() -> None:
    async def work() -> None:
        room = Room(1, 1, 1)
        go = threading.Event()
        inside = [asyncio.create_task(room.run(go.wait, long=True))]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await room.run(go.wait, long=True)
        inside.append(asyncio.create_task(room.run(go.wait)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await room.run(go.wait)
        go.set()
        assert await asyncio.gather(*inside) == [True, True]
        assert (room.inside, room.long_inside) == (0, 0)
        assert room.close()

    asyncio.run(work())


def test_threads_are_as_many_as_are_needed_and_no_more() -> None:
    async def work() -> None:
        room = Room(3, 100, 1)
        before = threading.active_count()
        for _ in range(5):
            await room.run(lambda: None)
        assert threading.active_count() == before + 1
        await asyncio.gather(*(room.run(lambda: None) for _ in range(50)))
        assert threading.active_count() <= before + 3
        assert room.close()

    asyncio.run(work())


def test_who_gave_up_waiting_leaves_the_room_unfinished() -> None:
    async def work() -> None:
        room = Room(1, 1, 1)
        go = threading.Event()
        task = asyncio.create_task(room.run(go.wait))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not room.close()
        go.set()

    asyncio.run(work())
