"""What somebody should look at first, one sentence each, the worst first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from data_platform.rendering.facts import ReportFacts, SeriesFacts
from data_platform.rendering.legend import GAPS, MARKS_BY_NAME
from data_platform.rendering.words import spell_count, spell_score, spell_span

FIRST_NAMES = 4
"""Pairs or months that a sentence names."""

Level = Literal["critical", "warning"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to look at."""

    level: Level
    text: str
    remedy: str


def find_notices(facts: ReportFacts) -> list[Notice]:
    """Return what is wrong now, the worst first; empty when nothing is."""
    found = [*_sources(facts), *_late(facts), *_scores(facts), *_missing(facts), *_doubts(facts)]
    return sorted(found, key=lambda notice: notice.level)


def _sources(facts: ReportFacts) -> Iterator[Notice]:
    for source in facts.sources:
        if source.state == "left alone":
            yield Notice("critical", source.told, "It is tried again by itself; nothing to do.")


def _late(facts: ReportFacts) -> Iterator[Notice]:
    never = [it for it in facts.series if it.state == "not stored"]
    for (exchange,), group in _grouped(never, "exchange"):
        pairs = _named([it.pair for it in group])
        frames = ", ".join(dict.fromkeys(it.timeframe for it in group))
        text = f"{exchange}: nothing was ever stored of {pairs} ({frames})."
        yield Notice("critical", text, f"data-platform download --exchange {exchange}")
    late = [it for it in facts.series if it.state == "stale"]
    for (exchange, timeframe), group in _grouped(late, "exchange", "timeframe"):
        worst = max(group, key=lambda it: it.late)
        yield Notice(
            "critical",
            f"{exchange} {timeframe}: {_named([it.pair for it in group])} late by up to "
            f"{spell_span(worst.late)}, allowed are {spell_span(worst.limit)}.",
            f"Keep {exchange}_new_candle_sensor on, or call data-platform download.",
        )


def _grouped(
    series: Sequence[SeriesFacts], *names: str
) -> Iterator[tuple[tuple[str, ...], list[SeriesFacts]]]:
    """Yield series that are alike in some facts together, in their order."""
    found: dict[tuple[str, ...], list[SeriesFacts]] = {}
    for it in series:
        found.setdefault(tuple(getattr(it, name) for name in names), []).append(it)
    yield from found.items()


def _scores(facts: ReportFacts) -> Iterator[Notice]:
    # Of what was never stored there is nothing more to say.
    stored = [it for it in facts.series if it.state != "not stored"]
    scored = [(it.score.score, it) for it in stored if it.score and it.score.score is not None]
    for score, series in sorted(scored, key=lambda found: found[0]):
        below = [name for name, limit in facts.levels.items() if score < limit]
        if not below or series.score is None:
            continue
        known = {name: it for name, it in series.score.components.items() if it is not None}
        least = min(known, key=lambda name: known[name], default="unknown")
        yield Notice(
            "critical" if below[0] == next(iter(facts.levels)) else "warning",
            f"{series.exchange} {series.pair} {series.timeframe}: score {spell_score(score)} in "
            f"{series.score.period}, below the level {below[0]}; its lowest part is {least}.",
            "Open the series below: its gaps and rows tell why.",
        )


def _missing(facts: ReportFacts) -> Iterator[Notice]:
    sums = facts.days.group_by("exchange").agg(pl.sum(*GAPS)).sort("exchange")
    for exchange, *counts in sums.rows():
        parts = [
            f"{spell_count(count)} {MARKS_BY_NAME[name].title}"
            for name, count in zip(GAPS, counts, strict=True)
            if count
        ]
        if parts:
            text = (
                f"{exchange}: {spell_count(sum(counts))} candles are missing ({', '.join(parts)})."
            )
            yield Notice(
                "warning", text, f"Jobs > heal_{exchange}_gaps_job asks for all that is due."
            )


def _doubts(facts: ReportFacts) -> Iterator[Notice]:
    if facts.doubts:
        shown = facts.doubts[:FIRST_NAMES]
        rest = len(facts.doubts) - len(shown)
        text = " ".join([*shown, *([f"And {rest:,} more months."] if rest else [])])
        yield Notice("warning", text, "data-platform verify --deep")


def _named(pairs: Sequence[str]) -> str:
    pairs = list(dict.fromkeys(pairs))
    shown, rest = pairs[:FIRST_NAMES], len(pairs) - FIRST_NAMES
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
