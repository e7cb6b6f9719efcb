"""Archives as Binance publishes them, made here byte by byte."""

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_platform.converters.binance_archive import read_archive
from data_platform.domain.errors import ForeignFileError
from data_platform_tests.factories import series_of

SERIES = series_of(timeframe="1m")
# The first rows of BTCUSDT-1m-2024-01, as the exchange's klines answer has them.
MS = (
    "1704067200000,42283.58000000,42298.62000000,42261.02000000,42298.61000000,35.92724000,"
    "1704067259999,1519032.42915860,1327,23.18766000,980394.28334140,0\n"
    "1704067260000,42298.62000000,42320.00000000,42298.61000000,42320.00000000,21.16779000,"
    "1704067319999,895580.88530370,1348,13.47483000,570080.97606130,0\n"
)
US = MS.replace("1704067200000", "1735689600000000").replace("1704067260000", "1735689660000000")
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore\n"
)


def sign(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.CHECKSUM").write_text(f"{digest}  {path.name}\n")
    return path


def archive(folder: Path, content: str, name: str = "BTCUSDT-1m-2024-01") -> Path:
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.csv", content)
    return sign(path)


@pytest.mark.parametrize("content", [MS, HEADER + MS])
def test_month_of_milliseconds(tmp_path: Path, content: str) -> None:
    found = read_archive(archive(tmp_path, content), SERIES)
    assert found.rows() == [
        (datetime(2024, 1, 1, 0, 0, tzinfo=UTC), 42283.58, 42298.62, 42261.02, 42298.61, 35.92724),
        (datetime(2024, 1, 1, 0, 1, tzinfo=UTC), 42298.62, 42320.0, 42298.61, 42320.0, 21.16779),
    ]


def test_month_of_microseconds_since_2025(tmp_path: Path) -> None:
    found = read_archive(archive(tmp_path, US, "BTCUSDT-1m-2025-01"), SERIES)
    assert found["open_time"].to_list() == [
        datetime(2025, 1, 1, 0, 0, tzinfo=UTC),
        datetime(2025, 1, 1, 0, 1, tzinfo=UTC),
    ]


def test_archive_of_another_pair_or_timeframe_is_refused(tmp_path: Path) -> None:
    for name in ("ETHUSDT-1m-2024-01", "BTCUSDT-5m-2024-01"):
        with pytest.raises(ForeignFileError, match="by its name these are candles of"):
            read_archive(archive(tmp_path, MS, name), SERIES)
    with pytest.raises(ForeignFileError, match="expected the name of an archive"):
        read_archive(archive(tmp_path, MS, "candles"), SERIES)


def test_one_bit_turned_over_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, MS)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(ForeignFileError, match="its checksum file says"):
        read_archive(path, SERIES)


def test_checksum_in_capitals_is_the_same(tmp_path: Path) -> None:
    path = archive(tmp_path, MS)
    beside = path.with_name(f"{path.name}.CHECKSUM")
    digest, _, name = beside.read_text().partition(" ")
    beside.write_text(f"{digest.upper()} {name}")
    assert read_archive(path, SERIES).height == 2


def test_checksum_that_is_missing_or_of_another_file_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, MS)
    beside = path.with_name(f"{path.name}.CHECKSUM")
    beside.write_text(beside.read_text().replace("2024-01", "2024-02"))
    with pytest.raises(ForeignFileError, match="expected a sha256 and the name"):
        read_archive(path, SERIES)
    beside.unlink()
    with pytest.raises(ForeignFileError, match=r"CHECKSUM: No such file"):
        read_archive(path, SERIES)


@pytest.mark.parametrize(
    "content", ["1,2,3\n", "", "a,b\nc,d\n", MS.replace(",0\n", "\n"), MS.replace(",0\n", ",0,0\n")]
)
def test_content_of_another_kind_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ForeignFileError, match="BTCUSDT-1m-2024-01"):
        read_archive(archive(tmp_path, content), SERIES)


def test_zip_of_several_files_or_none_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, MS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("more.csv", MS)
    with pytest.raises(ForeignFileError, match="expected a zip with one CSV file"):
        read_archive(sign(path), SERIES)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ForeignFileError, match="expected a zip with one CSV file"):
        read_archive(sign(path), SERIES)


def test_zip_that_was_torn_before_it_was_signed_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path, MS * 50).read_bytes()
    # Packed bytes, and the flag of a password: each is another error of the library.
    for place in (60, whole.rindex(b"PK\x01\x02") + 8):
        path = archive(tmp_path, MS * 50)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ForeignFileError, match="expected a zip with one CSV file"):
            read_archive(sign(path), SERIES)


def test_checksum_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, MS)
    path.with_name(f"{path.name}.CHECKSUM").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ForeignFileError, match="expected a sha256 and the name"):
        read_archive(path, SERIES)


def test_zip_that_unpacks_to_more_than_a_month_holds_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_platform.converters.binance_archive.MAX_BYTES", len(MS) - 1)
    with pytest.raises(ForeignFileError, match=r"holds \d+ bytes, no candles"):
        read_archive(archive(tmp_path, MS), SERIES)
