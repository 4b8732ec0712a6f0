"""CSV -> readings: what can be used is used, what cannot is counted and named."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backtest.recorded import NAMED_PROBLEMS, Columns, Problems, Recorded, parse_time, read_csv
from gateway.errors import GatewayError

TAGS = {"machine": "pump-7"}
SECOND = 1_000_000
ONE = Columns({"S1": "a"}, time="t")
BY_INTERVAL = Columns({"S1": "a"}, interval_us=10 * SECOND)


def read(tmp_path: Path, text: str, columns: Columns = ONE) -> tuple[list[Recorded], Problems]:
    file = tmp_path / "history.csv"
    file.write_text(text, encoding="utf-8")
    problems = Problems()
    return list(read_csv(file, columns, TAGS, problems)), problems


def levels(found: list[Recorded]) -> list[tuple[int, str, float | None]]:
    return [(each.row, each.event.data.sensor_id, each.event.data.vibration_level) for each in found]


def test_every_value_of_a_row_is_a_reading_of_its_sensor(tmp_path: Path) -> None:
    columns = Columns({"S1": "a", "S2": "b"}, time="t", features={"S2": {"kurtosis": "k"}}, state="s", unit="g")
    found, problems = read(tmp_path, "t,a,b,k,s\n2026-01-01T00:00:00Z,1,2,3,running\n1767225610,4,5,,\n", columns)
    assert levels(found) == [(0, "S1", 1), (0, "S2", 2), (1, "S1", 4), (1, "S2", 5)]
    first, second = found[1].event.data, found[3].event.data
    assert (first.kurtosis, first.operating_state, first.unit) == (3, "running", "g")
    assert (second.kurtosis, second.operating_state) == (None, None)
    assert found[2].event_us - found[0].event_us == 10 * SECOND
    assert found[0].received_ns == found[0].event_us * 1000
    assert problems == Problems()


def test_rows_without_times_are_an_interval_apart_whatever_is_wrong_with_some(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "a\n1\nbad\n3\n", BY_INTERVAL)
    assert [each.event_us for each in found] == [0, 20 * SECOND]
    assert problems.bad_rows == 1


def test_the_receive_time_comes_from_its_own_column(tmp_path: Path) -> None:
    columns = Columns({"S1": "a"}, time="t", received="r")
    found, problems = read(tmp_path, "t,r,a\n5,1000,1\n4,2000,1\n3,never,1\n", columns)
    assert [(each.event_us, each.received_ns) for each in found] == [(5 * SECOND, 10**12), (4 * SECOND, 2 * 10**12)]
    assert problems.named == ["line 4: r is 'never', not a time"]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("yesterday,1", "line 2: t is 'yesterday', not a time"),
        (",1", "line 2: t is '', not a time"),
        ("nan,1", "line 2: t is 'nan', not a time"),
        ("1e400,1", "line 2: t is '1e400', not a time"),
        ("1e308,1", "line 2: t is '1e308', not a time"),
        ("-1e308,1", "line 2: t is '-1e308', not a time"),
        ("0001-01-01T00:00:00+23:59,1", "line 2: t is '0001-01-01T00:00:00+23:59', not a time"),
        ("9999-01-01,1", "line 2: t is '9999-01-01', not a time"),
        ("5,", "line 2: there is nothing in a"),
        ("5", "line 2: there is nothing in a"),
        ("", "line 2: t is '', not a time"),
        ("5,NaN", "line 2: a is 'NaN', not a number"),
        ("5,-inf", "line 2: a is '-inf', not a number"),
        ('5,"1,5"', "line 2: a is '1,5', not a number"),
        ("5,\x00", "line 2: a is '\\x00', not a number"),
    ],
)
def test_a_bad_row_is_counted_and_named_and_the_rest_is_used(tmp_path: Path, row: str, fault: str) -> None:
    found, problems = read(tmp_path, f"t,a\n{row or ','}\n6,2\n")
    assert levels(found) == [(1, "S1", 2)]
    assert (problems.bad_rows, problems.named) == (1, [fault])


def test_a_bad_cell_leaves_out_its_sensor_or_its_feature_only(tmp_path: Path) -> None:
    columns = Columns({"S1": "a", "S2": "b"}, time="t", features={"S2": {"kurtosis": "k"}})
    found, problems = read(tmp_path, "t,a,b,k\n5,x,2,y\n", columns)
    assert levels(found) == [(0, "S2", 2)]
    assert found[0].event.data.kurtosis is None
    assert problems.named == ["line 2: a is 'x', not a number; k is 'y', not a number"]


def test_a_sensor_that_was_not_measured_is_no_fault_where_another_one_was(tmp_path: Path) -> None:
    columns = Columns({"S1": "a", "S2": "b"}, time="t")
    found, problems = read(tmp_path, "t,a,b\n5,1,\n6,,2\n7,,\n8,1\n", columns)
    assert levels(found) == [(0, "S1", 1), (1, "S2", 2), (3, "S1", 1)]
    assert problems.named == ["line 4: there is nothing in a, b"]


def test_many_bad_rows_are_counted_but_not_all_named(tmp_path: Path) -> None:
    _, problems = read(tmp_path, "t,a\n" + "x,1\n" * 1000)
    assert (problems.bad_rows, len(problems.named)) == (1000, NAMED_PROBLEMS)


def test_one_row_from_the_future_does_not_lose_the_rest(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "t,a\n1,1\n2,2\n2100-01-01,3\n3,4\n4,5\n")
    assert [each.row for each in found] == [0, 1, 3, 4]
    assert (problems.out_of_order, problems.named) == (1, ["line 4: not in the order of time; left out"])


def test_a_bad_time_among_unordered_rows_is_a_bad_row_once(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "t,a\n5,1\nbad,1\n3,1\n4,1\n")
    assert [each.row for each in found] == [2, 3]
    assert (problems.out_of_order, problems.bad_rows) == (1, 1)


@settings(deadline=None)  # each writes a file
@given(times=st.lists(st.integers(0, 30), max_size=30))
def test_as_few_rows_as_possible_are_left_out(tmp_path_factory: pytest.TempPathFactory, times: list[int]) -> None:
    found, problems = read(tmp_path_factory.mktemp("unordered"), "t,a\n" + "".join(f"{time},1\n" for time in times))
    kept = [each.event_us for each in found]
    longest = [0] * (len(times) + 1)  # the longest ordered series that ends at each row, the slow way
    for row, time in enumerate(times):
        longest[row] = 1 + max((longest[before] for before in range(row) if times[before] <= time), default=0)
    assert kept == sorted(kept)
    assert len(kept) == max(longest)
    assert problems.out_of_order == len(times) - len(kept)


def test_compressed_files_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "history.csv.gz"
    file.write_bytes(gzip.compress("\ufefft, a \n1,2\n".encode()))
    assert len(list(read_csv(file, ONE, TAGS, Problems()))) == 1


def test_a_broken_compressed_file_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "history.csv.gz"
    file.write_bytes(gzip.compress(b"t,a\n" + b"1,2\n" * 5000)[:-20])
    with pytest.raises(GatewayError, match=r"history\.csv\.gz cannot be read to its end"):
        list(read_csv(file, ONE, TAGS, Problems()))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "has no column a, t; its columns are none"),
        ("t,b\n1,2\n", "has no column a; its columns are t, b"),
        ("t,a,a\n1,2,3\n", "has more than one column a"),
    ],
)
def test_columns_that_are_not_there_or_ambiguous(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(GatewayError, match=error):
        read(tmp_path, text)


def test_what_is_not_utf_8_is_a_bad_value(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_bytes(b"t,a\n1,\xff\xfe\n2,5\n")
    problems = Problems()
    assert len(list(read_csv(file, ONE, TAGS, problems))) == 1
    assert problems.bad_rows == 1


def test_an_interval_beyond_the_calendar_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    found, problems = read(tmp_path, "a\n1\n2\n", Columns({"S1": "a"}, interval_us=9_000_000_000_000_000))
    assert len(found) == 2
    found, problems = read(tmp_path, "a\n1\n2\n3\n", Columns({"S1": "a"}, interval_us=9_000_000_000_000_000))
    assert (len(found), problems.bad_rows) == (2, 1)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T01:00:01+01:00", SECOND),
        ("1970-01-01 00:00:01", SECOND),
        ("1970-01-01T00:00:01.000001", SECOND + 1),
        (" 1 ", SECOND),
        ("1.5", 1_500_000),
        ("1668730437000", 1668730437 * SECOND),
        ("1668730438.0", 1668730438 * SECOND),
    ],
)
def test_times_are_rfc_3339_naive_or_epochs(text: str, microseconds: int) -> None:
    assert parse_time(text) == microseconds
