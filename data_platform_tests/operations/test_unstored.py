from datetime import timedelta

import pytest

from data_platform.domain.layers import Partition
from data_platform.domain.markets import Pair
from data_platform.domain.periods import Period, to_period
from data_platform.operations.unstored import find_unstored
from data_platform.storage.layout import Layout
from data_platform_tests.damage import damage
from data_platform_tests.small_line import BTC, ETH, SmallLine, series


def unstored(line: SmallLine) -> set[tuple[Pair, Period]]:
    (exchange,) = line.settings.exchanges.values()
    with line.lake() as lake:
        return find_unstored(lake, line.settings.scope_of(exchange), line.clock[0])


def test_a_line_of_which_everything_is_stored_lacks_nothing(stored_line: SmallLine) -> None:
    assert unstored(stored_line) == set()
    stored_line.clock[0] += timedelta(hours=5)
    assert unstored(stored_line) == set()


def test_a_month_that_is_over_and_ends_early_is_unstored(stored_line: SmallLine) -> None:
    stored_line.clock[0] += timedelta(days=31)
    assert (BTC, to_period("2024-03")) in unstored(stored_line)


@pytest.mark.parametrize("layer", ["ohlcv", "filled"])
@pytest.mark.parametrize("month", ["2024-02", "2024-03"])
def test_a_damaged_partition_is_unstored_in_any_month(
    stored_line: SmallLine, layer: str, month: str
) -> None:
    partition = Partition(layer, series(ETH, "1h"), to_period(month))
    damage(Layout(stored_line.root / "data").partition(partition), "torn")
    assert (ETH, to_period(month)) in unstored(stored_line)


def test_a_running_month_of_which_a_layer_was_never_made_is_unstored(empty_line: SmallLine) -> None:
    assert empty_line.materialize([BTC], layers=["ohlcv"]).success
    assert (BTC, to_period("2024-03")) in unstored(empty_line)
