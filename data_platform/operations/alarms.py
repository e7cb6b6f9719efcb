"""When an alarm rings: one function for each kind of trouble, their list at the foot.

Belongs here: what is wrong, in which words, how bad, what was done and what to do. Stays out: where
the facts come from (`alarm_facts.py`), and who hears of it and how often (`alerts.py`).
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import groupby
from statistics import median

from data_platform.domain.alerts import Alarm, AlarmLimits, Severity
from data_platform.domain.markets import Pair, Series
from data_platform.operations.alarm_facts import Facts
from data_platform.operations.due import SeriesStatus

LADDER: tuple[tuple[float, Severity, bool], ...] = (
    (0.70, "critical", True),
    (0.80, "high", True),
    (0.85, "high", False),
)
"""A score below rings so loudly, and whether it escalates; the first that fits."""


Trigger = Callable[[Facts, AlarmLimits], Iterator[Alarm]]

USUAL_RUNS = 5
"""Runs of a kind that must have ended before their usual time is known."""

SHORT_RUN = 60.0
"""Seconds; a run that takes no longer is never slow."""

ENOUGH_REQUESTS = 20
"""Requests in an hour below which their share of errors tells nothing."""


def find_alarms(facts: Facts, limits: AlarmLimits) -> list[Alarm]:
    """Return everything that is wrong with one exchange now."""
    return [alarm for trigger in TRIGGERS for alarm in trigger(facts, limits)]


def find_feeds_offline(facts: Facts, _limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield one alarm for the exchange when all its markets are late, else one a late market.

    A market is late when the finest of its stored series is: a daily one would tell it a day later.
    """
    stored = [it for it in facts.statuses if it.last is not None and it.delisting is None]
    markets: dict[Pair, SeriesStatus] = {}
    for status in sorted(stored, key=lambda it: it.series.timeframe.seconds):
        markets.setdefault(status.series.pair, status)
    late = {pair: status for pair, status in markets.items() if status.is_stale}
    if not late:
        return
    exchange = facts.exchange
    if len(late) == len(markets):
        oldest = max(late.values(), key=lambda it: it.late)
        yield _offline(facts, exchange, None, oldest)
        return
    for pair, status in late.items():
        market = f"{exchange}/{pair.key}"
        yield _offline(facts, market, market, status)


def _offline(facts: Facts, subject: str, market: str | None, oldest: SeriesStatus) -> Alarm:
    what = "any market" if market is None else "this market"
    breaker = facts.breaker
    held = breaker.spell(facts.exchange) if breaker.state != "closed" else ""
    newest = f"{oldest.last:%Y-%m-%d %H:%M}" if oldest.last else "none"
    return Alarm(
        type="feed_offline",
        severity="critical",
        exchange=facts.exchange,
        market=market,
        subject=subject,
        message=(
            f"{subject}: no new candles of {what}: {oldest.series} is "
            f"{_spell(oldest.late)} late (allowed {_spell(oldest.limit)}), its newest candle is "
            f"{newest} UTC. Look at `data-platform status --exchange {facts.exchange}` and at the "
            "sensor's ticks; trade on nothing that needs this feed."
        ),
        action_taken=held or "asked for at every tick; stored candles are served as they are",
        escalate=True,
    )


def find_sources_away(facts: Facts, limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm when the exchange has given no answer for too long."""
    breaker = facts.breaker
    if breaker.state == "closed" or breaker.opened_at is None:
        return
    away = facts.now - breaker.opened_at
    if away > limits.source_away:
        yield Alarm(
            type="source_away",
            severity="critical",
            exchange=facts.exchange,
            market=None,
            subject=facts.exchange,
            message=(
                f"{facts.exchange} has given no answer since {breaker.opened_at:%Y-%m-%d %H:%M} "
                f"UTC ({_spell(away)}): {breaker.reason}. Look at the exchange's status page and "
                "at this machine's network; it is asked again by itself."
            ),
            action_taken=breaker.spell(facts.exchange),
            escalate=True,
        )


def find_low_scores(facts: Facts, _limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm for each series whose newest score stands below the ladder's first rung."""
    for it in facts.scores:
        rung = next((rung for rung in LADDER if it.score < rung[0]), None)
        if rung is None:
            continue
        limit, severity, escalate = rung
        yield Alarm(
            type="score_low",
            severity=severity,
            exchange=facts.exchange,
            market=_market(it.series),
            subject=str(it.series),
            message=(
                f"{it.series}: its quality score is {it.score:.3f}, below {limit:.2f}: {it.why}. "
                "The checks of its asset name the rows; `data-platform status --trend` shows since "
                "when."
            ),
            action_taken="what is missing is asked for again; nothing is filled or dropped",
            escalate=escalate,
        )


def find_recent_gaps(facts: Facts, _limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm for each series that has gaps, recent and longer than its check allows."""
    ordered = sorted(facts.gaps, key=lambda it: (str(it.series), it.start))
    for name, own in groupby(ordered, key=lambda it: str(it.series)):
        gaps = list(own)
        first, missing = gaps[0], sum(it.missing for it in gaps)
        more = f" and {len(gaps) - 1} more gaps" if len(gaps) > 1 else ""
        yield Alarm(
            type="critical_gap",
            severity="critical",
            exchange=facts.exchange,
            market=_market(first.series),
            subject=name,
            message=(
                f"{name}: {first.missing} candles are missing from {first.start:%Y-%m-%d %H:%M} to "
                f"{first.end:%Y-%m-%d %H:%M} UTC (allowed in a row: {first.allowed}){more}; "
                f"{missing} in all. Ask at once by `data-platform download --exchange "
                f"{facts.exchange} --start {first.start:%Y-%m-%d}`."
            ),
            action_taken=f"asked for {max(it.tries for it in gaps)} times, and again when due",
            escalate=True,
        )


def find_slow_runs(facts: Facts, limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm for each kind of run whose newest takes far longer than usual."""
    ordered = sorted(facts.runs, key=lambda it: (it.kind, it.started_at))
    for kind, own in groupby(ordered, key=lambda it: it.kind):
        *before, newest = own
        ended = [it.seconds for it in before if not it.is_running]
        if len(ended) < USUAL_RUNS or newest.seconds <= SHORT_RUN:
            continue
        usual = median(ended)
        if newest.seconds > limits.run_times_usual * usual:
            verb = "has run for" if newest.is_running else "took"
            yield Alarm(
                type="run_slow",
                severity="high",
                exchange=facts.exchange,
                market=None,
                subject=f"{facts.exchange} {kind}",
                message=(
                    f"{facts.exchange}: run {newest.run_id} ({kind}) {verb} "
                    f"{_spell(timedelta(seconds=newest.seconds))}, usually it is "
                    f"{_spell(timedelta(seconds=usual))}. Open it in the UI: its steps tell "
                    "where the time goes."
                ),
                action_taken="a tick is ended after 10 minutes, any other run after 12 hours",
            )


def find_many_errors(facts: Facts, limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm when too many requests of the last hour failed."""
    answers = facts.answers
    if answers.requests < ENOUGH_REQUESTS:
        return
    share = answers.failed / answers.requests
    if share > limits.error_share:
        yield Alarm(
            type="error_rate",
            severity="high",
            exchange=facts.exchange,
            market=None,
            subject=facts.exchange,
            message=(
                f"{facts.exchange}: {answers.failed} of {answers.requests} requests of the last "
                f"hour failed ({share:.0%}, allowed {limits.error_share:.0%}). The kinds stand in "
                "the view `runs`, column errors_json."
            ),
            action_taken="each was tried again; a candle that never came is in the ledger",
        )


def find_late_answers(facts: Facts, limits: AlarmLimits) -> Iterator[Alarm]:
    """Yield an alarm when the exchange answers far more slowly than usual."""
    latency, usual = facts.answers.latency, facts.answers.usual_latency
    if latency is None or usual is None or _ms(latency) <= limits.latency_least_ms:
        return
    if latency > limits.latency_times_usual * usual:
        yield Alarm(
            type="latency",
            severity="medium",
            exchange=facts.exchange,
            market=None,
            subject=facts.exchange,
            message=(
                f"{facts.exchange} answers in {_ms(latency)} ms, usually in {_ms(usual)} ms. Look "
                "at the exchange's status page and at this machine's network."
            ),
            action_taken="requests go on within their deadline",
        )


def _market(series: Series) -> str:
    return f"{series.exchange}/{series.pair.key}"


def _ms(time: timedelta) -> int:
    return round(time / timedelta(milliseconds=1))


def _spell(time: timedelta) -> str:
    return str(timedelta(seconds=round(time.total_seconds())))


TRIGGERS: tuple[Trigger, ...] = (
    find_feeds_offline,
    find_sources_away,
    find_low_scores,
    find_recent_gaps,
    find_slow_runs,
    find_many_errors,
    find_late_answers,
)
