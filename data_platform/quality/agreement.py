"""What must hold between series of one market: its timeframes, and the exchanges that list it.

Rules here look at one month of one series beside the same month of others. A coarser candle is
held against the finest timeframe by which its window is wholly known; the finest timeframe of all
is held against nothing, and a derived one equals its finer one by construction. With no other
exchange nothing can be told, with one more no rule can tell who is right. Stays out: reading the
others, and when it is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.timeframes import TIMEFRAMES, Timeframe
from data_platform.quality.exchanges import (
    TWO,
    Others,
    compare_closes,
    find_copies,
    find_shifts,
    join_closes,
    measure_pairs,
)
from data_platform.quality.rule import Limits, Severity

NUMBERS = CANDLE_SCHEMA.names()[1:]
PRICES = NUMBERS[:4]


@dataclass(frozen=True, slots=True)
class Finer:
    """A finer timeframe of the same market."""

    timeframe: Timeframe
    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted: those of the same month."""
    quiet: pl.DataFrame
    """start, end: ranges of its grid times that are known to be without trades."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One month of one series, and what is stored of the same month beside it."""

    candles: pl.DataFrame
    """`CANDLE_SCHEMA`, sorted."""
    timeframe: Timeframe
    finer: Sequence[Finer] = ()
    """The finest first; none where the candles are derived from them."""
    same: Others = field(default_factory=dict)
    """The same pair on other exchanges, quote currency included: by exchange."""
    alike: Others = field(default_factory=dict)
    """The same base on other exchanges, whatever the quote: by market."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of one month."""

    rows: pl.DataFrame
    """The offending rows, `open_time` first; empty = pass."""
    checked: int
    """Candles that could be judged; 0: the rule says nothing."""
    measured: Mapping[str, object] = field(default_factory=dict)
    """What was measured on the way, for people."""


@dataclass(frozen=True, slots=True)
class AgreementRule:
    """One statement about a series beside others that should be true."""

    name: str
    """The statement, and the name of its asset check: `coarser_candles_agree`."""
    severity: Severity
    description: str
    """One sentence for the UI."""
    limits: Limits
    """Its thresholds and their defaults."""
    judge: Callable[[Surroundings, Limits], Finding]


def find_disagreeing_timeframes(given: Surroundings, limits: Limits) -> Finding:
    """Hold each candle against what the finer ones inside it make.

    A candle is compared when every finer time inside it is stored or known to be without trades,
    with the finest timeframe of which that is so; the others are counted as not compared. Finer
    candles without volume carry an old price, and exchanges differ in whether a coarser one counts
    it: either reading agrees.

    Args:
        given: the candles and their finer ones.
        limits: `price` and `volume`: how far they may differ, as a share of the finer ones'.

    Returns:
        Rows: open_time, finer (which timeframe), and each number with what the finer ones make of
        it (`open`, `finer_open`, ...), null where no finer candle is stored.
    """
    left, compared = given.candles, []
    for finer in given.finer:
        if left.is_empty():
            break
        windows = _windows(finer, given.timeframe)
        joined = left.join(windows, on="open_time", how="left", maintain_order="left")
        whole = pl.col("known").fill_null(0) == given.timeframe.ms // finer.timeframe.ms
        compared.append(joined.filter(whole).with_columns(finer=pl.lit(finer.timeframe.name)))
        left = left.join(compared[-1], on="open_time", how="anti", maintain_order="left")
    shown = ["finer", *(name for each in NUMBERS for name in (each, f"finer_{each}"))]
    measured = {"not_compared": left.height}
    if not compared:
        return Finding(given.candles.clear().select("open_time"), 0, measured)
    known = pl.concat(compared).sort("open_time")
    rows = known.filter(~_agrees(limits)).select("open_time", *shown)
    by = known.group_by("finer").len().sort("finer").rows()
    return Finding(rows, known.height, {**measured, "compared": dict(by)})


def find_disagreeing_exchanges(given: Surroundings, limits: Limits) -> Finding:
    """Hold each close against the median of the exchanges, and each stretch against its time.

    Args:
        given: the candles and those of the same pair elsewhere.
        limits: the share of the median that a close may be off, by timeframe.

    Returns:
        Rows: open_time, close, median (with two exchanges: the other's close), deviation (share of
        it), exchanges (how many traded then), reason.
    """
    if not given.same:
        return Finding(given.candles.clear().select("open_time"), 0)
    closes = join_closes(given.candles, given.same)
    compared = compare_closes(closes)
    shifts = find_shifts(given.candles, given.same, given.timeframe)
    told = compared.join(shifts, on="open_time", how="left", maintain_order="left")
    far = pl.col("deviation").abs() > limits[given.timeframe.name]
    rows = told.filter(far | pl.col("late_seconds").is_not_null())
    pairs = measure_pairs(closes, given.timeframe)
    return Finding(
        rows.select(*compared.columns, reason=_reason()), compared.height, {"exchanges": pairs}
    )


def find_copied_candles(given: Surroundings, limits: Limits) -> Finding:
    """Look for runs of candles that are another exchange's, number for number.

    Args:
        given: the candles and those of the same base elsewhere.
        limits: `candles` in a row that are no chance any more.

    Returns:
        Rows, one a run: open_time (of its first candle), last, candles, like (the other market).
    """
    runs = find_copies(given.candles, given.alike, int(limits["candles"]))
    return Finding(runs, given.candles.height if given.alike else 0)


def _windows(finer: Finer, timeframe: Timeframe) -> pl.DataFrame:
    """Return what finer candles make of each window, and how many of its times are known.

    Returns:
        open_time, `finer_` and each number of all candles, `traded_` of those with volume (null
        without any), known.
    """
    every = pl.col("open_time").dt.truncate(f"{timeframe.seconds}s")
    step = f"{finer.timeframe.seconds}s"
    traded = finer.candles.filter(pl.col("volume") > 0)
    made = (
        finer.candles.group_by(every)
        .agg(*_made("finer"), pl.len().alias("stored"))
        .join(traded.group_by(every).agg(*_made("traded")), on="open_time", how="left")
    )
    times = pl.datetime_ranges("start", "end", step, closed="left", time_unit="ms")
    quiet = finer.quiet.select(open_time=times).explode("open_time")
    empty = quiet.group_by(every).agg(quiet=pl.len())
    known = pl.col("stored").fill_null(0) + pl.col("quiet").fill_null(0)
    return made.join(empty, on="open_time", how="full", coalesce=True).with_columns(known=known)


def _made(name: str) -> list[pl.Expr]:
    return [
        pl.col("open").first().alias(f"{name}_open"),
        pl.col("high").max().alias(f"{name}_high"),
        pl.col("low").min().alias(f"{name}_low"),
        pl.col("close").last().alias(f"{name}_close"),
        pl.col("volume").sum().alias(f"{name}_volume"),
    ]


def _agrees(limits: Limits) -> pl.Expr:
    def near(name: str, reading: str, share: float) -> pl.Expr:
        made = pl.col(f"{reading}_{name}")
        return ((pl.col(name) - made).abs() <= share * made.abs()).fill_null(value=False)

    readings = [
        pl.all_horizontal(near(name, reading, limits["price"]) for name in PRICES)
        for reading in ("finer", "traded")
    ]
    is_empty = pl.col("finer_volume").is_null() & (pl.col("volume") == 0)
    return is_empty | (near("volume", "finer", limits["volume"]) & pl.any_horizontal(readings))


def _reason() -> pl.Expr:
    shifted = pl.format(
        "tells what the others told {} s before it: correlation {}, at its own time {}",
        pl.col("late_seconds").cast(pl.Int64),
        pl.col("correlation").round(2),
        pl.col("now").round(2),
    )
    far = pl.lit("far from the median")
    alone = "; of two exchanges there is no telling which is right"
    what = pl.when(pl.col("late_seconds").is_null()).then(far).otherwise(shifted)
    return pl.concat_str(
        what, pl.when(pl.col("exchanges") == TWO).then(pl.lit(alone)).otherwise(pl.lit(""))
    )


RULES: tuple[AgreementRule, ...] = (
    AgreementRule(
        name="coarser_candles_agree",
        severity="warn",
        description="Each candle is what the finer candles of the same market make of its time.",
        limits={"price": 0.0, "volume": 1e-12},
        judge=find_disagreeing_timeframes,
    ),
    AgreementRule(
        name="exchanges_agree",
        severity="warn",
        description="Each close is near the median of the exchanges, at the time it is said to be.",
        limits={row.name: 0.01 if row.name == "1m" else 0.03 for row in TIMEFRAMES},
        judge=find_disagreeing_exchanges,
    ),
    AgreementRule(
        name="no_copied_candles",
        severity="error",
        description="No run of candles is another exchange's, number for number.",
        limits={"candles": 3.0},
        judge=find_copied_candles,
    ),
)
