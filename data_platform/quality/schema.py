"""The Pandera model of a candle, and the audit that decides which rows may be stored.

Holds the single-row truths, each stated once as a Polars expression: the Pandera model is built
from them, the audit evaluates the same expressions to say which row is to blame and why. Where
schema and truths hold as they stand, nothing is left for the model to find, and it is not asked:
Pandera's own machinery takes 2.3 ms a day of 1m, the expressions 0.3 ms (pandera 0.35,
2026-11-28). Stays out: rules across stored rows (`continuity.py`), repairing anything.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA, COLUMN_DESCRIPTIONS
from data_platform.domain.errors import StorageError
from data_platform.domain.timeframes import Timeframe

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema, PolarsData

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")

# Comparisons alone are not enough: NaN passes `high >= low`, infinity passes `price > 0`
# (both measured in polars 2.1 and pandera 0.35). A null makes a truth null, which is not true.
TRUTHS: dict[str, pl.Expr] = {
    "empty value": pl.all_horizontal(pl.col(name).is_not_null() for name in CANDLE_SCHEMA),
    "not a finite number": pl.all_horizontal(pl.col(name).is_finite() for name in NUMBERS),
    "price not above zero": pl.all_horizontal(pl.col(name) > 0 for name in PRICES),
    "volume below zero": pl.col("volume") >= 0,
    "high below open, low or close": pl.col("high") >= pl.max_horizontal("open", "low", "close"),
    "low above open, high or close": pl.col("low") <= pl.min_horizontal("open", "high", "close"),
}
"""What is true of each candle by itself, by the reason a row is refused when it is not."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DUPLICATE = "duplicate of a row that was kept"
CONFLICT = "same open_time as another row with other values"


@cache
def _candle_model() -> "DataFrameSchema":
    # Columns in order, dtypes, truths. Importing Pandera takes 1.5 s: at the first call.
    from pandera.polars import Check, Column, DataFrameSchema

    def truths(data: "PolarsData") -> pl.LazyFrame:
        return data.lazyframe.select(_all_true(TRUTHS))

    return DataFrameSchema(
        {
            # Whether a value may be null is the first truth of all: asked of each column by
            # itself it costs 4 ms, most of a commit's audit.
            name: Column(dtype, nullable=True, description=COLUMN_DESCRIPTIONS[name])
            for name, dtype in CANDLE_SCHEMA.items()
        },
        checks=[Check(truths, name="single_row_truths", error=f"one of: {', '.join(TRUTHS)}")],
        strict=True,
        ordered=True,
        title="Candle",
    )


def prove_candles(frame: _Frame) -> _Frame:
    """Return a frame, lazy or not, whose schema and values the Pandera model has proved.

    Raises:
        pandera.errors.SchemaErrors: names what does not hold.
    """
    from pandera.config import ValidationDepth, config_context

    # Of a lazy frame Pandera looks at the schema alone unless told: NaN passed (pandera 0.35).
    with config_context(validation_depth=ValidationDepth.SCHEMA_AND_DATA):
        return _candle_model().validate(frame, lazy=True)


def audit_candles(
    frame: pl.DataFrame,
    timeframe: Timeframe,
    closed_end: datetime,
    period_start: datetime,
    period_end: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows into those that may be stored and those that go to quarantine.

    A row is refused when one of `TRUTHS` fails, or its time is off the grid, outside the
    period or not closed yet. Of rows with one open_time that are otherwise fine, identical twins
    keep the first, while rows that contradict one another are all refused: nothing tells which
    of them is right, and the ledger then asks for that candle again.

    Args:
        frame: exactly the columns of `CANDLE_SCHEMA`, in any row order.
        timeframe: gives the grid.
        closed_end: candles that open before it are closed, see `closed_before`.
        period_start: first instant that the partition may hold.
        period_end: end of the partition's period, exclusive.

    Returns:
        The good rows (`CANDLE_SCHEMA`, open_time strictly increasing, for which the Pandera
        model holds), and the refused rows in their given order with one column more: `reason`.

    Raises:
        StorageError: a column is missing, unexpected, out of order or of another dtype.
    """
    check_columns(frame)
    truths = TRUTHS | _truths_of_time(timeframe, closed_end, period_start, period_end)
    ordered = frame.sort("open_time")
    if _all_hold(ordered, truths):
        # Every truth of the model, after its schema: Pandera would evaluate the same once more.
        return ordered, frame.clear().with_columns(reason=pl.lit(None, pl.String))
    good, refused = _split(frame, truths)
    return prove_candles(good.sort("open_time")), refused


def _truths_of_time(
    timeframe: Timeframe, closed_end: datetime, period_start: datetime, period_end: datetime
) -> dict[str, pl.Expr]:
    # Whole numbers: polars makes a series of each datetime that it compares with.
    time = pl.col("open_time").to_physical()
    start, end, closed = map(_to_ms, (period_start, period_end, closed_end))
    return {
        "open_time off the grid": time % timeframe.ms == 0,
        "outside the period": (time >= start) & (time < end),
        "not closed yet": time < closed,
    }


def _to_ms(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)


def check_columns(frame: pl.DataFrame) -> None:
    """Hold a frame's columns against `CANDLE_SCHEMA`.

    Raises:
        StorageError: names every column that is missing, unexpected or of another dtype.
    """
    if frame.schema == CANDLE_SCHEMA:
        return
    found = frame.schema
    faults = [f"missing column: {name}" for name in CANDLE_SCHEMA if name not in found]
    faults += [f"unexpected column: {name}" for name in found if name not in CANDLE_SCHEMA]
    faults += [
        f"wrong dtype for {name}: expected {dtype}, found {found[name]}"
        for name, dtype in CANDLE_SCHEMA.items()
        if name in found and found[name] != dtype
    ]
    faults = faults or [f"wrong column order: {', '.join(found)}"]
    raise StorageError(
        f"these are no candles ({'; '.join(faults)}). Expected the columns "
        f"{', '.join(CANDLE_SCHEMA)}; give times as UTC milliseconds and numbers as float64."
    )


def _all_hold(frame: pl.DataFrame, truths: Mapping[str, pl.Expr]) -> bool:
    """Tell whether every truth holds for every row, and times are strictly increasing."""
    held = [truth.all(ignore_nulls=False).alias(reason) for reason, truth in truths.items()]
    if not all(frame.select(held).row(0)):
        return False
    times = frame["open_time"].to_numpy()
    return bool((times[1:] > times[:-1]).all())


def _split(frame: pl.DataFrame, truths: Mapping[str, pl.Expr]) -> tuple[pl.DataFrame, pl.DataFrame]:
    judged = _judge_duplicates(frame.with_columns(_reason(truths)))
    kept = judged["reason"].is_null()
    return frame.filter(kept), judged.filter(~kept)


def _all_true(truths: Mapping[str, pl.Expr]) -> pl.Expr:
    return pl.all_horizontal(truths.values()).fill_null(value=False).alias("fine")


def _reason(truths: Mapping[str, pl.Expr]) -> pl.Expr:
    failed = [
        pl.when(truth.fill_null(value=False)).then(None).otherwise(pl.lit(reason))
        for reason, truth in truths.items()
    ]
    reasons = pl.concat_str(failed, separator="; ", ignore_nulls=True)
    return pl.when(_all_true(truths)).then(None).otherwise(reasons).alias("reason")


def _judge_duplicates(judged: pl.DataFrame) -> pl.DataFrame:
    fine = pl.col("reason").is_null()
    rows = judged.with_row_index("row")
    candidates = rows.filter(fine).with_columns(
        values=pl.struct(NUMBERS).n_unique().over("open_time"),
        first=pl.col("row").min().over("open_time"),
    )
    verdicts = candidates.select(
        "row",
        verdict=pl.when(pl.col("values") > 1)
        .then(pl.lit(CONFLICT))
        .when(pl.col("row") > pl.col("first"))
        .then(pl.lit(DUPLICATE)),
    )
    joined = rows.join(verdicts, on="row", how="left", maintain_order="left")
    return joined.with_columns(reason=pl.coalesce("reason", "verdict")).drop("row", "verdict")
