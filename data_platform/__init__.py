"""Proven OHLCV candles from any ccxt exchange to VectorBT, Freqtrade and NautilusTrader.

Where do I go to...?

| I want to add or change | open |
|---|---|
| an exchange | `domain/exchanges.py`, one row |
| a timeframe | `domain/timeframes.py`, one row |
| a pair, a start date | `configs/platform.yaml`, one line |
| a limit of a check, a weight of a score | `configs/thresholds.yaml` |
| an indicator | `indicators/`, a function and its line in `INDICATORS` at the foot |
| a feature set | `configs/features/`, one file |
| how gaps may be filled | `features/fill_policy.py` |
| what counts as seeing the future | `features/causality.py` |
| a check | `quality/`, a `find_` function and its line in `RULES` at the foot |
| what is held against what, and when | `operations/neighbours.py`, `operations/agreement.py` |
| what a score is made of, and when | `quality/score.py`, `operations/score.py` |
| a defect by which the checks are tested | `domain/synthetic_defects.py`, `operations/signs.py` |
| a converter | `converters/`, a module with `CONVERTER` and its line in `converters/__init__.py` |
| a format that is only exported | `converters/`, a `FileFormat` and its line in `FORMATS` |
| a file format of foreign candles | `converters/foreign.py`, a reader and its line in `READERS` |
| what a request file may hold | `domain/request_files.py` |
| how an exchange is asked | `sources/ccxt_source.py` |
| how fast it is asked, when no more | `sources/rate_budget.py`, `sources/breaker.py` |
| what an exchange's error means | `sources/faults.py` |
| what is asked of it, and when | `operations/plan.py`, `operations/due.py` |
| which gaps are healed, and when | `operations/heal.py`, `operations/belief.py` |
| how a candle is written | `storage/partition_store.py` |
| what was known at a time, or pinned | `storage/past.py`, `storage/snapshots.py` |
| when somebody is told of what | `operations/alarms.py`, a `find_` function |
| how an alert goes out | `operations/alerts.py` |
| what counts as damage, what to do about it | `storage/examine.py`, `operations/verify.py` |
| what the doctor does, and in which order | `operations/doctor.py`, `storage/mending.py` |
| what belongs to a backup, when it is whole | `operations/backup.py`, `storage/backup_store.py` |
| when old months leave the tables, and where to | `operations/retention.py`, `storage/archive.py` |
| a path on disk | `storage/layout.py` |
| a column, a unit | `domain/candles.py` |
| an asset | `assets/`, one factory a layer |
| a sensor, a schedule, a job | `sensors/`, `schedules.py`, `jobs.py` |
| a fault of simulated exchanges | `simulator/answer_faults.py`, `simulator/page_faults.py` |
| a change to simulated markets | `simulator/market_faults.py` |
| how a simulated exchange speaks | `simulator/`, one module a dialect |
| what the report says and how it looks | `operations/health_report.py`, `rendering/` |
| what is stored on which day | `operations/coverage.py` |
| what the state files hold | `domain/state_files.py`, `operations/state_files.py` |
| a session, a killzone, a level of volatility | `domain/sessions.py`, `domain/market_context.py` |
| a command | `cli/`, one module a command |
| a read function for people | `api.py` |
| a function that brings candles in, for people | `intake.py` |
"""
