"""Where candles come from: the only rooms that know an exchange's URL or API.

Belongs here: ccxt, pages, rate budgets, breakers, the quirks that no field of an exchange's row
can express. Stays out: files, the ledger, deciding what is missing.
"""
