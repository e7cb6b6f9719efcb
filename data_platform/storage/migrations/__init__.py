"""How the state database came to be, version by version; Alembic runs these scripts.

Belongs here: one script for each change of a table, never edited afterwards. Stays out: the tables
as they are now, which `tables.py` tells.
"""
