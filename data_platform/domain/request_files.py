"""What a request file and its answer hold, and the JSON Schema that each comes to.

A program that has no Python asks for candles by dropping a request into `data/requests/`; the
answer lies in `data/requests/answers/`. Holds shapes, units and meanings.
`python -m data_platform.domain.request_files` writes the shipped schemas anew.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_platform.domain.state_files import SCHEMAS, Count, Score, Time

REQUEST_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""Names a file and a folder: no path leads out of them."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Parameters(_Part):
    """Which rows."""

    market: str = Field(
        min_length=1, description="Exchange and pair: binance/BTC-USDT or binance/BTCUSDT."
    )
    timeframe: str = Field(min_length=1, description="1m to 1d; 1H, 4H, 1D are accepted.")
    start: str = Field(min_length=1, description="First opening time, ISO 8601, UTC.")
    end: str = Field(min_length=1, description="End, exclusive, ISO 8601, UTC.")
    format: Literal["parquet", "csv", "json", "feather", "freqtrade-parquet", "nautilus-csv"] = (
        Field(
            default="parquet",
            description="Of the file that is written; the last two hold candles alone.",
        )
    )
    feature_set: str | None = Field(
        default=None, description="name or name-v1, of features where several are configured."
    )
    allow_missing: bool = Field(
        default=False, description="Leave out months that are not stored instead of failing."
    )


class RequestFile(_Part):
    """One request, `data/requests/<any name>.json`."""

    request_id: str = Field(
        pattern=f"^{REQUEST_ID}$",
        description="Names the answer; a later file with the same is answered over it.",
    )
    requester: str = Field(min_length=1, max_length=200, description="Who asks, for people.")
    request_type: Literal["ohlcv", "indicators", "features"] = Field(
        description="The layer that is read."
    )
    parameters: Parameters = Field(description="Which rows.")
    priority: Literal["high", "normal", "low"] = Field(
        default="normal", description="Of those that wait, the higher ones are answered first."
    )


class AnsweredGap(_Part):
    """A run of candles that should be there and is not."""

    start: Time = Field(description="First missing opening time, UTC.")
    end: Time = Field(description="End, exclusive, UTC.")
    missing: Count = Field(description="Candles.")
    status: str = Field(description="As the ledger calls it: open, refused or outage.")


class AnswerFile(_Part):
    """The answer to one request, `data/requests/answers/<request_id>.json`."""

    request_id: str = Field(
        description="Of the request; its file's name where it could not be understood."
    )
    status: Literal["completed", "failed"] = Field(
        description="`completed`: the file holds every row that is stored of the range."
    )
    error: str | None = Field(description="Why it failed and what to do; null otherwise.")
    answered_at: Time = Field(description="UTC.")
    output_path: str | None = Field(description="The file, absolute; null when it failed.")
    rows: Count = Field(description="Rows in it.")
    quality_score: Score | None = Field(
        description="Score of its months, weighed by their candles; null: none is known."
    )
    first_timestamp: Time | None = Field(description="Opening time of the first row, UTC.")
    last_timestamp: Time | None = Field(description="Opening time of the last row, UTC.")
    gaps: list[AnsweredGap] = Field(
        description="What the range lacks and should have; times without trades are none."
    )


REQUEST_FILES: dict[str, type[BaseModel]] = {
    "data_request": RequestFile,
    "data_answer": AnswerFile,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of one of `REQUEST_FILES`, draft 2020-12."""
    mode: Literal["validation", "serialization"]
    mode = "validation" if name == "data_request" else "serialization"
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **REQUEST_FILES[name].model_json_schema(mode=mode)}


if __name__ == "__main__":
    for each in REQUEST_FILES:
        target = SCHEMAS / f"{each}.schema.json"
        target.write_text(json.dumps(json_schema(each), indent=2) + "\n")
