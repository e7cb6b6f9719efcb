import io
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from data_platform.cli.main import main
from data_platform.cli.scores import (
    Trend,
    spell_worst,
    to_score_object,
    to_trend_objects,
    to_trend_table,
)
from data_platform.operations.score_view import MonthScore, SeriesScore
from data_platform_tests.factories import lake_at, partition_of, series_of
from data_platform_tests.operations.test_score_view import ROW, note

SERIES = series_of()
TODAY = date(2024, 2, 29)


def printed(days: Mapping[date, float]) -> list[str]:
    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(to_trend_table([Trend(SERIES, days)], TODAY))
    return [cell.strip(" ") for cell in console.export_text().splitlines()[3].strip("│").split("│")]


def test_a_trend_shows_where_it_began_where_it_is_and_a_bar_for_each_day() -> None:
    days = {TODAY - timedelta(days=4): 0.82, TODAY - timedelta(days=1): 1.0}
    assert printed(days) == [
        *("binance", "BTC/USDT", "1h", "2024-02-25", "0.820", "1.000", "+0.180"),
        "▃▃▃██",
    ]


def test_days_before_the_bars_are_carried_into_them() -> None:
    assert printed({TODAY - timedelta(days=90): 0.6})[-1] == 30 * "▁"


@pytest.mark.parametrize(
    ("score", "bar"),
    [(1.0, "█"), (0.99, "▇"), (0.96, "▆"), (0.9, "▅"), (0.89, "▄"), (0.84, "▃"), (0.79, "▂")],
)
def test_bars_fall_with_the_ladder_of_alerts(score: float, bar: str) -> None:
    assert printed({TODAY: score})[-1] == bar


def test_programs_get_a_row_for_each_day_that_moved_it() -> None:
    assert to_trend_objects([Trend(SERIES, {TODAY: 0.5})]) == [
        {
            "exchange": "binance",
            "pair": "BTC/USDT",
            "timeframe": "1h",
            "day": "2024-02-29",
            "score": 0.5,
        }
    ]


def test_the_worst_months_are_named_with_what_ails_them() -> None:
    whole = MonthScore("2024-02", 1.0, {"completeness": 1.0}, "")
    bad = MonthScore("2024-01", 0.4, {"validity": 0.9, "completeness": 0.2, "accuracy": 1.0}, "")
    poor = MonthScore("2023-12", 0.3, {"completeness": 0.3}, "")
    scores = {
        SERIES: SeriesScore(whole, bad),
        series_of(pair="ETH/USDT"): SeriesScore(whole, poor),
        series_of(pair="SOL/USDT"): SeriesScore(whole, whole),
    }
    assert spell_worst(scores) == [
        "worst: binance/ETH-USDT/1h 2023-12: 0.300 (completeness 0.300)",
        "worst: binance/BTC-USDT/1h 2024-01: 0.400 (completeness 0.200, validity 0.900)",
    ]


def test_a_score_names_its_components_for_programs() -> None:
    month = MonthScore("2024-01", 0.4, {"completeness": 0.2}, "validity, accuracy")
    assert to_score_object(month) == {
        "month": "2024-01",
        "score": 0.4,
        "completeness": 0.2,
        "absent": ["validity", "accuracy"],
    }
    assert to_score_object(MonthScore("2024-01", 1.0, {}, ""))["absent"] == []


def test_status_shows_the_trend_of_what_is_stored(lake: Path) -> None:
    lake.mkdir()
    opened = lake_at(lake)
    note(opened, "2024-01", "2024-01-31", 0.75)
    other = partition_of(series_of("okx"), "2024-01")
    with opened.state.write() as connection:
        opened.scores.record(connection, [(other, ROW)])
    opened.state.close()
    done = CliRunner().invoke(main, ["status", "--trend", "--exchange", "okx", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == [
        {
            "exchange": "okx",
            "pair": "BTC/USDT",
            "timeframe": "1h",
            "day": "2024-01-01",
            "score": 1.0,
        }
    ]
    shown = CliRunner().invoke(main, ["status", "--trend"])
    assert shown.exit_code == 0, shown.output
    assert "2024-01-01" in shown.stdout
    assert "1.000" in shown.stdout


def test_people_see_the_trend_by_a_query_of_their_own(lake: Path) -> None:
    lake.mkdir()
    opened = lake_at(lake)
    for day, score in (("2024-01-30", 0.75), ("2024-01-31", 1.0)):
        note(opened, "2024-01", day, score)
    opened.state.close()
    sql = "select day, score_five from quality where pair = 'BTC-USDT' order by day desc"
    done = CliRunner().invoke(main, ["query", "--format", "json", sql])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == [
        {"day": "2024-01-31", "score_five": 1.0},
        {"day": "2024-01-30", "score_five": 0.75},
    ]
