"""Another program's format: pure conversions between our candles and foreign files.

Belongs here: one module per program. Stays out: the frameworks themselves (none is imported),
paths of the lake, journals.
"""
