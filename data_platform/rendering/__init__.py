"""What people look at: facts in, HTML and SVG out.

Belongs here: words, colours, shapes and the page's template. Stays out: disk, database, Dagster,
and whatever decides what is good or bad. Everything from outside passes through the template's
escaping; nothing written here asks another host for anything.
"""
