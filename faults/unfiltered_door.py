"""Sabotage for the access matrix, loaded into pytest: the service answers questions as the owner.

Invariant: only the service and its feed are spoilt; every other way to the desk asks as before.
"""

from __future__ import annotations

from typing import Any

from allotment.bootstrap import local_owner
from allotment.doors.rest.counter import Counter
from allotment.model.commands import Command


# Any: whichever request, and its answer.
def _carried_out(self: Counter, request: Any, actor: Any) -> Any:
    if isinstance(request, Command):
        return self._desk.do(request, actor)
    return self._desk.ask(request, local_owner())


# Any: as above.
async def _asked(self: Counter, visit: Any, query: Any) -> Any:
    return await self.answered(local_owner(), query)


Counter.asked = _asked  # type: ignore[method-assign]  # that is the sabotage
Counter._carried_out = _carried_out  # type: ignore[method-assign]  # that is the sabotage
