"""What every indicator owes: causality, segments, warm-up, and the values of `ta` after it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from data_platform.domain.candles import FILLED_SCHEMA
from data_platform.indicators.columns import (
    INDICATORS,
    add_indicators,
    output_columns,
    parse_name,
    to_columns,
    to_recipe,
    warm_up,
)
from data_platform.indicators.departures import follows
from data_platform.indicators.indicator import (
    ALL,
    FLAG,
    FRACTION,
    PERCENT,
    PRICE,
    SIGNED_PERCENT,
    Indicator,
    spell,
)
from data_platform.indicators.reference import library_values
from data_platform.indicators.textbook import textbook_values

DEFAULTS = tuple(indicator.default_name for indicator in INDICATORS)
VARIANTS = (
    "sma_1",
    "sma_7",
    "wma_1",
    "wma_20",
    "ema_5",
    "kama_5_2_10",
    "kama_10_30_2",
    "aroon_1",
    "aroon_7",
    "psar_0.05_0.1",
    "psar_1_1",
    "ichimoku_26_9_5",
    "ichimoku_cloud_5_3_2",
    "mass_index_3_5",
    "dpo_1",
    "dpo_7",
    "macd_3_5_2",
    "pvo_3_5_2",
    "ao_1_2",
    "trix_2",
    "tsi_5_7",
    "kst_1_2_3_4_5_6_7_8_2",
    "stc_3_7_5_2_4",
    "rsi_2",
    "stoch_rsi_5_1_1",
    "stoch_5_1",
    "uo_9_5_3_1_0.5_2",
    "roc_1",
    "log_roc_5",
    "atr_1",
    "ulcer_1",
    "bb_5_2.5",
    "bb_place_7_1.5",
    "keltner_5_20_1.5",
    "keltner_place_20_5_1",
    "donchian_1",
    "vwap_1",
    "vpt_mean_3",
)
NAMES = (*DEFAULTS, *VARIANTS)

# Rows before the first value, counted by hand from the textbooks' definitions: an average over n
# values ends at row n - 1, one over n changes at row n, an average of averages later by its own.
FIRST_ROWS = {
    "sma_20": 19,
    "wma_9": 8,
    "ema_14": 13,
    "kama_10_2_30": 10,
    "adx_14": 27,
    "plus_di_14": 14,
    "minus_di_14": 14,
    "aroon_up_25": 25,
    "aroon_down_25": 25,
    "aroon_oscillator_25": 25,
    "vortex_plus_14": 14,
    "vortex_minus_14": 14,
    "vortex_difference_14": 14,
    "psar_0.02_0.2": 1,
    "psar_trend_0.02_0.2": 1,
    "ichimoku_conversion_9_26_52": 8,
    "ichimoku_base_9_26_52": 25,
    "ichimoku_a_9_26_52": 25,
    "ichimoku_b_9_26_52": 51,
    "ichimoku_cloud_a_9_26_52": 51,
    "ichimoku_cloud_b_9_26_52": 77,
    "mass_index_9_25": 40,
    "dpo_20": 19,
    "macd_12_26_9": 25,
    "macd_signal_12_26_9": 33,
    "macd_histogram_12_26_9": 33,
    "ppo_12_26_9": 25,
    "ppo_signal_12_26_9": 33,
    "ppo_histogram_12_26_9": 33,
    "pvo_12_26_9": 25,
    "pvo_signal_12_26_9": 33,
    "pvo_histogram_12_26_9": 33,
    "ao_5_34": 33,
    "trix_15": 43,
    "tsi_25_13": 37,
    "kst_10_15_20_30_10_10_10_15_9": 44,
    "kst_signal_10_15_20_30_10_10_10_15_9": 52,
    "kst_difference_10_15_20_30_10_10_10_15_9": 52,
    "stc_23_50_10_3_3": 71,
    "rsi_14": 14,
    "stoch_rsi_14_3_3": 27,
    "stoch_rsi_k_14_3_3": 29,
    "stoch_rsi_d_14_3_3": 31,
    "stoch_k_14_3": 13,
    "stoch_d_14_3": 15,
    "williams_r_14": 13,
    "cci_20": 19,
    "uo_7_14_28_4_2_1": 28,
    "roc_12": 12,
    "log_roc_1": 1,
    "atr_14": 13,
    "ulcer_14": 26,
    **dict.fromkeys(output_columns(("bb_20_2", "bb_place_20_2")), 19),
    **dict.fromkeys(output_columns(("keltner_20_10_2", "keltner_place_20_10_2")), 19),
    **dict.fromkeys(output_columns(("keltner_original_20", "keltner_original_place_20")), 19),
    **dict.fromkeys(output_columns(("donchian_20", "donchian_place_20")), 19),
    "mfi_14": 14,
    "cmf_20": 19,
    "force_13": 13,
    "ease_of_movement": 1,
    "ease_of_movement_mean_14": 14,
    "vwap_14": 13,
    "vwap_session": 0,
    "obv": 0,
    "adi": 0,
    "vpt": 1,
    "vpt_mean_14": 14,
    "nvi": 0,
    "cumulative_return": 0,
}

every_name = pytest.mark.parametrize("name", NAMES)

# Computed once of each indicator and read by many tests: frames cannot change, arrays are locked.
ColumnsOf = Callable[[str], pl.DataFrame]
ExpectedOf = Callable[[str], Mapping[str, np.ndarray]]


def columns_of(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    return add_indicators(frame, (name,)).select(output_columns((name,)))


@pytest.fixture(scope="module")
def of_filled(filled: pl.DataFrame) -> ColumnsOf:
    return cache(lambda name: columns_of(filled, name))


@pytest.fixture(scope="module")
def of_broken(broken: pl.DataFrame) -> ColumnsOf:
    return cache(lambda name: columns_of(broken, name))


@pytest.fixture(scope="module")
def expected(filled: pl.DataFrame) -> ExpectedOf:
    return cache(lambda name: expected_of(filled, name))


def assert_close(
    found: np.ndarray, expected: np.ndarray, *, share: float = 0.0, least: float = 0.0
) -> None:
    """Hold each value within a share of the expected one or within `least`; NaN is NaN."""
    assert found.shape == expected.shape
    room = np.maximum(share * np.abs(expected), least)
    unknown = np.isnan(found) & np.isnan(expected)
    for row in np.flatnonzero(~((np.abs(found - expected) <= room) | unknown)):
        pytest.fail(f"row {row}: expected {expected[row]}, found {found[row]}")


def needs_all(name: str) -> bool:
    return to_recipe(name).warm_up == ALL


def history_of(frame: pl.DataFrame, name: str, start: int) -> int:
    """Return how many rows before `start` the values from there on need."""
    rows = to_recipe(name).warm_up
    if rows != ALL:
        return min(start, rows)
    segment = frame["segment"][start]
    return start - int((frame["segment"] == segment).arg_max() or 0)


def perturbed(frame: pl.DataFrame, row: int) -> pl.DataFrame:
    later = pl.int_range(pl.len()) > row
    return frame.with_columns(
        pl.when(later).then(pl.col(name) * factor + 5).otherwise(pl.col(name)).alias(name)
        for name, factor in {"open": 3, "high": 9, "low": 0.1, "close": 2, "volume": 100}.items()
    )


def frozen(frame: pl.DataFrame, start: int, rows: int) -> pl.DataFrame:
    """Return the frame with `rows` rows that repeat the close before `start`, volume 0."""
    row = pl.int_range(pl.len())
    still = (row >= start) & (row < start + rows)
    close = pl.when(~still).then("close").forward_fill()
    prices = {name: pl.when(still).then(close).otherwise(name) for name in ("open", "high", "low")}
    volume = pl.when(still).then(0.0).otherwise("volume")
    return frame.with_columns(**prices, close=close, volume=volume)


def busy(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with something traded, and some range, in every candle."""
    return frame.with_columns(
        volume=pl.col("volume") + 0.1, high=pl.col("high") + 0.01, low=pl.col("low") - 0.01
    )


def test_the_names_cover_every_indicator() -> None:
    assert len(DEFAULTS) == len(INDICATORS)
    assert set(output_columns(DEFAULTS)) == set(FIRST_ROWS)


@every_name
def test_rows_and_given_columns_stay(filled: pl.DataFrame, name: str) -> None:
    result = add_indicators(filled, (name,))
    assert result.select(filled.columns).equals(filled)
    assert result.columns == [*FILLED_SCHEMA, *output_columns((name,))]
    assert set(result.drop(filled.columns).dtypes) == {pl.Float64()}


@every_name
@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_few_rows_are_as_many_rows(
    filled: pl.DataFrame, of_filled: ColumnsOf, name: str, rows: int
) -> None:
    result = add_indicators(filled.head(rows), (name,))
    assert result.height == rows
    assert result.schema == filled.hstack(of_filled(name)).schema


@every_name
def test_an_indicator_reads_what_it_says(
    filled: pl.DataFrame, of_filled: ColumnsOf, name: str
) -> None:
    inputs = parse_name(name)[0].inputs
    others = [it for it in ("open", "high", "low", "close", "volume") if it not in inputs]
    without = filled.with_columns(pl.lit(None, pl.Float64).alias(it) for it in others)
    assert columns_of(without, name).equals(of_filled(name))
    for it in inputs:
        less = filled.with_columns(pl.col(it) * pl.int_range(pl.len()).sqrt())
        assert not columns_of(less, name).equals(of_filled(name))


@pytest.fixture(scope="module")
def busy_columns(filled: pl.DataFrame) -> pl.DataFrame:
    return add_indicators(busy(filled), DEFAULTS)


@pytest.mark.parametrize(("column", "row"), FIRST_ROWS.items())
def test_the_warm_up_is_null_and_nothing_after_it(
    busy_columns: pl.DataFrame, column: str, row: int
) -> None:
    values = busy_columns[column]
    assert values.head(row).null_count() == row
    assert values.slice(row).null_count() == 0


@every_name
def test_nothing_is_nan_or_infinite(filled: pl.DataFrame, name: str) -> None:
    for frame in (filled, frozen(filled, 100, 1500), frozen(filled, 1, 400)):
        for column in columns_of(frame, name).get_columns():
            assert column.is_finite().all()


@every_name
@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30, 2.0**-1000, 2.0**1000])
def test_prices_may_be_tiny_or_huge(filled: pl.DataFrame, name: str, factor: float) -> None:
    scaled = filled.with_columns(
        pl.col(it) * factor for it in ("open", "high", "low", "close")
    ).head(400)
    result, usual = columns_of(scaled, name), columns_of(filled.head(400), name)
    for column in to_columns((name,)):
        values = result[column.name]
        assert values.is_finite().all()
        if 2.0**-30 <= factor <= 2.0**30:
            assert values.is_null().equals(usual[column.name].is_null())
            if column.unit in {PERCENT, FRACTION, FLAG}:
                expected = usual[column.name].to_numpy()
                assert_close(values.to_numpy(), expected, least=1e-6)


@every_name
@pytest.mark.parametrize("rows", [1, 30, 698, 701, 1541, 2999])
def test_rows_cut_off_later_change_nothing(
    broken: pl.DataFrame, of_broken: ColumnsOf, name: str, rows: int
) -> None:
    whole = of_broken(name).head(rows)
    assert columns_of(broken.head(rows), name).equals(whole)


@every_name
@pytest.mark.parametrize("row", [0, 29, 698, 1520, 2500])
def test_another_future_changes_nothing(
    broken: pl.DataFrame, of_broken: ColumnsOf, name: str, row: int
) -> None:
    whole = of_broken(name).head(row + 1)
    assert columns_of(perturbed(broken, row), name).head(row + 1).equals(whole)


@every_name
def test_another_past_beyond_the_break_changes_nothing(
    broken: pl.DataFrame, of_broken: ColumnsOf, name: str
) -> None:
    parts = [columns_of(part, name) for part in broken.partition_by("segment", maintain_order=True)]
    assert len(parts) == 5
    assert pl.concat(parts).equals(of_broken(name))


@every_name
@pytest.mark.parametrize("still", [(0, 0), (900, 40), (900, 900), (100, 1500)], ids=str)
def test_the_result_does_not_depend_on_where_history_is_cut(
    filled: pl.DataFrame, name: str, still: tuple[int, int]
) -> None:
    frame = frozen(filled, *still)
    whole = columns_of(frame, name)
    for start in (800, 1150, 1700, 1801, 2400):
        history = history_of(frame, name, start)
        cut = columns_of(frame.slice(start - history), name).slice(history)
        assert cut.equals(whole.slice(start))


@every_name
@pytest.mark.parametrize("start", [710, 1505, 1545, 2300])
def test_history_may_hold_breaks(
    broken: pl.DataFrame, of_broken: ColumnsOf, name: str, start: int
) -> None:
    history = history_of(broken, name, start)
    whole = of_broken(name).slice(start)
    assert columns_of(broken.slice(start - history), name).slice(history).equals(whole)


@every_name
def test_a_tenth_of_the_warm_up_would_not_be_enough(
    filled: pl.DataFrame, of_filled: ColumnsOf, name: str
) -> None:
    rows = to_recipe(name).warm_up
    # The slowest weight of KAMA is that of a market that stands still.
    if rows == ALL or rows < 100 or name.startswith(("vwap_session", "kama")):
        return
    whole = of_filled(name).slice(2400)
    cut = columns_of(filled.slice(2400 - rows // 10), name).slice(rows // 10)
    assert not cut.equals(whole)


@every_name
def test_a_window_needs_its_whole_warm_up(filled: pl.DataFrame, name: str) -> None:
    rows = to_recipe(name).warm_up
    first = max(FIRST_ROWS.get(column, -1) for column in output_columns((name,)))
    if rows == first and isinstance(rows, int) and rows:
        short = columns_of(busy(filled).slice(1000 - rows + 1), name)
        assert None in short.row(rows - 1)


@every_name
def test_percentages_stay_within_0_and_100(filled: pl.DataFrame, name: str) -> None:
    tops = {PERCENT: 100.0, FRACTION: 1.0, FLAG: 1.0}
    for frame in (filled, frozen(filled, 500, 300)):
        values = columns_of(frame, name)
        for column in to_columns((name,)):
            if column.unit in tops:
                # A last bit of rounding is no fault of the formula.
                assert values[column.name].is_between(-1e-9, tops[column.unit] + 1e-9).all()
            if column.unit == FLAG:
                assert set(values[column.name].drop_nulls()) <= {0.0, 1.0}


@every_name
def test_a_price_that_never_moved_is_no_error(filled: pl.DataFrame, name: str) -> None:
    still = filled.head(700).with_columns(
        pl.lit(78.8935).alias(it) for it in ("open", "high", "low", "close")
    )
    for frame in (still, still.with_columns(volume=pl.lit(0.0))):
        for column in to_columns((name,)):
            values = columns_of(frame, name)[column.name]
            assert values.is_finite().all()
            if column.unit == PRICE and not column.name.startswith(("macd", "dpo", "ao", "atr")):
                known = values.drop_nulls().to_numpy()
                assert_close(known, np.full(len(known), 78.8935), share=1e-13)


def with_one_number_changed(indicator: Indicator) -> Iterator[str]:
    usual = [parameter.default for parameter in indicator.parameters]
    for at, parameter in enumerate(indicator.parameters):
        changed = usual[at] + 1 if parameter.kind == "rows" else usual[at] / 2
        yield spell(indicator.name, *usual[:at], changed, *usual[at + 1 :])


def test_all_at_once_are_the_same_as_one_by_one(broken: pl.DataFrame) -> None:
    # A step of one name must not be another in a recipe with other numbers.
    changed = [name for indicator in INDICATORS for name in with_one_number_changed(indicator)]
    together = add_indicators(broken, (*NAMES, *changed))
    for name in (*NAMES, *changed):
        assert together.select(output_columns((name,))).equals(columns_of(broken, name)), name


@pytest.mark.parametrize("name", ["vwap_session", "keltner_original_1", "adi", "nvi", "sma_1"])
def test_a_row_alone_has_the_bits_that_it_has_among_others(filled: pl.DataFrame, name: str) -> None:
    each = filled.head(40).with_columns(segment="open_time")
    alone = pl.concat(columns_of(each.slice(row, 1), name) for row in range(40))
    assert alone.equals(columns_of(each, name))


def test_series_stacked_are_the_same_as_one_by_one(
    filled: pl.DataFrame, broken: pl.DataFrame
) -> None:
    # Unlike in everything: beginnings, lengths, prices, and one in which nothing ever moves.
    series = [
        broken,
        filled.slice(700, 500).with_columns(pl.col("close", "high", "low") * 1e-6),
        frozen(filled, 0, 40).head(40),
        filled.slice(1, 1),
        perturbed(broken, 100).slice(650, 1000),
    ]
    apart = pl.concat(add_indicators(frame, NAMES) for frame in series)
    stacked = pl.concat(
        frame.with_columns(segment=pl.struct(pl.lit(at), "segment"))
        for at, frame in enumerate(series)
    )
    together = add_indicators(stacked, NAMES).select(output_columns(NAMES))
    for column in together:
        assert column.equals(apart[column.name], null_equal=True), column.name


def test_the_frame_may_come_in_any_number_of_chunks(filled: pl.DataFrame) -> None:
    chunked = pl.concat([filled.slice(0, 77), filled.slice(77, 1000), filled.slice(1077)])
    assert add_indicators(chunked, DEFAULTS).equals(add_indicators(filled, DEFAULTS))


def scale_of(frame: pl.DataFrame, unit: str, values: np.ndarray) -> float:
    if unit == PRICE:
        return float(frame["high"].to_numpy().max())
    if unit in {PERCENT, SIGNED_PERCENT}:
        return 100.0
    return float(np.abs(values).max(initial=1.0))


def expected_of(frame: pl.DataFrame, name: str) -> dict[str, np.ndarray]:
    """Return what `ta` makes of a frame, or the textbook where `ta` is not followed."""
    indicator, numbers = parse_name(name)
    suffix = name.removeprefix(indicator.name)
    theirs = {
        column: np.asarray(values)
        for column, values in library_values(frame, name).items()
        if follows(column.removesuffix(suffix))
    }
    ours = textbook_values(frame, name)
    assert not theirs.keys() & (ours.keys() - {"bb_middle" + suffix})
    assert len(numbers) == len(indicator.parameters)
    found = theirs | {column: np.array(values, dtype=float) for column, values in ours.items()}
    for values in found.values():
        values.setflags(write=False)
    return found


@every_name
def test_after_the_warm_up_the_values_are_those_of_ta_or_the_textbook(
    filled: pl.DataFrame, of_filled: ColumnsOf, expected: ExpectedOf, name: str
) -> None:
    # Where they begin, recursions differ: `ta` starts with the first value, Wilder with a mean.
    result, wanted = of_filled(name), expected(name)
    if name == "log_roc_5":
        assert not wanted
        return
    rows = to_recipe(name).warm_up
    start = 0 if rows == ALL else min(rows, 2400)
    for column in to_columns((name,)):
        ours, theirs = result[column.name].to_numpy()[start:], wanted[column.name][start:]
        known = ~np.isnan(ours)
        assert known.sum() >= min(500, len(known))
        assert np.isfinite(theirs[known]).all()
        scale = scale_of(filled, column.unit, theirs[known])
        # The stochastic of a stochastic magnifies the last bits of the averages below it.
        share = 1e-9 if name.startswith("stc") else 1e-12
        assert_close(ours[known], theirs[known], share=1e-9, least=share * scale)


@every_name
def test_where_ours_is_null_theirs_is_nothing_or_a_departure(
    of_filled: ColumnsOf, expected: ExpectedOf, name: str
) -> None:
    result = of_filled(name)
    rows = to_recipe(name).warm_up
    for column, theirs in expected(name).items():
        unknown = result[column].is_null().to_numpy()
        unknown[: 0 if rows == ALL else rows] = False
        assert not np.isfinite(theirs[unknown]).any()


def test_the_warm_up_of_several_is_the_longest() -> None:
    assert warm_up(("sma_20", "atr_14", "rsi_14")) == warm_up(("rsi_14",))
    assert warm_up(("obv", "sma_20")) == ALL


def test_a_missing_minute_inside_a_segment_cannot_be(filled: pl.DataFrame) -> None:
    # The fill makes segments without holes; the contract's frames must be such ones.
    steps = filled["open_time"].diff().drop_nulls().unique().to_list()
    assert steps == [timedelta(minutes=1)]
