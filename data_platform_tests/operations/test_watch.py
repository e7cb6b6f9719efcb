from data_platform.operations.watch import Progress, nobody_watches


def test_nobody_neither_hears_nor_stops() -> None:
    watch = nobody_watches()
    watch.report(Progress("okx", candles=1, requests=1, done=1))
    assert watch.should_stop() is False
