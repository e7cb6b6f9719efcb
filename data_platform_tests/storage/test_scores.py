from datetime import date, timedelta

import pytest

from data_platform.domain.periods import Period
from data_platform.storage.partition_store import PartitionStore
from data_platform.storage.scores import SCORE_SCHEMA, ScoreRow, Scores
from data_platform_tests.factories import score_row
from data_platform_tests.storage.lake import DAY, HOUR, JANUARY, partition, series, utc

MONDAY = date(2024, 1, 1)


def score(completeness: float | None, day: date = MONDAY) -> ScoreRow:
    return score_row(
        day=day,
        expected=744,
        stored=700,
        completeness=completeness,
        validity=1.0,
        score_five=0.5,
        score_four=0.6,
        absent="consistency, accuracy, timeliness",
        profiles="five_dimensions-v1, four_dimensions-v1",
        basis="12",
        checked_at=utc(2024),
    )


@pytest.fixture
def scores(store: PartitionStore) -> Scores:
    return Scores(store.state)


def record(store: PartitionStore, *rows: ScoreRow, month: Period = JANUARY) -> None:
    with store.state.write() as connection:
        Scores(store.state).record(connection, [(partition(period=month), row) for row in rows])


def test_a_score_comes_back(store: PartitionStore, scores: Scores) -> None:
    record(store, score(0.25))
    frame = scores.newest("binance", HOUR)
    assert frame.schema == SCORE_SCHEMA
    assert frame.rows(named=True) == [
        {
            "timeframe": "1h",
            "pair": "BTC-USDT",
            "period": "2024-01",
            "day": "2024-01-01",
            "expected": 744,
            "stored": 700,
            "completeness": 0.25,
            "validity": 1.0,
            "consistency": None,
            "accuracy": None,
            "timeliness": None,
            "score_five": 0.5,
            "score_four": 0.6,
            "absent": "consistency, accuracy, timeliness",
            "profiles": "five_dimensions-v1, four_dimensions-v1",
            "basis": "12",
            "checked_at": utc(2024),
        }
    ]


def test_a_later_score_of_the_same_day_replaces_it(store: PartitionStore, scores: Scores) -> None:
    record(store, score(0.25))
    record(store, score(None))
    assert scores.history("binance", HOUR)["completeness"].to_list() == [None]


def test_every_day_is_kept_and_the_newest_of_each_partition_told(
    store: PartitionStore, scores: Scores
) -> None:
    record(store, score(0.5, MONDAY), score(0.9, MONDAY + timedelta(days=9)))
    record(store, score(0.1, MONDAY), month=Period(2024, 2))
    newest = scores.newest("binance", HOUR)
    assert newest.select("period", "completeness").rows() == [("2024-01", 0.9), ("2024-02", 0.1)]
    history = scores.history("binance", HOUR)
    assert history.select("period", "day", "completeness").rows() == [
        ("2024-01", "2024-01-01", 0.5),
        ("2024-01", "2024-01-10", 0.9),
        ("2024-02", "2024-01-01", 0.1),
    ]


def test_other_assets_have_their_own(store: PartitionStore, scores: Scores) -> None:
    with store.state.write() as connection:
        daily = partition(series(timeframe=DAY))
        Scores(store.state).record(connection, [(partition(), score(0.5)), (daily, score(0.7))])
    assert scores.newest("okx").is_empty()
    assert scores.newest("binance", DAY)["completeness"].to_list() == [0.7]
    assert scores.newest("binance")["timeframe"].to_list() == ["1d", "1h"]


def test_nothing_to_store_is_no_statement(store: PartitionStore, scores: Scores) -> None:
    record(store)
    assert scores.newest("binance").is_empty()


def test_months_before_a_given_one_are_left_out(store: PartitionStore, scores: Scores) -> None:
    record(store, score(0.5))
    record(store, score(0.1), month=Period(2024, 2))
    assert scores.newest("binance", since=Period(2024, 2))["period"].to_list() == ["2024-02"]
