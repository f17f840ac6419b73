"""The only floor that speaks SQL.

Invariant: no statement is made of text that a caller gave.
"""
