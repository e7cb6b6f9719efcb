from data_platform.indicators.columns import INDICATORS, output_columns
from data_platform.indicators.departures import DEPARTURES, follows

STEMS = {
    column.removesuffix(indicator.default_name.removeprefix(indicator.name))
    for indicator in INDICATORS
    for column in output_columns((indicator.default_name,))
}


def test_every_departure_is_of_columns_that_exist() -> None:
    assert {column for row in DEPARTURES for column in row.columns} <= STEMS


def test_what_departs_everywhere_is_not_followed() -> None:
    assert follows("sma")
    assert follows("atr")
    assert not follows("obv")
    assert {stem for stem in STEMS if not follows(stem)} == {
        "mfi",
        "obv",
        "psar",
        "bb_upper",
        "bb_lower",
        "bb_width",
        "bb_percent",
        "bb_is_above",
        "bb_is_below",
    }
