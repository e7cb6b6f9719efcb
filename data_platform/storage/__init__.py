"""Where candles lie: the only room that knows a path, takes a lock or opens the state database.

Belongs here: the layout, the write protocol, the journal, the ledger, quarantine, the DuckDB
catalogue. Stays out: what is right or wrong about a candle; that is passed in.
"""
