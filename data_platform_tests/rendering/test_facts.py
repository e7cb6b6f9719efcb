from data_platform_tests.rendering.report_facts import score_of, series_facts, source_facts


def test_a_series_is_as_good_as_its_newest_month() -> None:
    series = series_facts(scores=[score_of("2024-01", 0.5), score_of("2024-02", 0.9)])
    assert series.score is not None
    assert series.score.period == "2024-02"
    assert series_facts().score is None
    assert series.key == ("binance", "BTC/USDT", "1h")


def test_failed_attempts_of_every_kind_are_summed() -> None:
    assert source_facts(errors={"transient": 3, "refused": 2}).failed == 5
