"""`data-platform history`: what became of a series, or of one of its candles."""

from collections.abc import Mapping
from datetime import datetime

import click
from rich.table import Table

from data_platform.cli.options import TIME
from data_platform.cli.output import open_console, print_json
from data_platform.domain.errors import WrongUseError
from data_platform.domain.markets import Series
from data_platform.operations.audit_trail import Change, Trail, Values, trace_candle
from data_platform.operations.lake import Lake, opened_lake, require_lake
from data_platform.operations.lookup import Known, to_series
from data_platform.settings import Settings, load_settings
from data_platform.storage.journal import JournalRow


@click.command()
@click.argument("series")
@click.option("--at", type=TIME, help="Only the candle that this time lies in, UTC.")
@click.option("--json", "is_json", is_flag=True, help="Objects, for programs.")
def history(series: str, at: datetime | None, *, is_json: bool) -> None:
    """Tell when and why what is stored of a series has changed.

    SERIES is exchange, pair and timeframe: binance/BTC-USDT/1h. With --at, everything about one
    candle: when it was fetched and by which run, what it was before and why it changed, what is
    missing, what was refused, whether readers see a filled row.
    """
    settings = load_settings()
    require_lake(settings.data_root)
    with opened_lake(settings.data_root, settings.state_url) as lake:
        meant = find_series(lake, settings, series)
        if at is None:
            commits = lake.store.telling("ohlcv", meant)
        else:
            trail = trace_candle(lake, meant, at)
    if at is None:
        print_json(map(_commit_object, commits)) if is_json else _print_commits(commits)
    elif is_json:
        print_json([_trail_object(trail)])
    else:
        _print_trail(trail)


def find_series(lake: Lake, settings: Settings, text: str) -> Series:
    """Return the series that was typed as exchange/pair/timeframe, configured or stored.

    Raises:
        WrongUseError: it names none.
    """
    market, slash, timeframe = text.rpartition("/")
    if not slash:
        raise WrongUseError(f"series {text!r}: expected exchange/pair/timeframe, okx/BTC-USDT/1h")
    pairs = {name: exchange.pairs for name, exchange in settings.exchanges.items()}
    return to_series(lake.store, Known(pairs, ()), market, timeframe)


def _print_commits(commits: list[JournalRow]) -> None:
    table = Table("month", "version", "why", "rows", "newest", "fetched", "stored", "source", "run")
    for row in commits:
        times = (_spell(row.last), _spell(row.fetched_at), _spell(row.committed_at))
        month, version = str(row.period or ""), str(row.version)
        table.add_row(month, version, row.reason, f"{row.rows:,}", *times, row.source, row.run_id)
    open_console().print(table)
    click.echo(
        f"{len(commits)} commits that did more than add candles at the end, and each month's newest"
    )


def _print_trail(trail: Trail) -> None:
    console = open_console()
    console.print(f"{trail.series} {_spell(trail.time)}")
    table = Table("stored", "why", "fetched", "before", "after", "source", "run")
    for change in trail.changes:
        row = change.commit
        values = (_values(change.before), _values(change.after))
        table.add_row(
            *(_spell(row.committed_at), row.reason, _spell(row.fetched_at), *values),
            *(row.source, row.run_id),
        )
    if trail.changes:
        console.print(table)
    for line in _lines(trail):
        click.echo(line)


def _lines(trail: Trail) -> list[str]:
    lines = [] if trail.changes else ["It was never stored."]
    if trail.gap:
        gap = trail.gap
        again = f", to be asked for again from {_spell(gap.next_try)}" if gap.next_try else ""
        lines.append(f"Ledger: {gap.status}, asked {gap.tries} times{again}: {gap.evidence}")
    lines += [
        f"Refused: {reason}; see `data-platform quarantine list`"
        for reason in trail.refused["reason"]
    ]
    if trail.filled is None:
        lines.append("Filled: no row")
    else:
        how = trail.filled["fill_method"] if trail.is_filled else "the exchange's own candle"
        lines.append(f"Filled: {how}")
    return lines


def _values(values: Values | None) -> str:
    return "" if values is None else " ".join(f"{name[0]} {it!r}" for name, it in values.items())


def _spell(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""


def _commit_object(row: JournalRow) -> Mapping[str, object]:
    return {
        "month": str(row.period),
        "version": row.version,
        "reason": row.reason,
        "rows": row.rows,
        "newest": row.last,
        "fetched_at": row.fetched_at,
        "committed_at": row.committed_at,
        "source": row.source,
        "run_id": row.run_id,
        "file_sha256": row.file_sha256,
        "content_hash": row.content_hash,
    }


def _trail_object(trail: Trail) -> Mapping[str, object]:
    def spelled(change: Change) -> Mapping[str, object]:
        return {**_commit_object(change.commit), "before": change.before, "after": change.after}

    gap = trail.gap
    return {
        "series": str(trail.series),
        "open_time": trail.time,
        "changes": [spelled(change) for change in trail.changes],
        "gap": None
        if gap is None
        else {
            "status": gap.status,
            "evidence": gap.evidence,
            "tries": gap.tries,
            "next_try": gap.next_try,
        },
        "refused": trail.refused.to_dicts(),
        "is_filled": trail.is_filled,
        "fill_method": trail.filled["fill_method"] if trail.filled else None,
    }
