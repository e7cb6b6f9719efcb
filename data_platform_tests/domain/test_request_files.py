import json

import pytest
from pydantic import ValidationError

from data_platform.domain.request_files import REQUEST_FILES, RequestFile, json_schema
from data_platform.domain.state_files import SCHEMAS

REMEDY = "python -m data_platform.domain.request_files"

REQUEST = {
    "request_id": "r-1",
    "requester": "backtester",
    "request_type": "ohlcv",
    "parameters": {
        "market": "binance/BTC-USDT",
        "timeframe": "1h",
        "start": "2024-01-01",
        "end": "2024-02-01",
    },
}


@pytest.mark.parametrize("name", REQUEST_FILES)
def test_the_shipped_schema_is_up_to_date(name: str) -> None:
    shipped = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    assert shipped == json_schema(name), REMEDY


def test_what_is_left_out_has_a_default() -> None:
    request = RequestFile.model_validate(REQUEST)
    assert (request.priority, request.parameters.format) == ("normal", "parquet")
    assert not request.parameters.allow_missing


@pytest.mark.parametrize(
    "change",
    [
        {"request_id": "../up"},
        {"request_id": ""},
        {"request_id": "a" * 65},
        {"request_type": "trades"},
        {"priority": "now"},
        {"more": 1},
        {"parameters": {**REQUEST["parameters"], "format": "xls"}},  # type: ignore[dict-item]
        {"parameters": {"market": "binance/BTC-USDT"}},
    ],
)
def test_what_is_no_request_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RequestFile.model_validate({**REQUEST, **change})
