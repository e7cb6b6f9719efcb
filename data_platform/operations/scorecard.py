"""How far the detectors can be trusted: what they find of what was planted, and what else.

Clean made-up markets are planted with one defect at a time, over many seeds; the detectors look at
each, and at the clean ones. What a check says of the clean candles is counted there, as a false
alarm, and not again at the same time in the planted ones. Stays out: printing (`cli/scorecard.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from data_platform.domain.markets import Market, Pair, Series
from data_platform.domain.synthetic import generate_candles
from data_platform.domain.synthetic_defects import DEFECTS, Defect
from data_platform.domain.synthetic_ground import Ground
from data_platform.domain.timeframes import Timeframe, to_timeframe
from data_platform.operations.detectors import FINDING_SCHEMA, Detectors, Stretch
from data_platform.operations.signs import SIGNS
from data_platform.quality.trailing import history_candles, trailing_candles
from data_platform.simulator.replay import read_replay

TARGET, OTHERS = "binance", ("okx", "bybit", "kraken")
PAIRS = tuple(Pair(f"{base}/USDT") for base in ("BTC", "ETH", "SOL", "XRP", "DOGE"))
DAYS = timedelta(days=3)
_MINUTE = to_timeframe("1m")
SHOWN = 3
_KEY = FINDING_SCHEMA.names()


@dataclass(frozen=True, slots=True)
class Recall:
    """What a check has found of one kind of defect."""

    check: str
    defect: str
    is_impossible: bool
    planted: int
    found: int

    @property
    def recall(self) -> float:
        """Return the share found."""
        return self.found / self.planted if self.planted else 1.0


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What a check says where nothing was planted."""

    check: str
    where: str
    """`clean <timeframe>`, the defect beside which it was said, or the file."""
    count: int
    candles: int
    """Looked at there."""
    first: tuple[str, ...]
    """Which market or seed, and when, of the first three."""


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What all detectors are worth."""

    seeds: int
    recalls: Sequence[Recall]
    true: Mapping[str, int]
    """Findings at planted times, by check."""
    false_alarms: Sequence[FalseAlarms]

    def precision(self, check: str) -> float | None:
        """Return the share of a check's findings that are true; None: it found nothing."""
        true = self.true.get(check, 0)
        false = sum(it.count for it in self.false_alarms if it.check == check)
        return true / (true + false) if true + false else None

    @property
    def findings(self) -> list[tuple[str, int, int]]:
        """Return each check with how many of its findings are true and false."""
        false: dict[str, int] = {}
        for it in self.false_alarms:
            false[it.check] = false.get(it.check, 0) + it.count
        checks = sorted({it.check for it in self.recalls} | false.keys() | self.true.keys())
        return [(check, self.true.get(check, 0), false.get(check, 0)) for check in checks]

    @property
    def missed(self) -> list[Recall]:
        """Return what cannot be true and was not always found."""
        return [it for it in self.recalls if it.is_impossible and it.found < it.planted]


@dataclass(slots=True)
class _Tally:
    counts: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    true: dict[str, int] = field(default_factory=dict)
    false: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    candles: dict[str, int] = field(default_factory=dict)

    def look(self, where: str, candles: int) -> None:
        self.candles[where] = self.candles.get(where, 0) + candles

    def add_false(self, where: str, market: str, findings: pl.DataFrame) -> None:
        for check, time in findings.rows():
            self.false.setdefault((check, where), []).append(
                f"{market} {time:%Y-%m-%d %H:%M:%S}".strip()
            )

    def add_planted(self, defect: Defect, trial: "_Trial", found: pl.DataFrame) -> None:
        """Count what was found of one delivery, and what else is said of it."""
        new = found.join(trial.said, on=_KEY, how="anti")
        allowed = [pl.DataFrame(schema=FINDING_SCHEMA)]
        for sign in SIGNS[defect.name]:
            times = sign.expected(trial.planted, trial.timeframe)
            named = times.with_columns(check=pl.lit(sign.check))
            allowed.append(named.select(FINDING_SCHEMA.names()))
            if sign.must:
                hits = named.join(found, on=_KEY, how="semi")
                planted, hit = self.counts.get((sign.check, defect.name), (0, 0))
                counts = (times["instance"].n_unique(), hits["instance"].n_unique())
                self.counts[sign.check, defect.name] = (planted + counts[0], hit + counts[1])
        is_true = new.join(pl.concat(allowed), on=_KEY, how="semi")
        for check, count in is_true.group_by("check").len().rows():
            self.true[check] = self.true.get(check, 0) + count
        self.look(defect.name, trial.candles)
        self.add_false(defect.name, trial.name, new.join(is_true, on=_KEY, how="anti"))


@dataclass(frozen=True, slots=True)
class _Trial:
    name: str
    timeframe: Timeframe
    candles: int
    planted: pl.DataFrame
    said: pl.DataFrame
    """What the detectors say of the same candles, clean."""


def score_detectors(seeds: Sequence[int], detectors: Detectors) -> Scorecard:
    """Plant every defect once a seed, in several places, and count what is found.

    Args:
        seeds: each makes other markets and other defects in another month.
        detectors: what looks.
    """
    tally = _Tally()
    for seed in seeds:
        clean: dict[str, tuple[Ground, Stretch, pl.DataFrame]] = {}
        for number, defect in enumerate(DEFECTS):
            if defect.timeframe not in clean:
                clean[defect.timeframe] = _clean(seed, defect.timeframe, detectors, tally)
            ground, stretch, said = clean[defect.timeframe]
            delivery = defect.plant(ground, np.random.default_rng([seed, number]))
            found = detectors.detect(delivery.rows, stretch)
            trial = _Trial(
                f"seed {seed}", ground.timeframe, delivery.rows.height, delivery.planted, said
            )
            tally.add_planted(defect, trial, found)
    return _scorecard(len(seeds), tally)


def _clean(
    seed: int, timeframe: str, detectors: Detectors, tally: _Tally
) -> tuple[Ground, Stretch, pl.DataFrame]:
    ground, stretch = clean_market(seed, to_timeframe(timeframe))
    said = detectors.detect(ground.candles, stretch)
    where = f"clean {timeframe}"
    tally.look(where, ground.candles.height)
    tally.add_false(where, f"seed {seed}", said)
    return ground, stretch, said


def clean_market(seed: int, timeframe: Timeframe) -> tuple[Ground, Stretch]:
    """Return three days of a made-up market without defects, and what is known around them."""
    pair = PAIRS[seed % len(PAIRS)]
    start = datetime(2021 + seed // 12 % 4, seed % 12 + 1, 10, tzinfo=UTC)
    end, known = start + DAYS, history_candles(timeframe) * timeframe.duration

    def made(exchange: str, length: Timeframe, since: datetime) -> pl.DataFrame:
        return generate_candles(seed, Market(exchange, pair), length, since, end).candles

    candles = made(TARGET, timeframe, start - known)
    is_before = pl.col("open_time") < start
    before, own = candles.filter(is_before), candles.filter(~is_before)
    minutes = own if timeframe == _MINUTE else made(TARGET, _MINUTE, start)
    others = {name: made(name, timeframe, start) for name in OTHERS}
    mean = float(before["volume"].tail(trailing_candles(timeframe)).to_numpy().mean())
    ground = Ground(own, timeframe, minutes, others[OTHERS[0]], mean)
    finer = None if timeframe == _MINUTE else minutes
    series = Series(TARGET, pair, timeframe)
    return ground, Stretch(series, start, end, before, finer, others)


def judge_files(folder: Path, detectors: Detectors) -> list[FalseAlarms]:
    """Return what the detectors say of real candles, for a person to look at.

    Args:
        folder: of files named `<anything>__<timeframe>.parquet`.
        detectors: what looks.
    """
    tally = _Tally()
    for path in sorted(folder.glob("*__*.parquet")):
        timeframe = to_timeframe(path.stem.rpartition("__")[2])
        rows = read_replay(path).sort("open_time")
        start, end = rows["open_time"][0], rows["open_time"][-1] + timeframe.duration
        series = Series("real", PAIRS[0], timeframe)
        stretch = Stretch(series, start, end, rows.clear())
        tally.look(path.stem, rows.height)
        tally.add_false(path.stem, "", detectors.detect(rows, stretch))
    return _false_alarms(tally)


def _scorecard(seeds: int, tally: _Tally) -> Scorecard:
    impossible = {defect.name: defect.is_impossible for defect in DEFECTS}
    recalls = [
        Recall(check, defect, impossible[defect], planted, found)
        for (check, defect), (planted, found) in tally.counts.items()
    ]
    return Scorecard(seeds, recalls, tally.true, _false_alarms(tally))


def _false_alarms(tally: _Tally) -> list[FalseAlarms]:
    return [
        FalseAlarms(check, where, len(times), tally.candles[where], tuple(times[:SHOWN]))
        for (check, where), times in sorted(tally.false.items())
    ]
