from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy.pool import QueuePool

from data_platform.domain.errors import ConfigError
from data_platform.operations.lake import Lake, opened_lake
from data_platform.resources import LakeResource, build_resources, source_key
from data_platform.settings import Settings, load_settings
from data_platform.sources.breaker import MemoryBreakers
from data_platform.sources.ccxt_source import CcxtSource

CONFIG = """\
exchanges:
  spot: {ccxt_id: okx, pairs: [BTC/USDT], grace: 7s, timeout: 9s, rate_limit: 120, \
api_key_env: SPOT_KEY}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    config = tmp_path / "configs/platform.yaml"
    config.parent.mkdir()
    config.write_text(CONFIG)
    data = str(tmp_path / "data")
    return load_settings({"DATA_PLATFORM_CONFIG": str(config), "DATA_PLATFORM_DATA": data})


def open_connections(lake: Lake) -> int:
    pool = lake.state._engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedin() + pool.checkedout()


def test_source_is_made_of_the_exchange_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOT_KEY", "canary")
    resource = build_resources(settings)[source_key("spot")]
    source = resource.open(MemoryBreakers(), "live")  # type: ignore[attr-defined]
    assert isinstance(source, CcxtSource)
    access = source._access
    assert (access.exchange.name, access.exchange.ccxt_id) == ("spot", "okx")
    assert (access.grace, access.timeout) == (timedelta(seconds=7), timedelta(seconds=9))
    assert access.requests_per_minute == 120
    assert access.api_key == "canary"
    assert access.priority == "live"


@pytest.mark.parametrize("value", [None, "", "two words", "key\n"])
def test_key_that_is_configured_and_not_there_is_refused_without_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("SPOT_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SPOT_KEY", value)
    resource = build_resources(settings)[source_key("spot")]
    with pytest.raises(ConfigError, match=r"exchanges\.spot\.api_key_env: .* not set") as caught:
        resource.open(MemoryBreakers(), "live")  # type: ignore[attr-defined]
    assert "SPOT_KEY" not in str(caught.value)


def test_key_itself_never_stands_in_the_configuration(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOT_KEY", "canary")
    assert "canary" not in str(build_resources(settings)[source_key("spot")])


def test_one_run_opens_the_lake_once_and_closes_it(settings: Settings) -> None:
    lakes: list[Lake] = []

    @dg.op(required_resource_keys={"lake"})
    def look(context: dg.OpExecutionContext) -> None:
        lakes.extend(context.resources.lake.open(context.run_id) for _ in range(2))
        with lakes[0].state.read():
            assert open_connections(lakes[0]) == 1

    @dg.job(resource_defs={"lake": build_resources(settings)["lake"]})
    def look_job() -> None:
        look()

    result = look_job.execute_in_process()
    assert lakes[0] is lakes[1]
    assert lakes[0].run_id == result.run_id
    assert open_connections(lakes[0]) == 0


def test_lake_of_a_sensor_is_closed_after_its_evaluation(settings: Settings) -> None:
    with opened_lake(settings.data_root, settings.state_url) as lake:
        assert open_connections(lake) == 1
        assert lake.run_id == ""
    assert open_connections(lake) == 0


def test_resource_that_was_never_opened_makes_no_state(tmp_path: Path) -> None:
    resource = LakeResource(data_root=str(tmp_path / "lake"), state_url="sqlite:///nowhere/x.db")
    resource.teardown_after_execution(dg.build_init_resource_context())
    assert not (tmp_path / "lake").exists()
