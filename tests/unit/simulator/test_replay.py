import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulator.replay import Columns, MissingColumnError, Place, Problems, Row, UnreadableError, open_csv, read_rows

PLACE = Place(site="s", area="a", machine="m")
COLUMNS = Columns(
    time="time",
    interval=0.0,
    values={"S-1": "rms", "S-2": "other"},
    features={"S-1": {"kurtosis": "kurt", "velocityRms": "velocity"}},
    state="state",
    unit="g",
)
HEADER = "time,rms,other,kurt,velocity,state"


def read(*lines: str, columns: Columns = COLUMNS) -> tuple[list[Row], Problems]:
    problems = Problems()
    return list(read_rows([f"{line}\n" for line in lines], columns, problems)), problems


def event(row: Row, source: str = "file.csv") -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(PLACE.message(source, row, row.measurements[0], row.time).payload)
    return payload


def test_a_row_becomes_one_measurement_of_each_sensor() -> None:
    (row,), problems = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,3.1,1.5,running")
    assert row.time == datetime(2020, 2, 8, 13, 30, 47, tzinfo=UTC)
    assert [each.sensor_id for each in row.measurements] == ["S-1", "S-2"]
    assert problems.bad_rows == 0
    assert event(row)["data"] == {
        "sensorId": "S-1",
        "vibrationLevel": 0.5,
        "unit": "g",
        "velocityRms": 1.5,
        "kurtosis": 3.1,
        "operatingState": "running",
        "sequence": 0,
    }


def test_a_feature_of_any_name_goes_into_the_event() -> None:
    columns = Columns(
        time=None, interval=1.0, values={"S-1": "rms"}, features={"S-1": {"sootDensity": "soot", "kurtosis": "kurt"}}
    )
    (row,), _ = read("rms,soot,kurt", "0.5,7,3", columns=columns)
    data = event(row)["data"]
    assert (data["vibrationLevel"], data["sootDensity"], data["kurtosis"]) == (0.5, 7.0, 3.0)


def test_bad_rows_are_counted_and_named_and_the_rest_is_used() -> None:
    rows, problems = read(
        HEADER,
        "2020-02-08 13:30:47,0.5,0.25,3,1,running",
        "never,0.5,0.25,3,1,running",
        "2020-02-08 13:30:49,,nan,3,1,running",
        "2020-02-08 13:30:50,0.5,inf,3,1,running",
        "2020-02-08 13:30:51",
        "",
        "2020-02-08 13:30:52,0.6,0.25,,x,",
    )
    assert [(row.number, [each.sensor_id for each in row.measurements]) for row in rows] == [
        (0, ["S-1", "S-2"]),
        (3, ["S-1"]),
        (6, ["S-1", "S-2"]),
    ]
    assert problems.bad_rows == 6
    assert problems.first[:3] == [
        "line 3: time is 'never', not a time",
        "line 4: rms is '', not a number; other is 'nan', not a number",
        "line 5: other is 'inf', not a number",
    ]


def test_only_the_first_problems_are_named() -> None:
    _, problems = read(HEADER, *["never,1,1,1,1,x"] * 100)
    assert (problems.bad_rows, len(problems.first)) == (100, 5)


def test_a_feature_that_was_not_measured_is_left_out() -> None:
    (row,), problems = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,,1,")
    assert problems.bad_rows == 0
    assert not {"kurtosis", "operatingState"} & set(event(row)["data"])


def test_missing_columns_are_named_with_those_there_are() -> None:
    with pytest.raises(MissingColumnError, match=r"no column kurt, velocity; the columns are time, rms, other, state"):
        read("time,rms,other,state", "2020-02-08 13:30:47,0.5,0.25,running")


def test_an_empty_file_has_no_columns() -> None:
    with pytest.raises(MissingColumnError):
        read()


def test_without_times_rows_are_an_interval_apart() -> None:
    columns = Columns(time=None, interval=10.0, values={"S": "rms"}, features={})
    rows, _ = read("rms", "1", "", "2", columns=columns)
    assert [(row.time - rows[0].time).total_seconds() for row in rows] == [0.0, 20.0]


def test_the_same_row_has_the_same_id_and_any_change_another() -> None:
    (row,), _ = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,3,1,running")
    (again,), _ = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,3,1,running")
    (changed,), _ = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,3.1,1,running")
    assert PLACE.message("f", row, row.measurements[0], row.time) == PLACE.message(
        "f", again, again.measurements[0], again.time
    )
    assert len({event(row)["eventId"], event(changed)["eventId"], event(row, "other.csv")["eventId"]}) == 3


def test_the_topic_names_place_and_sensor() -> None:
    (row,), _ = read(HEADER, "2020-02-08 13:30:47,0.5,0.25,3,1,running")
    message = PLACE.message("file.csv", row, row.measurements[1], row.time)
    assert message.topic == "vibration/s/a/m/S-2/reading"


def test_a_compressed_file_with_a_byte_order_mark_and_bad_bytes(tmp_path: Path) -> None:
    file = tmp_path / "values.csv.gz"
    file.write_bytes(gzip.compress(b"\xef\xbb\xbfrms\r\n1.5\r\n\xff\r\n2.5\r\n"))
    problems = Problems()
    with open_csv(file) as (text, raw):
        columns = Columns(time=None, interval=1.0, values={"S": "rms"}, features={})
        rows = list(read_rows(text, columns, problems))
        assert raw.tell() > 0
    assert [row.measurements[0].vibration_level for row in rows] == [1.5, 2.5]
    assert problems.bad_rows == 1


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(b"rms\n" + b"1\n" * 9999, mtime=0)[:-20]],
    ids=["no gzip", "cut short"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "values.csv.gz"
    file.write_bytes(content)
    with (
        pytest.raises(UnreadableError, match=r"values\.csv\.gz cannot be read to its end"),
        open_csv(file) as (text, _),
    ):
        list(text)
