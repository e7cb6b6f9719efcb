from data_platform.indicators.columns import INDICATORS
from data_platform.indicators.departures import DEPARTURES, OMISSIONS
from data_platform.operations.indicator_list import spell_indicators
from data_platform.settings import PROJECT_ROOT

DOCUMENT = PROJECT_ROOT / "docs" / "indicators.md"


def test_the_document_is_what_the_rows_say() -> None:
    assert DOCUMENT.read_text() == spell_indicators(), "run `make docs`"


def test_every_row_stands_in_one_line() -> None:
    lines = spell_indicators().splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    # Beside them the heads of the three tables.
    assert len(rows) == len(INDICATORS) + len(DEPARTURES) + len(OMISSIONS) + 3
    assert {line.count(" | ") for line in rows} == {1, 3, 5}


def test_a_row_tells_parameters_units_warm_up_and_source() -> None:
    [line] = [it for it in spell_indicators().splitlines() if it.startswith("| `stoch_14_3`")]
    assert line == (
        "| `stoch_14_3`: rows 14, signal rows 3 | Stochastic oscillator | "
        "`stoch_k_14_3` percent, 0 to 100; `stoch_d_14_3` percent, 0 to 100 | high, low, close | "
        "15 | George Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984 |"
    )
