"""The fault campaigns: each breaks something on purpose, over and over, and judges what was left.

Invariant: what judges (`faults.judge`) knows ledgers and rows, and nothing of the product.
"""
