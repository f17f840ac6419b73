"""How the tables came to be, step by step.

Invariant: a step that was released is never changed.
"""
