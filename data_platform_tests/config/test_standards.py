from pathlib import Path

import pytest

from data_platform.config.standards import RULE_LIMITS, RULES, read_standards
from data_platform.config.strict_yaml import parse_yaml, read_yaml
from data_platform.domain.errors import ConfigError
from data_platform.quality.standards import Change, Standards
from data_platform.settings import PROJECT_ROOT
from data_platform_tests.factories import series_of

FILE = Path("thresholds.yaml")
SHIPPED = PROJECT_ROOT / "configs/thresholds.yaml"
CHECKS = {rule.name: rule for rule in RULES}


def standards(text: str) -> Standards:
    return read_standards(parse_yaml(text.encode(), FILE))


def test_the_shipped_file_names_every_limit_of_every_check() -> None:
    document = read_yaml(SHIPPED)
    shipped = document.values["checks"]
    assert isinstance(shipped, dict)
    severities = {name: {"severity"} for name in CHECKS}
    for name, own in RULE_LIMITS.items():
        entry = shipped.pop(name)
        assert isinstance(entry, dict)
        assert set(entry) == set(own) | severities.get(name, set())
    assert shipped == {}


def test_the_shipped_file_says_what_the_rulings_say() -> None:
    shipped = read_standards(read_yaml(SHIPPED))
    assert shipped.overrides == ()
    limits = {name: change.limits for name, change in shipped.general.items() if change.limits}
    assert limits == {
        "no_price_jumps": {"1m": 0.1, "5m": 0.1, "15m": 0.15, "1h": 0.2, "4h": 0.3, "1d": 0.5},
        "no_volume_spikes": {"1m": 60, "5m": 40, "15m": 20, "1h": 20, "4h": 20, "1d": 20},
        "no_outlying_returns": {
            "sigmas": 5, "1m": 0.03, "5m": 0.04, "15m": 0.06, "1h": 0.1, "4h": 0.15, "1d": 0.25
        },
        "prices_move": {"1m": 60, "5m": 27, "15m": 15, "1h": 8, "4h": 4, "1d": 2},
        "zero_volume_as_usual": {"share": 0.25},
        "no_long_gaps": {"1m": 5, "5m": 2, "15m": 1, "1h": 1, "4h": 1, "1d": 1},
        "days_complete": {"share": 0.01},
        "history_complete": {"missing": 0},
        "quiet_times": dict.fromkeys(("1m", "5m", "15m", "1h", "4h", "1d"), 6 * 3600),
        "coarser_candles_agree": {"price": 0, "volume": 1e-12},
        "exchanges_agree": {
            "1m": 0.01, "5m": 0.03, "15m": 0.03, "1h": 0.03, "4h": 0.03, "1d": 0.03
        },
        "no_copied_candles": {"candles": 3},
        "candles_fresh": {
            "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "4h": 3600, "1d": 86400
        },
    }  # fmt: skip


def test_what_cannot_be_true_is_an_error_and_what_is_unusual_a_warning() -> None:
    general = read_standards(read_yaml(SHIPPED)).general
    assert {name: general[name].severity for name in CHECKS} == {
        name: rule.severity for name, rule in CHECKS.items()
    }
    warned = {name for name, change in general.items() if change.severity == "warn"}
    assert {"no_price_jumps", "zero_volume_as_usual"} <= warned
    assert not {"times_unique", "high_not_below_low", "candles_closed"} & warned


def test_each_shipped_check_has_its_comment() -> None:
    lines = SHIPPED.read_text().splitlines()
    for name in RULE_LIMITS:
        (index,) = [at for at, line in enumerate(lines) if line.startswith(f"  {name}:")]
        assert lines[index - 1].startswith("  # ")


def test_the_exceptions_that_the_file_shows_are_accepted() -> None:
    lines = SHIPPED.read_text().splitlines()
    first = lines.index("# series:")
    shown = [line.removeprefix("# ") for line in lines[first : first + 5]]
    found = standards("\n".join(["checks: {}", *shown])).overrides
    assert [(it.exchange, it.pair and it.pair.key) for it in found] == [
        ("kraken", None), ("kraken", "DOGE-USD")
    ]  # fmt: skip
    assert found[1].changes == {"prices_move": Change({"1m": 240.0}, "error")}


def test_what_the_file_does_not_name_keeps_the_defaults() -> None:
    found = standards("checks:\n  candles_fresh: {1m: 90, 1H: 2h}\n")
    own = found.of(CHECKS["candles_fresh"], series_of())
    assert own.severity == "error"
    assert (own.limits["1m"], own.limits["1h"], own.limits["1d"]) == (90, 7200, 86400)
    assert found.of(CHECKS["days_complete"], series_of()).limits == {"share": 0.01}


@pytest.mark.parametrize(
    ("series", "limit"),
    [
        (("kraken", "DOGE/USD", "1m"), 4),
        (("kraken", "BTC/USD", "1m"), 3),
        (("kraken", "BTC/USD", "5m"), 40),
        (("okx", "BTC/USD", "1m"), 1),
        (("kraken", "DOGE/USD", "1h"), 20),
    ],
)
def test_what_names_more_beats_what_names_fewer(series: tuple[str, str, str], limit: int) -> None:
    rule = "no_volume_spikes"
    text = (
        f"checks:\n  {rule}: {{1m: 1}}\nseries:\n"
        f"  kraken/DOGE-USD/1m: {{{rule}: {{1m: 4}}}}\n"
        f"  kraken/*/*: {{{rule}: {{1m: 2}}}}\n"
        f"  kraken/*/1M_: {{{rule}: {{1m: 3}}}}\n"
    ).replace("1M_", "1m")
    assert standards(text).of(CHECKS[rule], series_of(*series)).limits[series[2]] == limit


def test_severity_and_limits_are_overridden_apart() -> None:
    text = (
        "checks: {}\nseries:\n"
        "  kraken/*/1m: {prices_move: {severity: error}}\n"
        "  '*/DOGE/USD/*': {prices_move: {1m: 100}}\n"
    )
    found = standards(text).of(CHECKS["prices_move"], series_of("kraken", "DOGE/USD", "1m"))
    assert (found.severity, found.limits["1m"]) == ("error", 100)


SERIES = "checks: {}\nseries:\n"
MOVE = "{prices_move: {1m: 5}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gaps: {}\n",
            "1: gaps: unknown key. Accepted: checks, series, retention",
        ),
        (
            "checks:\n  days: {share: 1}\n",
            "2: checks.days: unknown check. Accepted: candles_closed, candles_fresh, ",
        ),
        ("checks:\n  days_complete: {part: 1}\n", "2: checks.days_complete.part: unknown limit. "),
        ("checks:\n  no_long_gaps:\n    2m: 5\n", "3: checks.no_long_gaps.2m: unknown limit. "),
        ("checks:\n  no_long_gaps: {1h: 5, 1H: 2}\n", "2: checks.no_long_gaps.1H: 1h stands twice"),
        (
            "checks:\n  no_long_gaps: {1m: -5}\n",
            "2: checks.no_long_gaps.1m: expected a number from",
        ),
        ("checks:\n  no_long_gaps: {1m: true}\n", "2: checks.no_long_gaps.1m: expected a number"),
        ("checks:\n  no_long_gaps: {1m: [5]}\n", "2: checks.no_long_gaps.1m: expected a number"),
        ("checks:\n", "1: checks: expected keys with values, found nothing."),
        ("checks:\n  x:\n", "2: checks.x: expected keys with values, found nothing."),
        (
            "checks:\n  no_long_gaps: {1m: }\n",
            "2: checks.no_long_gaps.1m: expected a number from 0 or a duration (30s, 5m, 1h, 1d)",
        ),
        (
            "checks:\n  days_complete: {share: 5m}\n",
            "2: checks.days_complete.share: expected a number, found a duration.",
        ),
        (
            "checks:\n  days_complete: {share: 5}\n",
            "2: checks.days_complete.share: expected a share from 0 to 1, found 5.",
        ),
        (
            "checks:\n  prices_move: {severity: critical}\n",
            "2: checks.prices_move.severity: expected 'warn' or 'error', found \"critical\".",
        ),
        (
            "checks:\n  quiet_times: {severity: warn}\n",
            "2: checks.quiet_times.severity: is no check and has no severity.",
        ),
        ("checks:\n  prices_move: {1m: warn}\n", "2: checks.prices_move.1m: 'warn' is no duration"),
        (
            f"{SERIES}  kraken/1m: {{prices_move: {{1m: 5}}}}\n",
            "3: series.kraken/1m: expected exchange/pair/timeframe, each a name or `*`",
        ),
        (f"{SERIES}  kraken/*/2m: {{}}\n", "3: series.kraken/*/2m: unknown timeframe '2m'"),
        (f"{SERIES}  kraken/BT/1m: {{}}\n", "3: series.kraken/BT/1m: 'BT' is no pair"),
        (f"{SERIES}  '*/*/*': {{}}\n", "3: series.*/*/*: means every series: write it under"),
        (
            f"{SERIES}  kraken/*/1m:\n    prices_move: {{5m: 5}}\n",
            "4: series.kraken/*/1m.prices_move.5m: is of no series that kraken/*/1m means.",
        ),
        (
            f"{SERIES}  kraken/*/1m:\n    price_moves: {{}}\n",
            "4: series.kraken/*/1m.price_moves: unknown check. Accepted: ",
        ),
        (
            f"{SERIES}  kraken/*/1m:\n    days_complete: {{share: 2}}\n",
            "4: series.kraken/*/1m.days_complete.share: expected a share from 0 to 1, found 2.",
        ),
        (
            f"{SERIES}  kraken/*/1m: {MOVE}\n  kraken/BTC-USD/*: {MOVE}\n",
            "4: series.kraken/BTC-USD/*.prices_move.1m: kraken/*/1m says so too (line 3), and",
        ),
        ("checks:\n  candles_fresh: {1d: 24}\n  x: 1\n", "3: checks.x: expected keys with values"),
        (
            "checks:\n  candles_fresh: {1d: 1w}\n",
            "2: checks.candles_fresh.1d: '1w' is no duration.",
        ),
    ],
)
def test_wrong_thresholds_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        standards(text)
    assert str(caught.value).startswith(f"thresholds.yaml:{message}")


def test_two_exceptions_may_meet_where_they_speak_of_different_things() -> None:
    text = (
        f"{SERIES}  kraken/*/1m: {{prices_move: {{1m: 5}}}}\n"
        "  kraken/BTC-USD/*: {prices_move: {5m: 6}}\n"
        "  okx/*/1m: {prices_move: {1m: 7}}\n"
    )
    assert len(standards(text).overrides) == 3
