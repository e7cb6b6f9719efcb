"""An HTTP server that speaks the exchanges' wire formats, for tests, demos and CI without network.

Belongs here: routes, wire formats, quirks and faults of exchanges, a clock. Stays out: Dagster,
the lake, ccxt.
"""
