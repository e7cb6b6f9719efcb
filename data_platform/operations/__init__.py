"""What the platform does, in trade words: it puts sources, storage, quality and the rest together.

Belongs here: update, derive, export, due, retention and their plans. Stays out: Dagster,
settings (operations receive values), formats and formulas.
"""
