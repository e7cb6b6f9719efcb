from data_platform.operations.incidents import Incident
from data_platform.operations.quality_report import recommend, to_quality_report
from data_platform_tests.factories import series_of, time
from data_platform_tests.operations.test_data_status import UP, facts, source

NOW = time("2024-06-12 10:37")


def incident(kind: str, bars: int = 2, timeframe: str = "1h", pair: str = "BTC/USDT") -> Incident:
    return Incident(series_of(pair=pair, timeframe=timeframe), NOW, kind, bars, "done")


def test_each_cause_is_one_line_with_its_command() -> None:
    issues = [
        incident("gap"),
        incident("gap", 3, pair="ETH/USDT"),
        incident("refused", 1),
        incident("series_fetched", 1, timeframe="1m"),
        incident("no_price_jumps", 4, timeframe="5m"),
        incident("outage"),
        incident("repaired"),
    ]
    found = recommend(
        {"okx": source("down"), "binance": UP},
        [facts(61, exchange="binance"), facts(exchange="binance")],
        issues,
    )
    assert found == [
        (
            "okx does not answer: the line asks again by itself; `data-platform status` tells why "
            "and until when it waits."
        ),
        "Late, fetch now: 1 series of binance: `data-platform download --exchange binance`.",
        (
            "binance 1h: 5 candles incomplete: "
            "`data-platform download --exchange binance --timeframe 1h`."
        ),
        (
            "binance 5m: `no_price_jumps` does not hold (4 rows): compare with the exchange by "
            "`data-platform download --full --exchange binance --timeframe 5m`; the check shows "
            "the rows."
        ),
        "binance 1h: 1 row refused: look at them with `data-platform quarantine list`.",
        (
            "binance 1m: months incomplete: "
            "`data-platform download --exchange binance --timeframe 1m`."
        ),
    ]


def test_nothing_wrong_recommends_nothing() -> None:
    assert recommend({"binance": UP}, [facts(exchange="binance")], []) == []


def test_corrections_are_no_issues_and_strangers_are_left_out() -> None:
    hours, other = series_of(), series_of("okx")
    incidents = {
        hours: [incident("correction"), incident("gap")],
        other: [Incident(other, NOW, "gap", 1, "done")],
    }
    report = to_quality_report({"binance": UP}, [facts(exchange="binance")], incidents, NOW)
    assert [(it.type, it.market) for it in report.issues_24h] == [("gap", "binance/BTC-USDT")]
    assert report.quality_by_market["binance/BTC-USDT"].issues == 1
    assert (report.markets_monitored, report.report_date.isoformat()) == (1, "2024-06-12")
