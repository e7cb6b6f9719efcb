"""What a configuration file may hold: the room behind `settings.py`, which alone reads the files.

Belongs here: strict YAML with lines, the spelling of single values, the shape of each file. Stays
out: which files are read, the environment, and whatever concerns two values at once
(`settings.py`).
"""
