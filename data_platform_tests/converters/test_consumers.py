"""The files opened by the programs themselves, each in its own environment.

`CONSUMERS_ENV` names a folder of virtual environments: `freqtrade` (freqtrade), `vectorbt`
(vectorbt, pyarrow), `nautilus` (nautilus_trader). A program whose environment is not there is
skipped. Every candle is compared to the last bit.
"""

import math
import random
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from data_platform.converters import freqtrade, nautilus, nautilus_csv, vectorbt
from data_platform.converters.converter import Converter, ExportFile, FileFormat
from data_platform.domain.candles import CANDLE_SCHEMA
from data_platform.domain.markets import Pair, Series
from data_platform.domain.periods import Period, periods_between
from data_platform.domain.precision import FINEST, Precision
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform_tests.converters.programs import ask, bar_rows, hex_rows, normal, python_of

pytestmark = pytest.mark.slow

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
# Two candles at the turn of the month are missing, and a day in February.
GAPS = (
    (datetime(2024, 1, 31, 23, tzinfo=UTC), datetime(2024, 2, 1, 1, tzinfo=UTC)),
    (datetime(2024, 2, 10, tzinfo=UTC), datetime(2024, 2, 11, tzinfo=UTC)),
)


def walk(timeframe: Timeframe, seed: int, tick: float = 0.01) -> pl.DataFrame:
    numbers = random.Random(seed)
    digits = round(-math.log10(tick))
    price, time, rows = 4_200_000 * tick, START, []
    while time < END:
        close = price * math.exp(numbers.gauss(0, 0.01))
        high, low = max(price, close) * 1.001, min(price, close) * 0.999
        prices = (round(value, digits) for value in (price, high, low, close))
        volume = 0.0 if numbers.random() < 0.05 else round(numbers.lognormvariate(3, 2), 8)
        if not any(start <= time < end for start, end in GAPS):
            rows.append((time, *prices, volume))
        price, time = round(close, digits), time + timeframe.duration
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def export(
    root: Path,
    converter: Converter,
    candles: pl.DataFrame,
    symbol: str,
    timeframe: Timeframe,
    precision: Precision = FINEST,
) -> list[Path]:
    series = Series("binance", Pair(symbol), timeframe)
    periods: list[Period | None] = [None]
    if converter.scope == "period":
        periods = list(periods_between(START, END))
    paths = []
    for period in periods:
        file = ExportFile(series, period, precision)
        part = candles.filter(
            pl.lit(value=True)
            if period is None
            else pl.col("open_time").is_between(period.start, period.end, closed="left")
        )
        paths.append(root / converter.path(file))
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        converter.write(part, file, paths[-1])
        for place, write in converter.companions(file).items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            write(root / place)
    return paths


def test_freqtrade_loads_every_candle(tmp_path: Path) -> None:
    hour = to_timeframe("1h")
    candles, futures = walk(hour, 1), walk(hour, 2, tick=1e-8)
    export(tmp_path, freqtrade.CONVERTER, candles, "BTC/USDT", hour)
    export(tmp_path, freqtrade.CONVERTER, futures, "BTC/USDT:USDT", hour)
    found = ask("freqtrade", "load_freqtrade.py", str(tmp_path / "freqtrade/binance"), "1h")
    assert found["candles"] == hex_rows(candles)
    assert found["futures"] == hex_rows(futures)
    days = datetime(2024, 1, 30, tzinfo=UTC), datetime(2024, 2, 3, tzinfo=UTC)
    asked = candles.filter(pl.col("open_time").is_between(*days))
    assert found["range"] == hex_rows(asked)
    assert len(found["filled"]) == candles.height + 26


def test_freqtrade_lists_the_pair_with_its_range(tmp_path: Path) -> None:
    day = to_timeframe("1d")
    candles = walk(day, 1)
    export(tmp_path, freqtrade.CONVERTER, candles, "BTC/USDT", day)
    command = [
        str(python_of("freqtrade").with_name("freqtrade")),
        *("list-data", "--show-timerange", "--exchange", "binance"),
        *("--userdir", str(tmp_path), "--datadir", str(tmp_path / "freqtrade/binance")),
    ]
    (tmp_path / "logs").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if "BTC/USDT" in line)
    cells = [cell.strip() for cell in line.replace("│", "|").split("|")[1:-1]]
    assert cells[1:] == ["1d", "spot", "2024-01-01", "2024-02-29", "58"]


def test_vectorbt_takes_the_frames_and_trades_on_them(tmp_path: Path) -> None:
    hour = to_timeframe("1h")
    all_candles = {"BTC/USDT": walk(hour, 1), "PEPE/USDT": walk(hour, 2, tick=1e-10)}
    paths = [
        str(export(tmp_path, vectorbt.CONVERTER, candles, symbol, hour)[0].parent)
        for symbol, candles in all_candles.items()
    ]
    found = ask("vectorbt", "load_vectorbt.py", *paths)
    expected = [hex_rows(candles) for candles in all_candles.values()]
    assert found["frames"] == expected
    assert found["data"] == expected
    first = all_candles["BTC/USDT"]
    bought, sold = first.row(10, named=True), first.row(20, named=True)
    assert found["trade"] == [
        *(bought["open_time"].isoformat(), bought["close"]),
        *(sold["open_time"].isoformat(), sold["close"]),
    ]
    assert found["total_return"] == pytest.approx(sold["close"] / bought["close"] - 1)


def largest(candles: pl.DataFrame) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return candles.with_columns(
        pl.when(first).then(nautilus.PRICE_MAX).otherwise("high").alias("high"),
        pl.when(first).then(nautilus.QUANTITY_MAX).otherwise("volume").alias("volume"),
    ).cast(CANDLE_SCHEMA)


PRECISIONS = {
    "BTC/USDT": Precision(2, 8),
    "PEPE/USDT": Precision(10, 8),
    "BTC/USDT:USDT": Precision(2, 8),
    "SHIB/USDT": FINEST,
}


@pytest.mark.parametrize("environment", ["nautilus", "nautilus-1.221"])
def test_nautilus_trader_replays_every_bar(environment: str, tmp_path: Path) -> None:
    hour, day = to_timeframe("1h"), to_timeframe("1d")
    written = {
        "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL": ("BTC/USDT", hour, walk(hour, 1)),
        "BTCUSDT.BINANCE-1-DAY-LAST-EXTERNAL": ("BTC/USDT", day, walk(day, 2)),
        "PEPEUSDT.BINANCE-1-HOUR-LAST-EXTERNAL": ("PEPE/USDT", hour, walk(hour, 3, tick=1e-10)),
        "BTC-USDT_3AUSDT.BINANCE-1-HOUR-LAST-EXTERNAL": ("BTC/USDT:USDT", hour, walk(hour, 4)),
        "SHIBUSDT.BINANCE-1-DAY-LAST-EXTERNAL": ("SHIB/USDT", day, largest(walk(day, 5))),
    }
    for symbol, timeframe, candles in written.values():
        precision = PRECISIONS[symbol]
        export(tmp_path, nautilus.CONVERTER, candles, symbol, timeframe, precision)
    found = ask(environment, "load_nautilus.py", str(tmp_path / "nautilus"), *written)

    expected = {
        name: bar_rows(candles, timeframe) for name, (_, timeframe, candles) in written.items()
    }
    assert {name: normal(rows) for name, rows in found["bars"].items()} == expected
    definitions = {row["id"]: row for row in found["instruments"]}
    assert set(definitions) == {name.split("-1-")[0] for name in written}
    assert {
        Precision(row["price_precision"], row["size_precision"]) for row in definitions.values()
    } == set(PRECISIONS.values())

    # The intervals that the file names promise leave no hole between the months.
    for intervals in found["intervals"].values():
        assert intervals[0][1] + 1 == intervals[1][0]

    # A backtest tells each bar when it has closed, and fills at that close.
    bars = expected["BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"]
    assert [row[0] for row in found["seen"]] == [bar[1] for bar in bars]
    assert normal([row[1:] for row in found["seen"]]) == bars
    (bought_at, bought_for, quantity), (sold_at, sold_for, _) = found["fills"]
    assert (bought_at, Decimal(bought_for)) == (bars[9][1], Decimal(bars[9][5]))
    assert (sold_at, Decimal(sold_for)) == (bars[19][1], Decimal(bars[19][5]))
    assert Decimal(quantity) == Decimal("0.12345679")


def test_nautilus_trader_finds_a_range_across_months(tmp_path: Path) -> None:
    hour = to_timeframe("1h")
    candles = walk(hour, 1)
    export(tmp_path, nautilus.CONVERTER, candles, "BTC/USDT", hour)
    name = "BTCUSDT.BINANCE-1-HOUR-LAST-EXTERNAL"
    found = ask("nautilus", "load_nautilus.py", str(tmp_path / "nautilus"), name)
    # Closes at 22:00 and 23:00; those at 00:00 and 01:00 are in the gap; 02:00 is there again.
    closes = [
        *(datetime(2024, 1, 31, 22, tzinfo=UTC), datetime(2024, 1, 31, 23, tzinfo=UTC)),
        datetime(2024, 2, 1, 2, tzinfo=UTC),
    ]
    assert found["around_the_month"] == [int(time.timestamp()) * 10**9 for time in closes]


def write_format(root: Path, wanted: FileFormat, candles: pl.DataFrame) -> Path:
    file = ExportFile(Series("binance", Pair("BTC/USDT"), to_timeframe("1h")), None)
    path = root / wanted.path(file)
    path.parent.mkdir(parents=True)
    wanted.write(candles, file, path)
    return path


def test_freqtrade_loads_its_parquet(tmp_path: Path) -> None:
    candles = walk(to_timeframe("1h"), 1)
    folder = write_format(tmp_path, freqtrade.PARQUET, candles).parent
    [found] = ask("freqtrade", "bars_freqtrade.py", str(folder), "parquet", "BTC/USDT 1h")
    assert found == hex_rows(candles)


def test_nautilus_traders_csv_loader_finds_every_close(tmp_path: Path) -> None:
    hour = to_timeframe("1h")
    candles = walk(hour, 1).with_columns(pl.col("volume").round(6))
    path = write_format(tmp_path, nautilus_csv.CSV, candles)
    found = ask("nautilus", "csv_nautilus.py", str(path), path.stem)
    # Its own instrument of this pair has 2 and 6 decimals.
    expected = [
        [row[1], *(str(Decimal(it).quantize(Decimal("0.01"))) for it in row[2:6])]
        for row in bar_rows(candles, hour)
    ]
    assert [row[:5] for row in found] == expected
    assert [float(row[5]) for row in found] == candles["volume"].to_list()
