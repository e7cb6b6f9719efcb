"""What is wrong with candles: pure functions that return offending rows.

Belongs here: the Pandera schemas and the rules across rows. Stays out: repairing anything,
reading files, Dagster.
"""
