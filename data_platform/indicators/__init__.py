"""Columns computed from rows at or before their own: one family a module, rows at its foot.

Belongs here: expressions, the arrays below them, warm-up and source of each formula; and what
they are proven with (`reference.py`, `textbook.py`, `departures.py`). Stays out: joins, files,
anything that reads a later row.
"""
