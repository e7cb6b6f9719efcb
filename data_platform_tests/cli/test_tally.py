from data_platform.cli.messages import Report
from data_platform.cli.tally import Tally
from data_platform.operations.watch import Progress


def test_steps_that_count_from_zero_add_up() -> None:
    tally = Tally("okx", size=9)
    tally.add(("run", "ohlcv_1m"), Progress("okx", candles=300, requests=1, done=0))
    tally.add(("run", "ohlcv_1m"), Progress("okx", candles=600, requests=2, done=1))
    tally.add(("run", "ohlcv_1h"), Progress("okx", candles=600, requests=2, done=1))
    tally.add(("run", "filled_1h"), Progress("okx", candles=0, requests=0, done=1))
    found = tally.add(("other", "ohlcv_1h"), Progress("okx", candles=5, requests=1, done=1))
    assert found == Report("okx", 1205, 5, done_partitions=4, total_partitions=9)


def test_never_more_is_done_than_was_ordered() -> None:
    # Two feature sets count a partition twice.
    found = Tally("okx", size=1).add(("run", "features_1h"), Progress("okx", 0, 0, done=2))
    assert (found.done_partitions, found.total_partitions) == (1, 1)


def test_a_worker_that_succeeded_has_done_all_of_it() -> None:
    tally = Tally("okx", size=4)
    tally.add(("run", "ohlcv_1h"), Progress("okx", candles=7, requests=1, done=0))
    assert tally.finished() == Report("okx", 7, 1, done_partitions=4, total_partitions=4)
