from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from data_platform.domain.candles import TIME
from data_platform.storage.state import State
from data_platform.storage.tables import METADATA, to_frame, to_ms, to_time


def test_times_are_utc_milliseconds_and_come_back() -> None:
    time = datetime(2024, 2, 29, 12, 30, 0, 123_000, tzinfo=UTC)
    assert to_ms(time) == 1_709_209_800_123
    assert to_time(1_709_209_800_123) == time
    assert to_ms(None) is None
    assert to_time(None) is None


def test_a_time_of_another_zone_is_the_same_instant() -> None:
    from datetime import timezone

    there = datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_ms(there) == to_ms(datetime(2024, 1, 1, tzinfo=UTC))


def test_rows_become_a_frame_whose_times_are_times() -> None:
    schema = pl.Schema({"name": pl.String(), "at": TIME, "sure": pl.Boolean()})
    frame = to_frame([("a", 0, 1), ("b", None, 0)], schema)
    assert frame.schema == schema
    assert frame["at"].to_list() == [datetime(1970, 1, 1, tzinfo=UTC), None]
    assert to_frame([], schema).schema == schema


def test_the_migrations_make_exactly_these_tables(state_file: Path) -> None:
    state = State(f"sqlite:///{state_file}")
    with state.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    state.close()
