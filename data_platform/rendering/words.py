"""Numbers and times as people read them."""

from datetime import datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def spell_span(span: timedelta | None) -> str:
    """Return a length of time by its two largest units: `3 d 4 h`; a dash where unknown."""
    if span is None:
        return "\u2013"
    seconds = int(max(span, timedelta(0)).total_seconds())
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        parts.append((count, unit))
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    shown = [part for part in parts[:2] if part[0]] or parts[-1:]
    return " ".join(f"{count} {unit}" for count, unit in shown)


def spell_time(time: datetime | None) -> str:
    """Return a time to the minute, UTC; a dash where unknown."""
    return "\u2013" if time is None else f"{time:%Y-%m-%d %H:%M}"


def spell_score(score: float | None) -> str:
    """Return a score with three digits, cut, so that only a perfect one reads 1.000."""
    return "\u2013" if score is None else f"{int(score * 1000 + 1e-9) / 1000:.3f}"


def spell_share(share: float | None) -> str:
    """Return a share in percent, cut, so that only a whole one reads 100 %."""
    if share is None:
        return "\u2013"
    return "100 %" if share >= 1 else f"{int(share * 10_000 + 1e-9) / 100:.2f} %"


def spell_count(count: float) -> str:
    """Return a whole number with commas."""
    return f"{count:,.0f}"
