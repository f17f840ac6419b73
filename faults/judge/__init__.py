"""The judge: laws over ledgers and raw rows.

Invariant: nothing in here imports the product; it reads the database through the drivers alone.
"""
