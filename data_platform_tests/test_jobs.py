import dagster as dg

from data_platform_tests.small_line import ALL_LAYERS, TIMEFRAMES, SmallLine, waiting_run


def selected(line: SmallLine, job: str) -> set[str]:
    keys = line.definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    return {key.to_user_string() for key in keys}


def test_line_job_holds_every_layer_and_timeframe(empty_line: SmallLine) -> None:
    expected = {f"binance/{layer}_{each}" for layer in ALL_LAYERS for each in TIMEFRAMES}
    assert selected(empty_line, "materialize_binance_line_job") == expected


def test_candle_job_holds_candles_alone(empty_line: SmallLine) -> None:
    expected = {f"binance/ohlcv_{each}" for each in TIMEFRAMES}
    assert selected(empty_line, "fetch_binance_candles_job") == expected


def test_catalogue_has_a_job_of_its_own(empty_line: SmallLine) -> None:
    assert selected(empty_line, "rebuild_catalog_job") == {"catalog"}


def test_prune_job_deletes_superseded_ticks_and_survives_itself(empty_line: SmallLine) -> None:
    candles = empty_line.definitions.resolve_job_def("fetch_binance_candles_job")
    ticks = [
        candles.execute_in_process(
            instance=empty_line.instance,
            asset_selection=[dg.AssetKey(["binance", "ohlcv_1d"])],
            partition_key="BTC-USDT|2024-02",
            tags={"tick": "binance"},
        ).run_id
        for _ in range(2)
    ]
    waiting = waiting_run(tick="binance")
    empty_line.instance.add_run(waiting)
    prune = empty_line.definitions.resolve_job_def("prune_runs_job")
    result = prune.execute_in_process(instance=empty_line.instance)
    assert result.success
    left = {run.run_id for run in empty_line.instance.get_runs()}
    assert left == {ticks[1], waiting.run_id, result.run_id}
