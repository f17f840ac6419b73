"""Errors about what the caller said and what the book holds.

Invariant: the message says what to do next, and the facts name the field, the value and the rule.
"""

from __future__ import annotations

from allotment.errors.counts import counted
from allotment.errors.root import AllotmentError


def _shown(value: object) -> str:
    """A value as a message may hold it: short, and never a number too long to write."""
    if isinstance(value, int) and abs(value) >> 256:
        return "(a number of more than 256 bits)"
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


class InvalidValue(AllotmentError):
    """A value breaks a rule; the message names the field, the value and the rule."""

    code = "invalid-value"
    kind = "invalid"

    def __init__(self, field: str, value: object, rule: str, code: str = "invalid-value") -> None:
        shown = _shown(value)
        super().__init__(
            f"{field} {shown} is not valid: {rule}", field=field, value=shown, rule=rule, why=code
        )


class NotFound(AllotmentError):
    """Nothing of that kind answers to the reference (or the actor may not see it)."""

    code = "not-found"
    kind = "not-found"

    def __init__(self, what: str, reference: object, hint: str = "") -> None:
        tail = f"; {hint}" if hint else ""
        super().__init__(
            f"no {what} {str(reference)!r} was found{tail}", what=what, reference=str(reference)
        )


class Ambiguous(AllotmentError):
    """The reference fits several things; say which."""

    code = "ambiguous"
    kind = "invalid"

    def __init__(self, what: str, reference: str, choices: tuple[str, ...]) -> None:
        super().__init__(
            f"{what} {reference!r} is ambiguous: it is in the address scopes "
            f"{', '.join(choices)}; name the scope, or use the id",
            what=what,
            reference=reference,
            choices=list(choices),
        )


class Forbidden(AllotmentError):
    """The actor holds no grant for this action."""

    code = "forbidden"
    kind = "refused"

    def __init__(self, actor: str, action: str) -> None:
        super().__init__(f"{actor} may not {action}", actor=actor, action=action)


class AlreadyExists(AllotmentError):
    """The name is taken by another resource of the same kind."""

    code = "already-exists"
    kind = "conflict"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(
            f"a {what} named {name!r} already exists; choose another name", what=what, name=name
        )


class Overlap(AllotmentError):
    """The prefix overlaps one that is already in the book."""

    code = "overlap"
    kind = "conflict"

    def __init__(self, prefix: str, other: str, hint: str = "") -> None:
        tail = f"; {hint}" if hint else ""
        super().__init__(f"{prefix} overlaps {other}{tail}", prefix=prefix, other=other)


class InUse(AllotmentError):
    """Something is still inside; release it first, or ask for a cascade."""

    code = "in-use"
    kind = "conflict"

    def __init__(self, what: str, name: str, contents: dict[str, int]) -> None:
        inside = ", ".join(counted(count, noun) for noun, count in contents.items() if count)
        super().__init__(
            f"{what} {name} still holds {inside}; remove them first, or delete with cascade",
            what=what,
            name=name,
            contents=contents,
        )


class AddressTaken(AllotmentError):
    """The requested address is held."""

    code = "address-taken"
    kind = "conflict"

    def __init__(self, address: str, subnet: str) -> None:
        super().__init__(
            f"{address} in subnet {subnet} is already held; ask for another, or for any",
            address=address,
            subnet=subnet,
        )


class IdentifierTaken(AllotmentError):
    """The identifier belongs to another allocation of the same container."""

    code = "identifier-taken"
    kind = "conflict"

    def __init__(self, identifier: str, holder: str) -> None:
        super().__init__(
            f"identifier {identifier!r} already belongs to {holder}",
            identifier=identifier,
            holder=holder,
        )


class StaleAllocation(AllotmentError):
    """The address is held by a later allocation than the one named: nothing was released."""

    code = "stale-allocation"
    kind = "conflict"

    def __init__(self, address: str, allocation_id: str) -> None:
        super().__init__(
            f"{address} is no longer held by allocation {allocation_id}; nothing was released",
            address=address,
            allocation_id=allocation_id,
        )


class VersionMismatch(AllotmentError):
    """The resource changed since it was read."""

    code = "version-mismatch"
    kind = "conflict"

    def __init__(self, what: str, expected: int, found: int) -> None:
        super().__init__(
            f"{what} is at version {found}, not {expected}: read it again, then update",
            what=what,
            expected=expected,
            found=found,
        )


class IdempotencyMismatch(AllotmentError):
    """The idempotency key was used before for another request."""

    code = "idempotency-mismatch"
    kind = "conflict"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"idempotency key {key!r} was used before for a different request; use a new key",
            key=key,
        )


class PoolExhausted(AllotmentError):
    """A committed snapshot of the container had too little free space for the request."""

    code = "pool-exhausted"
    kind = "exhausted"

    def __init__(self, container: str, wanted: str, free: int | None, hint: str) -> None:
        left = f"{free} free" if free is not None else "none free"
        super().__init__(
            f"{container} cannot give {wanted}: {left}; {hint}",
            container=container,
            wanted=wanted,
            free=free,
        )
