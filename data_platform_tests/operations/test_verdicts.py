import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from data_platform.converters import CONVERTERS
from data_platform.domain.breaker import CLOSED, BreakerState, State
from data_platform.domain.layers import LAYERS
from data_platform.domain.markets import from_key
from data_platform.operations.due import SeriesStatus
from data_platform.operations.export import export_layer
from data_platform.operations.judge import SERIES_DERIVED, SERIES_FETCHED
from data_platform.operations.lake import Lake
from data_platform.operations.missing import History
from data_platform.operations.statements import statements_of
from data_platform.operations.verdicts import (
    Judged,
    files_verdict,
    freshness_verdict,
    table_verdicts,
)
from data_platform.operations.watch import nobody_watches
from data_platform.quality.standards import Change, Override, Standards
from data_platform.storage.verdicts import VerdictRow
from data_platform_tests.damage import DAMAGES, damage
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    lake_at,
    month_of,
    partition_of,
    partitions_of,
    plant_gaps,
    series_of,
    store_candles,
    time,
)
from data_platform_tests.operations.lines import derive_line

BTC, ETH = series_of(pair="BTC/USDT"), series_of(pair="ETH/USDT")
HOUR = BTC.timeframe


def judged(layer: str = "ohlcv", *pairs: str) -> Judged:
    keys = pairs or ("BTC-USDT", "ETH-USDT")
    history = History("flat", dict.fromkeys(map(from_key, keys), time("2024-01-01")))
    return Judged("binance", layer, HOUR, history, Standards(), {"small-v1"})


def status(late: timedelta) -> SeriesStatus:
    limit = timedelta(hours=1)
    return SeriesStatus(BTC, None, time("2024-01-01"), 1, None, late, limit)


def plant(lake: Lake, rule: str, month: str, count: int, layer: str = "ohlcv") -> None:
    rows = json.dumps([{"reason": "planted"}] * count)
    now = datetime(2024, 3, 1, tzinfo=UTC)
    verdict = VerdictRow(rule, date(2024, 3, 1), "error", count, 744, rows, "{}", now)
    with lake.state.write() as connection:
        lake.verdicts.record(connection, partition_of(BTC, month, layer), (verdict,))


def failed(lake: Lake, wanted: Judged) -> dict[str, int]:
    return {it.name: it.count for it in table_verdicts(lake, wanted, [], set()) if it.count}


def test_every_statement_gets_a_verdict_and_an_empty_lake_breaks_none(lake: Lake) -> None:
    for layer in ("ohlcv", "filled", "nautilus"):
        found = table_verdicts(lake, judged(layer), [], set())
        assert [it.name for it in found] == [it.name for it in statements_of(layer)]
    assert failed(lake, judged()) == {}


def test_an_old_broken_partition_stays_red_when_a_fresh_one_passes(lake: Lake) -> None:
    plant(lake, SERIES_FETCHED, "2024-01", 1)
    plant(lake, SERIES_FETCHED, "2024-02", 0)
    verdict = table_verdicts(lake, judged(), [], set())[0]
    assert verdict.count == 1
    assert sorted(verdict.partitions) == ["BTC-USDT|2024-01"]
    assert verdict.rows == [{"partition": "BTC-USDT|2024-01", "reason": "planted"}]


def test_a_pair_that_is_no_longer_configured_is_not_judged(lake: Lake) -> None:
    plant(lake, SERIES_FETCHED, "2024-01", 1)
    plant_gaps(lake, gap_of(BTC, "2024-01-01", "2024-01-03", "outage"))
    assert failed(lake, judged("ohlcv", "ETH-USDT")) == {}


def test_gaps_that_count_break_the_three_gap_rules_and_quiet_times_none(lake: Lake) -> None:
    plant_gaps(lake, gap_of(BTC, "2024-01-01", "2024-01-01 05:00", "outage", confirmed=True))
    plant_gaps(lake, gap_of(ETH, "2024-01-01", "2024-01-05", "no_trades", confirmed=True))
    assert failed(lake, judged()) == {"no_long_gaps": 1, "days_complete": 1, "history_complete": 1}


def test_months_that_nobody_asked_for_break_the_three_gap_rules_with_their_times(
    lake: Lake,
) -> None:
    for series in (BTC, ETH):
        candles = candles_at([*grid("2024-01-01", "2024-02-01"), *grid("2024-06-01", "2024-06-03")])
        store_candles(lake, series, candles)
    plant_gaps(lake, gap_of(ETH, "2024-02-01", "2024-06-01", "no_trades", confirmed=True))
    found = {it.name: it for it in table_verdicts(lake, judged(), [], set()) if it.count}
    assert set(found) == {"no_long_gaps", "days_complete", "history_complete"}
    assert found["no_long_gaps"].rows == [
        {
            "pair": "BTC-USDT",
            "open_time": "2024-02-01 00:00:00",
            "end": "2024-06-01 00:00:00",
            "missing": 121 * 24,
        }
    ]
    assert found["history_complete"].rows[0]["missing"] == 121 * 24
    assert found["days_complete"].count == 121


@pytest.mark.parametrize(
    ("confirmed", "counts"), [(True, {}), (False, {"no_long_gaps": 1, "days_complete": 1})]
)
def test_silence_of_a_market_that_omits_quiet_candles_is_not_red_before_it_ends(
    lake: Lake, confirmed: bool, counts: dict[str, int]
) -> None:
    silent = series_of("coinbase", "BTC/USD", "1m")
    store_candles(lake, silent, candles_at(grid("2024-01-01", "2024-01-01 05:00", "1m")))
    tail = ("2024-01-01 05:00", "2024-01-01 05:40")
    plant_gaps(lake, gap_of(silent, *tail, "open", confirmed=confirmed))
    history = History("omitted", {silent.pair: time("2024-01-01")})
    found = failed(lake, Judged("coinbase", "ohlcv", silent.timeframe, history, Standards(), ()))
    found.pop("history_complete", None)
    assert found == counts


LAYERS_STORED = [layer.name for layer in LAYERS]
MONTHS = [month_of("2024-01"), month_of("2024-02")]
KEYS = {"BTC-USDT|2024-01", "BTC-USDT|2024-02"}


@pytest.fixture(scope="module")
def whole_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of two pairs, derived and exported; nobody has it open."""
    root = tmp_path_factory.mktemp("whole")
    lake = lake_at(root)
    for series in (BTC, ETH):
        store_candles(lake, series, candles_at(grid("2024-01-20", "2024-02-10")))
        derive_line(lake, series, MONTHS)
        for converter in CONVERTERS:
            asked = partitions_of(series, "2024-01", "2024-02", converter.name)
            export_layer(lake, asked, converter, nobody_watches())
    lake.state.close()
    return root


@pytest.fixture
def whole(whole_root: Path, tmp_path: Path) -> Iterator[Lake]:
    """A copy of that lake, each file of which was hashed once."""
    shutil.copytree(whole_root, tmp_path / "whole")
    lake = lake_at(tmp_path / "whole")
    for layer in LAYERS_STORED:
        assert files_verdict(lake, judged(layer), ()).count == 0
    yield lake
    lake.state.close()


def judge_files(
    lake: Lake, layer: str, asked: Collection[str] | None = (), *pairs: str
) -> tuple[int, dict[str, str]]:
    verdict = files_verdict(lake, judged(layer, *pairs), asked)
    assert verdict.name == "files_are_as_written"
    assert len(verdict.rows) == min(verdict.count, 10)
    return verdict.count, dict(verdict.partitions)


def path_in(lake: Lake, layer: str, pair: str = "BTC-USDT", month: str = "2024-01") -> Path:
    rows = [
        row
        for row in lake.store.journal_rows(layer, "binance")
        if row.series.pair.key == pair and str(row.period) in (month, "None")
    ]
    return lake.store.root / str(rows[0].path)


@pytest.mark.parametrize("layer", LAYERS_STORED)
def test_files_as_they_were_written_break_nothing(whole: Lake, layer: str) -> None:
    assert judge_files(whole, layer) == judge_files(whole, layer, None) == (0, {})


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("layer", LAYERS_STORED)
def test_damaged_file_of_a_partition_that_the_run_carries_is_named(
    whole: Lake, layer: str, how: str
) -> None:
    path = path_in(whole, layer)
    damage(path, how)
    count, partitions = judge_files(whole, layer, KEYS)
    assert count == 1
    assert set(partitions) == (KEYS if layer == "freqtrade" else {min(KEYS)})
    for reason in partitions.values():
        assert path.relative_to(whole.store.root).as_posix() in reason
        remedy = "move the file away" if layer == "ohlcv" else "Materialize the partition again"
        assert remedy in reason


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_file_of_another_partition_is_red_too_but_for_silent_rot(
    whole: Lake, how: str
) -> None:
    damage(path_in(whole, "ohlcv", "ETH-USDT"), how)
    count, partitions = judge_files(whole, "ohlcv", KEYS)
    assert (count, set(partitions)) == (
        (0, set()) if how == "rotten" else (1, {"ETH-USDT|2024-01"})
    )
    # Run alone, a check hashes everything.
    assert judge_files(whole, "ohlcv", None)[0] == 1


def test_damaged_definition_of_a_market_is_named_for_its_pair(whole: Lake) -> None:
    [path] = (whole.store.root / "exports").rglob("currency_pair/BTC*/*.parquet")
    damage(path, "empty")
    count, partitions = judge_files(whole, "nautilus", {*KEYS, "ETH-USDT|2024-01"})
    assert (count, set(partitions)) == (1, KEYS)


def test_file_that_no_commit_wrote_is_named(whole: Lake) -> None:
    strange = whole.store.layout.partition(partition_of(BTC, "2024-05", "filled"))
    strange.parent.mkdir()
    strange.write_bytes(path_in(whole, "filled").read_bytes())
    count, partitions = judge_files(whole, "filled")
    assert (count, set(partitions)) == (1, {"BTC-USDT|2024-05"})
    assert "no commit has written it" in partitions["BTC-USDT|2024-05"]


def test_files_of_a_pair_or_set_that_is_no_longer_configured_are_not_judged(whole: Lake) -> None:
    damage(path_in(whole, "ohlcv", "ETH-USDT"), "gone")
    assert judge_files(whole, "ohlcv", None, "BTC-USDT") == (0, {})
    features = path_in(whole, "features")
    damage(features, "gone")
    assert judge_files(whole, "features")[0] == 1
    retired = replace(judged("features"), feature_sets={"other-v1"})
    assert files_verdict(whole, retired, None).count == 0


def test_a_derived_asset_speaks_of_its_own_layer(lake: Lake) -> None:
    plant(lake, SERIES_DERIVED, "2024-01", 1, layer="filled")
    assert table_verdicts(lake, judged("filled"), [], set())[0].count == 1
    assert table_verdicts(lake, judged("indicators"), [], set())[0].count == 0


def test_freshness_names_the_late_pair_its_lateness_and_the_limit() -> None:
    assert freshness_verdict(judged(), [status(timedelta(minutes=59))]).count == 0
    late = freshness_verdict(judged(), [status(timedelta(minutes=61))])
    assert late.count == 1
    assert late.rows[0] == {
        "pair": "BTC-USDT",
        "late_seconds": 3660,
        "limit_seconds": 3600,
        "newest": "2024-01-01T00:00:00+00:00",
    }


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_exchange_that_is_left_alone_does_not_answer_on_any_candle_asset(
    lake: Lake, state: State
) -> None:
    since = time("2024-01-10 12:00")
    opened = BreakerState(state, 3, since, since, "HTTP 503")
    lake.breakers.change("okx", lambda _: opened)
    assert "exchange_answers" not in failed(lake, judged())
    lake.breakers.change("binance", lambda _: opened)
    assert failed(lake, judged())["exchange_answers"] == 1
    lake.breakers.change("binance", lambda _: CLOSED)
    assert "exchange_answers" not in failed(lake, judged())


def test_an_exception_for_one_pair_decides_its_gaps_severity_and_what_is_shown(
    lake: Lake,
) -> None:
    for series in (BTC, ETH):
        plant_gaps(lake, gap_of(series, "2024-01-01", "2024-01-01 03:00", "outage"))
        store_candles(lake, series, candles_at(grid("2024-01-01 03:00", "2024-01-02")))
    mild = {"no_long_gaps": Change({"1h": 5.0}), "days_complete": Change({"share": 0.2}, "warn")}
    own = Standards(overrides=(Override(None, BTC.pair, None, mild),))
    found = {it.name: it for it in table_verdicts(lake, replace(judged(), limits=own), [], set())}
    gaps, days = found["no_long_gaps"], found["days_complete"]
    assert [row["pair"] for row in gaps.rows] == ["ETH-USDT"]
    assert (gaps.severity, gaps.threshold) == ("error", {"1h": 1.0, "BTC-USDT 1h": 5.0})
    assert [row["pair"] for row in days.rows] == ["ETH-USDT"]
    plant(lake, "no_price_jumps", "2024-01", 2)
    strict = {"no_price_jumps": Change({"1h": 0.1}, "error")}
    for pair, severity in ((BTC.pair, "error"), (ETH.pair, "warn")):
        own = Standards(overrides=(Override(None, pair, None, strict),))
        found = {it.name: it for it in table_verdicts(lake, replace(judged(), limits=own), [], ())}
        assert (found["no_price_jumps"].count, found["no_price_jumps"].severity) == (2, severity)
