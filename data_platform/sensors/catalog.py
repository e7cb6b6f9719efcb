"""The catalogue: rebuilt by its own run when the config or the layers change."""

import hashlib

import dagster as dg

from data_platform.domain.layers import LAYERS
from data_platform.operations.lake import opened_lake
from data_platform.sensors.hold import default_status
from data_platform.settings import Settings


def build_catalog_sensor(settings: Settings) -> dg.SensorDefinition:
    """Return the sensor that rebuilds the catalogue when the config or the code has changed."""

    @dg.sensor(
        name="catalog_sensor",
        job_name="rebuild_catalog_job",
        minimum_interval_seconds=300,
        default_status=default_status(settings),
        description="Rebuilds the DuckDB catalogue when the config changes or a layer appears.",
    )
    def catalog_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        with opened_lake(settings.data_root, settings.state_url) as lake:
            stored = [
                layer
                for layer in LAYERS
                if any(lake.store.newest(exchange, layer.name) for exchange in settings.exchanges)
            ]
        config = settings.config_path.read_bytes() + repr(stored).encode()
        state = hashlib.sha256(config).hexdigest()
        if context.cursor == state:
            return dg.SensorResult(skip_reason="the catalogue fits the config and the layers")
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=state)

    return catalog_sensor
