"""Columns computed from rows at or before their own: one family a module, rows at its foot.

Belongs here: Polars expressions, their warm-up and their formula's source. Stays out: joins,
files, anything that reads a later row.
"""
