"""The report of all markets' quality: scores, the issues of a day, and what to do about them.

Recommendations follow from what was found; each names the command to run.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from data_platform.domain.markets import Series
from data_platform.domain.state_files import Issue, MarketQuality, QualityReport, SourceStatus
from data_platform.operations.data_status import SeriesFacts, mean_of
from data_platform.operations.incidents import Incident

_LEDGER_KINDS = ("gap", "refused", "outage", "repaired", "series_fetched", "series_derived")


def to_quality_report(
    sources: Mapping[str, SourceStatus],
    facts: Sequence[SeriesFacts],
    incidents: Mapping[Series, Sequence[Incident]],
    now: datetime,
) -> QualityReport:
    """Return the report.

    Args:
        sources: every configured exchange.
        facts: every configured series.
        incidents: of the last 24 hours; those of series that are not configured are left out.
        now: the clock, UTC.
    """
    series = [each.status.series for each in facts]
    found = [it for each in series for it in incidents.get(each, ()) if it.is_issue]
    by_market: dict[str, list[SeriesFacts]] = {}
    for each in facts:
        by_market.setdefault(str(each.status.series.market), []).append(each)
    counts = Counter(str(it.series.market) for it in found)
    return QualityReport(
        report_date=now.date(),
        markets_monitored=len(by_market),
        overall_quality=mean_of(each.quality.score for each in facts),
        quality_by_market={name: _to_quality(own, counts[name]) for name, own in by_market.items()},
        issues_24h=[_to_issue(it) for it in sorted(found, key=lambda it: it.at, reverse=True)],
        recommendations=recommend(sources, facts, found),
    )


def recommend(
    sources: Mapping[str, SourceStatus], facts: Sequence[SeriesFacts], issues: Sequence[Incident]
) -> list[str]:
    """Return what to do about what was found, the most urgent first; one line a cause."""
    lines = [
        f"{name} does not answer: the line asks again by itself; `data-platform status` tells why "
        "and until when it waits."
        for name, source in sources.items()
        if source.status in {"down", "trying"}
    ]
    never = [each.status.series for each in facts if not each.is_known]
    late = [each.status.series for each in facts if each.is_known and each.is_away]
    lines += [
        f"{words} {_count(count, 'series')} of {name}: `data-platform download --exchange {name}`."
        for words, group in (("Never fetched:", never), ("Late, fetch now:", late))
        for name, count in Counter(each.exchange for each in group).items()
    ]
    return lines + _by_kind(issues)


def _by_kind(issues: Iterable[Incident]) -> list[str]:
    bars: Counter[tuple[str, str, str]] = Counter()
    for it in issues:
        bars[it.kind, it.series.exchange, it.series.timeframe.name] += it.bars
    lines = []
    for (kind, exchange, timeframe), count in sorted(bars.items()):
        where = f"{exchange} {timeframe}"
        order = f"--exchange {exchange} --timeframe {timeframe}"
        if kind in {"gap", "series_fetched", "series_derived"}:
            what = _count(count, "candle") if kind == "gap" else "months"
            lines.append(f"{where}: {what} incomplete: `data-platform download {order}`.")
        elif kind == "refused":
            lines.append(
                f"{where}: {_count(count, 'row')} refused: look at them with "
                "`data-platform quarantine list`."
            )
        elif kind not in _LEDGER_KINDS:
            lines.append(
                f"{where}: `{kind}` does not hold ({_count(count, 'row')}): compare with the "
                f"exchange by `data-platform download --full {order}`; the check shows the rows."
            )
    return lines


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 or word == "series" else f"{count:,} {word}s"


def _to_quality(facts: Sequence[SeriesFacts], issues: int) -> MarketQuality:
    known = [each.quality for each in facts]
    return MarketQuality(
        quality_score=mean_of(it.score for it in known),
        completeness=mean_of(it.completeness for it in known),
        validity=mean_of(it.validity for it in known),
        freshness=mean_of(it.freshness for it in known),
        issues=issues,
    )


def _to_issue(incident: Incident) -> Issue:
    return Issue(
        timestamp=incident.at,
        type=incident.kind,
        market=str(incident.series.market),
        timeframe=incident.series.timeframe.name,
        duration_bars=incident.bars,
        resolution=incident.resolution,
    )
