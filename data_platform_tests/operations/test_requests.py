"""Every request gets its answer, whatever it holds."""

import json
import os
from codecs import BOM_UTF8
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_platform.converters import FORMATS_BY_NAME
from data_platform.converters.converter import ExportFile
from data_platform.operations.lake import Lake
from data_platform.operations.lookup import Known
from data_platform.operations.missing import History
from data_platform.operations.requests import (
    MAX_BYTES,
    Desk,
    answer_requests,
    spell_state,
    waiting_requests,
)
from data_platform_tests.factories import (
    candles_at,
    gap_of,
    grid,
    partition_of,
    plant_gaps,
    score_row,
    series_of,
    store_candles,
    stored,
    time,
)

SERIES = series_of()
NOW = time("2024-03-02 12:00")


@pytest.fixture
def desk(lake: Lake) -> Desk:
    store_candles(
        lake,
        SERIES,
        candles_at([*grid("2024-01-01", "2024-01-10"), *grid("2024-01-10 02:00", "2024-03-01")]),
    )
    plant_gaps(lake, gap_of(SERIES, "2024-01-10", "2024-01-10 02:00", "outage", confirmed=True))
    known = Known({"binance": [SERIES.pair]}, ())
    histories = {"binance": History("flat", {SERIES.pair: time("2024-01-01")})}
    return Desk(lake, known, histories, "score_five")


def drop(desk: Desk, name: str = "one.json", **change: Any) -> Path:  # noqa: ANN401
    parameters = {
        "market": "binance/BTCUSDT",
        "timeframe": "1H",
        "start": "2024-01-05",
        "end": "2024-01-15",
        "format": "csv",
        **change.pop("parameters", {}),
    }
    request = {"request_id": "r1", "requester": "a test", "request_type": "ohlcv"}
    return put(desk, json.dumps({**request, "parameters": parameters, **change}), name)


def put(desk: Desk, content: str, name: str = "one.json") -> Path:
    desk.folder.mkdir(exist_ok=True)
    (desk.folder / name).write_text(content)
    return desk.folder / name


def answer(desk: Desk) -> list[dict[str, Any]]:
    paths = waiting_requests(desk.folder, NOW.timestamp() * 2)
    given = [it.request_id for it in answer_requests(desk, paths, NOW)]
    assert not list(desk.folder.glob("*.json"))
    return [json.loads((desk.folder / f"answers/{it}.json").read_text()) for it in given]


def test_rows_are_written_and_told(desk: Desk) -> None:
    drop(desk)
    [told] = answer(desk)
    path = desk.folder / "files/r1/binance/BTCUSDT_1h_20240105_20240114.csv"
    assert told == {
        "request_id": "r1",
        "status": "completed",
        "error": None,
        "answered_at": "2024-03-02T12:00:00Z",
        "output_path": str(path),
        "rows": 238,
        "quality_score": None,
        "first_timestamp": "2024-01-05T00:00:00Z",
        "last_timestamp": "2024-01-14T23:00:00Z",
        "gaps": [
            {
                "start": "2024-01-10T00:00:00Z",
                "end": "2024-01-10T02:00:00Z",
                "missing": 2,
                "status": "outage",
            }
        ],
    }
    expected = stored(desk.lake, SERIES).filter(
        pl.col("open_time").is_between(time("2024-01-05"), time("2024-01-15"), closed="left")
    )
    assert pl.read_csv(path)["close"].to_list() == expected["close"].to_list()
    assert (desk.folder / "done/one.json").exists()


@pytest.mark.parametrize(
    ("start", "end", "gap"),
    [
        ("2024-01-05", "2024-01-10T01:00Z", ("2024-01-10T00:00:00Z", "2024-01-10T01:00:00Z", 1)),
        ("2024-01-10T01:00Z", "2024-01-11", ("2024-01-10T01:00:00Z", "2024-01-10T02:00:00Z", 1)),
        ("2024-01-05", "2024-01-10", None),
        ("2024-01-10T02:00Z", "2024-01-11", None),
    ],
)
def test_only_the_part_of_a_gap_that_was_asked_for_is_told(
    desk: Desk, start: str, end: str, gap: tuple[str, str, int] | None
) -> None:
    drop(desk, parameters={"start": start, "end": end})
    [told] = answer(desk)
    found = [(it["start"], it["end"], it["missing"]) for it in told["gaps"]]
    assert found == ([gap] if gap else [])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"parameters": {"market": "binance/PEPEUSDT"}}, "PEPE"),
        ({"parameters": {"market": "nowhere/BTCUSDT"}}, "nowhere"),
        ({"parameters": {"timeframe": "7m"}}, "7m"),
        ({"parameters": {"start": "soon"}}, "expected ISO"),
        ({"parameters": {"start": "2024-01-15", "end": "2024-01-05"}}, "holds nothing"),
        ({"parameters": {"end": "2024-06-01"}}, "3 of 5 months are not stored"),
        ({"request_type": "features"}, "feature_set"),
        ({"parameters": {"start": "0001-01-01T00:00+14:00"}}, "a year from 1970 to 2199"),
        ({"parameters": {"end": "9999-12-31T23:00-14:00"}}, "a year from 1970 to 2199"),
        (
            {"request_type": "indicators", "parameters": {"format": "nautilus-csv"}},
            "format nautilus-csv holds candles",
        ),
    ],
)
def test_request_that_cannot_be_met_is_answered_with_its_error(
    desk: Desk, change: dict[str, Any], error: str
) -> None:
    drop(desk, **change)
    [told] = answer(desk)
    assert (told["request_id"], told["status"], told["rows"]) == ("r1", "failed", 0)
    assert error in told["error"]
    assert told["output_path"] is None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("{", "Invalid JSON"),
        ("[]", "one.json"),
        ('{"request_id": "../../up"}', "request_id"),
        ("x" * (MAX_BYTES + 1), "at most 65,536 bytes"),
    ],
)
def test_what_is_no_request_is_answered_under_its_files_name(
    desk: Desk, content: str, error: str
) -> None:
    put(desk, content)
    [told] = answer(desk)
    assert (told["request_id"], told["status"]) == ("one", "failed")
    assert error in told["error"]


def test_name_that_leads_elsewhere_answers_in_its_folder(desk: Desk) -> None:
    put(desk, "{", "..json")
    put(desk, "{", "a b.json")
    told = answer(desk)
    assert len({it["request_id"] for it in told}) == 2
    names = {path.name for path in (desk.folder / "answers").iterdir()}
    assert names == {f"{it['request_id']}.json" for it in told}


def test_name_that_is_no_text_is_answered(desk: Desk) -> None:
    put(desk, "{", os.fsdecode(b"\xff\xfe.json"))
    paths = waiting_requests(desk.folder, NOW.timestamp() * 2)
    assert len(spell_state(paths)) == 64
    [told] = answer(desk)
    assert told["status"] == "failed"
    assert told["error"].startswith("??.json: ")


def test_what_another_run_has_answered_meanwhile_is_left_alone(desk: Desk) -> None:
    drop(desk, "r1.json")
    paths = waiting_requests(desk.folder, NOW.timestamp() * 2)
    [told] = answer(desk)
    assert list(answer_requests(desk, paths, NOW)) == []
    assert json.loads((desk.folder / "answers/r1.json").read_text()) == told


def test_two_runs_answer_one_after_the_other(desk: Desk) -> None:
    drop(desk, "a.json", request_id="a")
    drop(desk, "b.json", request_id="b")
    paths = waiting_requests(desk.folder, NOW.timestamp() * 2)
    slow = answer_requests(desk, paths, NOW)
    assert next(slow).request_id == "a"
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: list(answer_requests(desk, paths, NOW)))
        with pytest.raises(TimeoutError):
            other.result(0.2)
        assert [it.request_id for it in slow] == ["b"]
        assert other.result(30) == []


def test_link_to_another_file_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    secret = drop(desk).rename(tmp_path / "secret")
    (desk.folder / "link.json").symlink_to(secret)
    [told] = answer(desk)
    assert (told["request_id"], told["status"]) == ("link", "failed")


def test_score_is_that_of_the_months_asked_for_weighed_by_their_candles(desk: Desk) -> None:
    noted = [
        (SERIES, "2024-01", 0.5, 300),
        (SERIES, "2024-02", 1.0, 100),
        (SERIES, "2024-03", 0.1, 999),
        (series_of(pair="ETH/USDT"), "2024-01", 0.2, 999),
        (series_of(timeframe="4h"), "2024-01", 0.3, 999),
    ]
    for series, month, score, expected in noted:
        row = score_row(
            day=NOW.date(),
            expected=expected,
            stored=expected,
            score_five=score,
            checked_at=NOW,
        )
        with desk.lake.state.write() as connection:
            desk.lake.scores.record(connection, [(partition_of(series, month), row)])
    drop(desk, parameters={"start": "2024-01-20", "end": "2024-02-02"})
    [told] = answer(desk)
    assert told["quality_score"] == pytest.approx((0.5 * 300 + 1.0 * 100) / 400)


@pytest.mark.parametrize("kind", sorted(FORMATS_BY_NAME))
def test_a_programs_format_can_be_asked_for(desk: Desk, kind: str) -> None:
    drop(desk, parameters={"format": kind})
    [told] = answer(desk)
    place = FORMATS_BY_NAME[kind].path(ExportFile(SERIES, None))
    assert (told["status"], told["rows"]) == ("completed", 238)
    assert told["output_path"] == str(desk.folder / "files/r1" / place)
    read = pl.read_csv if place.suffix == ".csv" else pl.read_parquet
    assert read(Path(told["output_path"])).height == 238


def test_two_that_share_an_id_do_not_take_each_others_answer(desk: Desk) -> None:
    drop(desk, "a.json", parameters={"format": "json"})
    drop(desk, "b.json", parameters={"format": "json"})
    drop(desk, "c.json", parameters={"format": "csv"})
    drop(desk, "r1.json", parameters={"format": "feather"})
    told = answer(desk)
    assert [(it["status"], it["rows"]) for it in told] == [
        *[("completed", 238)] * 2,
        *[("failed", 0)] * 2,
    ]
    assert told[0]["output_path"].endswith(".json")
    assert told[2]["request_id"] == "c"
    assert "'r1' is also that of a.json" in told[2]["error"]
    # The last file's name is an id whose answer stays.
    assert told[3]["request_id"] not in {"r1", "c"}


def test_urgent_ones_come_first_and_one_failure_stops_none(desk: Desk) -> None:
    drop(desk, "a.json", request_id="low", priority="low")
    drop(desk, "b.json", request_id="normal", parameters={"timeframe": "7m"})
    drop(desk, "c.json", request_id="high", priority="high")
    told = answer(desk)
    assert [(it["request_id"], it["status"]) for it in told] == [
        ("high", "completed"),
        ("normal", "failed"),
        ("low", "completed"),
    ]


def test_request_that_is_still_being_written_waits(desk: Desk) -> None:
    path = drop(desk, "ONE.JSON")
    # As Windows' tools write it.
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    put(desk, "no request", "note.txt")
    written = path.stat().st_mtime
    assert waiting_requests(desk.folder, written + 1) == []
    assert waiting_requests(desk.folder, written + 3) == [path]
    before = spell_state([path])
    os.utime(path, (written + 10, written + 10))
    assert spell_state([path]) != before
    assert [it["status"] for it in answer(desk)] == ["completed"]


def test_folder_that_is_not_there_holds_none(lake: Lake) -> None:
    assert waiting_requests(lake.store.root / "requests", NOW.timestamp()) == []
