from pathlib import Path

import pyarrow.feather
import pyarrow.parquet
import pytest

from data_platform_tests.assets.asset_facts import columns_of, reads_of, spec_of
from data_platform_tests.small_line import SmallLine


def read_names(path: Path) -> list[str]:
    if path.suffix == ".feather":
        return list(pyarrow.feather.read_table(path).column_names)
    return list(pyarrow.parquet.read_schema(path).names)


@pytest.mark.parametrize("program", ["vectorbt", "freqtrade", "nautilus"])
def test_export_reads_the_candles_and_shows_the_columns_of_its_files(
    read_line: SmallLine, program: str
) -> None:
    assert reads_of(read_line, f"{program}_1h") == {"ohlcv_1h"}
    exports = read_line.root / "data/exports" / program
    hourly = [path for path in exports.rglob("*") if path.is_file() and is_hourly(path)]
    assert len(hourly) == (3 if program == "freqtrade" else 6)
    assert {tuple(read_names(path)) for path in hourly} == {
        tuple(columns_of(read_line, f"{program}_1h"))
    }


def is_hourly(path: Path) -> bool:
    return any(word in path.as_posix() for word in ("/1h/", "-1h.", "1-HOUR"))


def test_export_says_whether_a_file_holds_a_month_or_a_pair(read_line: SmallLine) -> None:
    assert "one file per pair," in str(spec_of(read_line, "freqtrade_1h").description)
    assert "one file per pair and month" in str(spec_of(read_line, "nautilus_1h").description)
