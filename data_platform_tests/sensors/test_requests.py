"""A dropped file is answered by the sensor's run, through Dagster."""

import json
import os

import dagster as dg

from data_platform_tests.small_line import SmallLine
from data_platform_tests.ticks import only_request, tick

REQUEST = {
    "request_id": "r1",
    "requester": "a test",
    "request_type": "features",
    "parameters": {
        "market": "binance/BTC-USDT",
        "timeframe": "1h",
        "start": "2024-02-05",
        "end": "2024-02-06",
    },
}


def test_dropped_file_is_answered(stored_line: SmallLine) -> None:
    assert tick(stored_line, name="request_sensor").run_requests == []
    folder = stored_line.root / "data/requests"
    folder.mkdir()
    path = folder / "mine.json"
    path.write_text(json.dumps(REQUEST))
    os.utime(path, (1, 1))
    request = only_request(tick(stored_line, name="request_sensor"))
    again = only_request(tick(stored_line, name="request_sensor"))
    assert request.run_key == again.run_key
    job: dg.JobDefinition = stored_line.definitions.resolve_job_def("answer_requests_job")
    assert job.execute_in_process(instance=stored_line.instance).success
    answer = json.loads((folder / "answers/r1.json").read_text())
    assert (answer["status"], answer["rows"], answer["gaps"]) == ("completed", 24, [])
    assert 0.9 <= answer["quality_score"] <= 1
    assert tick(stored_line, name="request_sensor").run_requests == []
