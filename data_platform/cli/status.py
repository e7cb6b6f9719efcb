"""`data-platform status`: how far every series is, and whether one is late."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import click
from rich.table import Table
from rich.text import Text

from data_platform.cli.options import WORD
from data_platform.cli.output import open_console, print_json
from data_platform.cli.scores import print_trend, spell_worst, to_score_object
from data_platform.domain.exchanges import exchange_row
from data_platform.domain.markets import Series, to_exchange
from data_platform.operations.due import FreshnessLimits, SeriesStatus, series_status
from data_platform.operations.lake import Lake, opened_lake, require_lake
from data_platform.operations.missing import GapCount, History, count_gaps
from data_platform.operations.score import ScoreRules
from data_platform.operations.score_view import SeriesScore, score_now
from data_platform.operations.stale import count_stale
from data_platform.settings import Settings, load_settings

State = Literal["fresh", "stale", "not stored", "delisted", "retired"]

COLORS: dict[State, str] = {
    "fresh": "green",
    "stale": "red",
    "not stored": "red",
    "delisted": "yellow",
    "retired": "dim",
}
"""`not stored`: configured and never asked for. `delisted`: not traded any more, or under another
name. `retired`: stored and no longer configured."""


REMEDY = (
    "What is stale is computed anew by `data-platform download`, and every night by its schedule."
)


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One series with its verdict."""

    status: SeriesStatus
    count: GapCount
    state: State
    age: timedelta | None
    """Since the close of its newest candle."""
    stale: int = 0
    """Stored partitions computed from it, and files made of it, that are no longer what they would
    be now."""
    outage: str | None = None
    """Since when, why and until when its exchange is not asked; None while it is."""
    until_lost: timedelta | None = None
    """How long its exchange still has the oldest candle that is awaited; negative: since then it
    has not. None where nothing is awaited, or no candle ever leaves."""
    score: SeriesScore | None = None
    """How good it is; None where nothing is known, or it is no longer configured."""


@click.command()
@click.option(
    "--exchange", "exchanges", multiple=True, type=WORD, help="Repeat for several.  [default: all]"
)
@click.option("--trend", "is_trend", is_flag=True, help="How the scores went; exits 0.")
@click.option("--json", "is_json", is_flag=True, help="An array of objects, for programs.")
def status(exchanges: tuple[str, ...], *, is_trend: bool, is_json: bool) -> None:
    """Show from, to, candles, gaps, age and score of every series; exit 1 when one is stale.

    Missing is every candle since the configured start that should be there, whether it was lost
    or nobody ever asked for it; a time without trades is counted apart.

    A series is stale when a closed candle is awaited for longer than configs/thresholds.yaml and
    the refresh interval allow, or when nothing of it was ever fetched. The column `stale` counts
    stored derived partitions and files whose inputs have changed since. The score, from 0 to 1, is
    that of the newest month; the worst months are named below the table. An exchange that has
    stopped answering, and is therefore not asked, is named below the table, and so is one whose
    candles are about to leave its short history before they have been fetched.
    """
    settings = load_settings()
    now = datetime.now(UTC)
    if is_trend:
        require_lake(settings.data_root)
        with opened_lake(settings.data_root, settings.state_url) as lake:
            names = _wished(lake, settings, exchanges)
            print_trend(lake, names, settings.thresholds.profiles, now.date(), is_json=is_json)
        return
    lines = read_status(settings, now, exchanges)
    if is_json:
        print_json([_to_object(line) for line in lines])
    else:
        open_console().print(_to_table(lines))
        for outage in dict.fromkeys(line.outage for line in lines if line.outage):
            click.echo(outage)
        scores = {line.status.series: line.score for line in lines if line.score}
        for words in [*spell_losses(lines, now), *_spell_lost(lines), *spell_worst(scores)]:
            click.echo(words)
        click.echo(_footer(lines))
        if any(line.stale for line in lines):
            click.echo(REMEDY)
    sys.exit(1 if any(line.state in {"stale", "not stored"} for line in lines) else 0)


def read_status(
    settings: Settings, now: datetime, exchanges: Sequence[str] = ()
) -> list[StatusLine]:
    """Return a line per configured or stored series, by exchange, pair and timeframe.

    Args:
        settings: what is configured.
        now: the clock, UTC.
        exchanges: names to show; empty for all.

    Raises:
        WrongUseError: an exchange is neither configured nor stored.
        NotStoredError: there is no lake yet.
        StorageError: the state database cannot be read.
    """
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        stored = lake.store.series_of("ohlcv")
        return [
            line
            for name in _wished(lake, settings, exchanges)
            for line in _lines(lake, settings, name, stored, now)
        ]


def _wished(lake: Lake, settings: Settings, exchanges: Sequence[str]) -> list[str]:
    stored = {series.exchange for series in lake.store.series_of("ohlcv")}
    names = sorted({*settings.exchanges, *stored})
    wished = {to_exchange(text, names) for text in exchanges}
    return [name for name in names if name in wished or not wished]


def _lines(
    lake: Lake, settings: Settings, name: str, stored: set[Series], now: datetime
) -> Iterator[StatusLine]:
    exchange = settings.exchanges.get(name)
    configured = set(exchange.series if exchange else ())
    wanted = sorted(
        configured | {series for series in stored if series.exchange == name},
        key=lambda series: (series.pair, series.timeframe.seconds),
    )
    rules = settings.score_rules_of(exchange) if exchange else _rules_of_retired(settings, name)
    stale = count_stale(lake, settings.scope_of(exchange), now) if exchange else Counter()
    breaker = lake.breakers.read(name)
    outage = breaker.spell(name) if breaker.is_open(now) else None
    counts = count_gaps(lake, rules.history, wanted)
    statuses = series_status(lake, wanted, rules.fresh, now)
    scores = score_now(lake, [it for it in statuses if it.series in configured], rules, now)
    for found in statuses:
        closed = found.last + found.series.timeframe.duration if found.last else None
        age = now - closed if closed else None
        state = _state(found, is_configured=found.series in configured)
        count = counts[found.series]
        reach = exchange.reach(found.series.timeframe) if exchange and state != "retired" else None
        left = found.until_lost(reach)
        score = scores.get(found.series)
        yield StatusLine(found, count, state, age, stale[found.series], outage, left, score)


def _rules_of_retired(settings: Settings, name: str) -> ScoreRules:
    thresholds = settings.thresholds
    fresh = FreshnessLimits(timedelta(0), settings.refresh.candles, thresholds.limits)
    return ScoreRules(History(exchange_row(name).quiet_candle, {}), fresh, thresholds.profiles)


def _state(found: SeriesStatus, *, is_configured: bool) -> State:
    if not is_configured:
        return "retired"
    if found.delisting is not None:
        return "delisted"
    if found.answered_until is None:
        return "not stored"
    return "stale" if found.is_stale else "fresh"


def _to_table(lines: Sequence[StatusLine]) -> Table:
    table = Table()
    for name in ("exchange", "pair", "timeframe", "from", "to"):
        table.add_column(name)
    for name in ("candles", "gaps", "missing", "no trades", "stale", "age", "score"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for line in lines:
        found = line.status
        table.add_row(
            found.series.exchange,
            found.series.pair.symbol,
            found.series.timeframe.name,
            _spell_time(found.first),
            _spell_time(found.last),
            f"{found.candles:,}",
            f"{line.count.gaps:,}",
            f"{line.count.missing:,}",
            f"{line.count.no_trades:,}",
            Text(f"{line.stale:,}", "red" if line.stale else ""),
            spell_age(line.age),
            f"{line.score.newest.value:.3f}" if line.score else "",
            Text(_spell_state(line), COLORS[line.state]),
        )
    return table


def _spell_state(line: StatusLine) -> str:
    since = line.status.delisting.since if line.status.delisting else None
    return f"delisted {since:%Y-%m-%d}" if line.state == "delisted" else line.state


def _to_object(line: StatusLine) -> dict[str, object]:
    found = line.status
    return {
        "exchange": found.series.exchange,
        "pair": found.series.pair.symbol,
        "timeframe": found.series.timeframe.name,
        "state": line.state,
        "from": found.first,
        "to": found.last,
        "candles": found.candles,
        "gaps": line.count.gaps,
        "missing": line.count.missing,
        "no_trades": line.count.no_trades,
        "lost": line.count.lost,
        "stale_partitions": line.stale,
        "age_seconds": line.age.total_seconds() if line.age is not None else None,
        "late_seconds": found.late.total_seconds(),
        "limit_seconds": found.limit.total_seconds(),
        "outage": line.outage,
        "lost_in_seconds": line.until_lost.total_seconds() if line.until_lost is not None else None,
        "delisted_since": found.delisting.since if found.delisting else None,
        "score": to_score_object(line.score.newest) if line.score else None,
        "worst": to_score_object(line.score.worst) if line.score else None,
    }


def spell_losses(lines: Sequence[StatusLine], now: datetime) -> list[str]:
    """Return one line for each timeframe of an exchange whose candles are about to be lost.

    Args:
        lines: of `read_status`.
        now: the clock, UTC.
    """
    found: dict[tuple[str, str], list[tuple[timedelta, StatusLine]]] = {}
    for line in lines:
        series, left = line.status.series, line.until_lost
        # Behind by half of what can be had: no usual pause.
        if left is not None and left < line.status.late:
            found.setdefault((series.exchange, series.timeframe.name), []).append((left, line))
    return [_spell_loss(*key, soon, now) for key, soon in found.items()]


def _spell_loss(
    exchange: str, timeframe: str, soon: Sequence[tuple[timedelta, StatusLine]], now: datetime
) -> str:
    left = min(left for left, _ in soon)
    pairs = ", ".join(line.status.series.pair.symbol for _, line in soon)
    since = f"candles are being lost for good since {now + left:%Y-%m-%d %H:%M} UTC"
    what = f"{spell_age(left)} until candles are lost for good" if left >= timedelta(0) else since
    remedy = f"Fetch now, and keep {exchange}_new_candle_sensor on."
    return f"{exchange} {timeframe}: {what} ({pairs}). {remedy}"


def _spell_lost(lines: Sequence[StatusLine]) -> Iterator[str]:
    for line in lines:
        if line.count.lost:
            yield (
                f"{line.status.series}: {line.count.lost:,} candles are lost for good: they were "
                "asked for when the exchange had them no more. They do not count as missing."
            )


def _footer(lines: Sequence[StatusLine]) -> str:
    counts = {state: sum(line.state == state for line in lines) for state in COLORS}
    named = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{len(lines)} series: {named or 'none'}"


def _spell_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def spell_age(age: timedelta | None) -> str:
    """Return a length of time by its two largest units: `3d 4h`, `12m 5s`; empty for None."""
    if age is None:
        return ""
    seconds = int(max(age, timedelta(0)).total_seconds())
    sizes = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    parts = []
    for unit, size in sizes:
        count, seconds = divmod(seconds, size)
        parts.append((count, unit))
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count}{unit}" for count, unit in parts[:2])
