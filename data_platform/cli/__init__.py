"""The `data-platform` command: click and rich, a face over the same functions as the assets.

Belongs here: arguments, tables, exit codes. Stays out: logic of its own.
"""
