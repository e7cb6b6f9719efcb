from pathlib import Path

import pytest

from data_platform.domain.errors import NewerVersionError
from data_platform.domain.timeframes import to_timeframe
from data_platform.storage import footer, parquet_file
from data_platform_tests.storage.lake import candles, filled, partition, series


def test_a_file_of_a_newer_schema_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = candles(range(3))
    with monkeypatch.context() as later:
        later.setattr(footer, "SCHEMA_VERSION", 2)
        newer = parquet_file.encode(partition(), rows)
    with pytest.raises(NewerVersionError, match=r"2024-01: a newer .* version 2, .*up to 1"):
        parquet_file.inspect(partition(), newer, "candles.parquet")
    path = tmp_path / "candles.parquet"
    path.write_bytes(newer)
    with pytest.raises(NewerVersionError):
        footer.read_footer_fault(partition(), path, path.read_bytes(), rows.height)


def test_a_file_of_an_older_schema_says_which_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    old = parquet_file.encode(partition(), candles(range(3)))
    monkeypatch.setattr(footer, "SCHEMA_VERSION", 2)
    assert footer.footer_fault(partition(), old) == "expected schema version 2, found 1"


@pytest.mark.parametrize("rows", [1, 63, 64, 720, 44_640])
@pytest.mark.parametrize("layer", ["ohlcv", "filled"])
def test_a_footer_that_says_what_it_should_is_believed_unparsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, layer: str
) -> None:
    minute = partition(series(timeframe=to_timeframe("1m")), layer=layer)
    frame = candles(range(rows), timeframe=minute.series.timeframe)
    path = tmp_path / "x.parquet"
    path.write_bytes(parquet_file.encode(minute, filled(frame) if layer == "filled" else frame))
    whole = path.read_bytes()
    for tail in (whole, whole[-9:], whole[-1:], b""):
        assert footer.read_footer_fault(minute, path, tail, rows) == ""
        told = footer.read_footer_fault(minute, path, tail, rows + 1)
        assert "rows, the journal tells of" in told
    monkeypatch.setattr("pyarrow.parquet.read_metadata", None)
    assert footer.read_footer_fault(minute, path, whole, rows) == ""
