"""What is true without disk, network or Dagster: the trade's words as values and pure functions.

Belongs here: exchanges as rows, timeframes, pairs, periods, layers, the candle's schema, the
synthetic candles. Stays out: anything that opens a file or a socket, reads the clock or imports
Dagster.
"""
