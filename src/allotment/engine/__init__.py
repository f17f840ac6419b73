"""Pure decisions about address space, on integers.

Invariant: no I/O, no clock, no randomness; the same arguments give the same answer everywhere.
"""
