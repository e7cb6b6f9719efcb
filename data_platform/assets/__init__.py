"""The software-defined assets: thin, one factory a layer, built from rows.

Belongs here: keys, groups, partitions, metadata. Stays out: arithmetic on candles, paths, loops.
"""
