"""The checks of feature assets: the daily proof, and how far features are behind."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from data_platform.features import feature_set as feature_module
from data_platform.operations import feature_line
from data_platform.operations.computed_store import Lines
from data_platform.operations.due import SeriesStatus
from data_platform.operations.feature_verdicts import (
    Clock,
    feature_verdicts,
    features_fresh_verdict,
    renew_proofs,
)
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.statements import FRESH, NO_FUTURE
from data_platform.operations.verdicts import Judged
from data_platform.quality.standards import Standards
from data_platform_tests.damage import damage
from data_platform_tests.factories import (
    candles_at,
    grid,
    month_of,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import SMALL, derive_line, recipes_of

SERIES, OTHER = series_of(), series_of("binance", "ETH/USDT")
MONTHS = [month_of("2024-01"), month_of("2024-02")]
LINES: Lines = {"binance": {SERIES.timeframe: recipes_of(SERIES)}}
NOW = time("2024-02-20")
HOUR = timedelta(hours=1)


def judged(*names: str) -> Judged:
    starts = {SERIES.pair: time("2024-01"), OTHER.pair: time("2024-01")}
    return Judged(
        exchange="binance",
        layer="features",
        timeframe=SERIES.timeframe,
        history=History("flat", starts),
        limits=Standards({}),
        feature_sets=frozenset(names or (SMALL.key,)),
    )


@pytest.fixture
def stored(lake: Lake) -> Lake:
    moving = candles_at(grid("2024-01-10", "2024-02-20")).with_columns(
        close=pl.col("close") + pl.int_range(pl.len()) % 13
    )
    store_candles(lake, SERIES, moving)
    derive_line(lake, SERIES, MONTHS)
    return lake


def status(last: str, first: str = "2024-01-10") -> SeriesStatus:
    return SeriesStatus(
        series=SERIES,
        first=time(first),
        last=time(last),
        candles=1,
        answered_until=None,
        late=timedelta(0),
        limit=HOUR,
        delisting=None,
    )


def no_future(lake: Lake) -> tuple[int, dict[str, str]]:
    verdict = feature_verdicts(lake, judged(), [], Clock(NOW, HOUR))[0]
    assert verdict.name == NO_FUTURE.name
    return verdict.count, dict(verdict.partitions)


def test_one_partition_is_proved_a_day_and_none_twice(stored: Lake) -> None:
    proofs = renew_proofs(stored, judged(), LINES, NOW)
    assert [proof.leaks for proof in proofs] == [()]
    assert renew_proofs(stored, judged(), LINES, NOW + HOUR) == []
    assert no_future(stored) == (0, {})
    rows = stored.verdicts.newest("binance", "features", SERIES.timeframe)
    assert rows.filter(pl.col("rule") == NO_FUTURE.name)["checked"][0] == proofs[0].rows > 400
    days = [NOW + timedelta(days=number) for number in range(1, 9)]
    proved = {str(renew_proofs(stored, judged(), LINES, day)[0].partition) for day in days}
    assert len(proved) == 2


def test_a_leak_turns_red_names_itself_and_stays_until_that_partition_passes(
    stored: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = feature_module.build_features

    def leaky(*asked: object) -> pl.DataFrame:
        made = honest(*asked)  # type: ignore[arg-type]
        return made.with_columns(return_1=pl.col("return_1").shift(-1))

    with monkeypatch.context() as patch:
        patch.setattr(feature_line, "build_features", leaky)
        store_candles(stored, SERIES, candles_at(grid("2024-01-10", "2024-02-20"), 300.0))
        derive_line(stored, SERIES, MONTHS)
        [proof] = renew_proofs(stored, judged(), LINES, NOW)
        count, partitions = no_future(stored)
        assert count == len(proof.leaks) == 2
        [(key, reason)] = partitions.items()
        assert key == f"BTC-USDT|{proof.partition.period}"
        assert "return_1 sees the future: another value at 2024-" in reason
        row = feature_verdicts(stored, judged(), [], Clock(NOW, HOUR))[0].rows[0]
        assert (row["column"], row["probe"]) == ("return_1", "perturbation")
    store_candles(stored, SERIES, candles_at(grid("2024-01-10", "2024-02-20"), 500.0))
    derive_line(stored, SERIES, MONTHS)
    for number in range(1, 4):
        again = renew_proofs(stored, judged(), LINES, NOW + timedelta(days=number))
        if proof.partition in [it.partition for it in again]:
            break
    assert no_future(stored) == (0, {})


@pytest.mark.parametrize("layer", ["ohlcv", "features"])
def test_file_that_cannot_be_read_keeps_no_other_verdict_from_being_told(
    stored: Lake, layer: str
) -> None:
    name = SMALL.key if layer == "features" else None
    for path in stored.store.files(layer, SERIES, MONTHS, name):
        damage(path, "flipped")
    assert renew_proofs(stored, judged(), LINES, NOW) == []
    assert no_future(stored) == (0, {})


def test_nothing_stored_is_nothing_to_prove(lake: Lake) -> None:
    assert renew_proofs(lake, judged(), LINES, NOW) == []
    assert no_future(lake) == (0, {})


@pytest.mark.parametrize(
    ("candles_until", "now", "late"),
    [
        # Features end with 2024-02-19 23:00. The hour after it closes at 01:00.
        ("2024-02-19 23:00", "2024-02-25", None),
        ("2024-02-20 05:00", "2024-02-20 03:00", None),
        ("2024-02-20 05:00", "2024-02-20 03:00:01", 7201),
        ("2024-02-20 05:00", "2024-02-20 06:00", 5 * 3600),
    ],
)
def test_features_may_be_behind_as_far_as_their_refresh_allows(
    stored: Lake, candles_until: str, now: str, late: int | None
) -> None:
    clock = Clock(datetime.fromisoformat(now).replace(tzinfo=UTC), HOUR)
    verdict = features_fresh_verdict(stored, judged(), [status(candles_until)], clock)
    assert (verdict.name, verdict.severity) == (FRESH.name, "error")
    assert verdict.count == (late is not None)
    assert [row["late_seconds"] for row in verdict.rows] == ([late] if late else [])
    if late:
        assert verdict.rows[0] == {
            "pair": "BTC-USDT",
            "feature_set": "small-v1",
            "late_seconds": late,
            "limit_seconds": 7200,
        }


def test_a_set_that_was_never_made_is_late_and_one_of_its_own(stored: Lake) -> None:
    clock = Clock(NOW, HOUR)
    both = judged(SMALL.key, "other-v1")
    verdict = features_fresh_verdict(stored, both, [status("2024-02-19 23:00")], clock)
    assert [row["feature_set"] for row in verdict.rows] == ["other-v1"]
    assert verdict.rows[0]["late_seconds"] == (NOW - time("2024-01-10 01:00")).total_seconds()
    assert features_fresh_verdict(stored, both, [], clock).count == 0
    assert json.loads("{}") == dict(verdict.threshold)
