"""The steps.

Invariant: each names the one before it.
"""
