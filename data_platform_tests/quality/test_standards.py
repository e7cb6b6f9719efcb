from data_platform.domain.markets import Pair
from data_platform.quality.outliers import RULES
from data_platform.quality.standards import Change, Override, Standard, Standards
from data_platform_tests.factories import series_of

JUMPS = RULES[0]
BTC = series_of("kraken", "BTC/USD", "1m")
ETH = series_of("kraken", "ETH/USD", "1m")
OKX = series_of("okx", "BTC/USD", "1m")
STRICT = {JUMPS.name: Change({"1m": 0.01}, "error")}
OF_BTC = Standards(overrides=(Override("kraken", Pair("BTC/USD"), None, STRICT),))


def test_without_a_word_a_rule_is_what_it_says_itself() -> None:
    assert Standards().of(JUMPS, BTC) == Standard(JUMPS.severity, JUMPS.limits)


def test_an_exception_reaches_its_series_and_no_other() -> None:
    assert OF_BTC.of(JUMPS, BTC) == Standard("error", {**JUMPS.limits, "1m": 0.01})
    for other in (ETH, OKX):
        assert OF_BTC.of(JUMPS, other) == Standards().of(JUMPS, other)


def test_series_are_grouped_by_what_is_meant_for_them() -> None:
    groups = OF_BTC.groups(JUMPS, [ETH, BTC, OKX])
    assert [sorted(map(str, own)) for _, own in groups] == [
        ["kraken/ETH-USD/1m", "okx/BTC-USD/1m"],
        ["kraken/BTC-USD/1m"],
    ]


def test_a_check_shows_the_limits_of_most_and_those_of_others_by_pair() -> None:
    three = [BTC, ETH, series_of("kraken", "SOL/USD", "1m")]
    assert OF_BTC.spoken(JUMPS, three, []) == Standard("warn", {"1m": 0.1, "BTC-USD 1m": 0.01})
    assert Standards().spoken(JUMPS, [BTC, ETH], []) == Standard("warn", {"1m": 0.1})


def test_a_check_is_as_severe_as_the_worst_series_that_fails() -> None:
    assert OF_BTC.spoken(JUMPS, [BTC, ETH], [ETH]).severity == "warn"
    assert OF_BTC.spoken(JUMPS, [BTC, ETH], [ETH, BTC]).severity == "error"


def test_patterns_meet_where_no_part_parts_them() -> None:
    def of(exchange: str | None, pair: str | None) -> Override:
        return Override(exchange, Pair(pair) if pair else None, None, {})

    assert of("kraken", None).meets(of(None, "BTC/USD"))
    assert not of("kraken", None).meets(of("okx", "BTC/USD"))
    assert not of("kraken", "BTC/USD").meets(of("kraken", "ETH/USD"))
