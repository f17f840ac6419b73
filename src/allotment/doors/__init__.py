"""The ways in: each door turns its own tongue into commands and queries, and answers back.

Invariant: a door sees `model`, `errors` and a desk, nothing else; no door decides anything.
"""
