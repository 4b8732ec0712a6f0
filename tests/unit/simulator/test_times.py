from datetime import UTC, datetime

import pytest

from simulator.times import parse_duration, parse_time, rfc3339


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("5m", 300), ("2h", 7200), ("7d", 604_800), (" 1.5s ", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "-5s", "0s", "10 s", "1w", "nan s", "1e3s"])
def test_what_is_no_duration_is_refused_by_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: write a number above zero and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "2022-11-18T00:13:57Z",
        "2022-11-18T01:13:57+01:00",
        "2022-11-18 00:13:57",
        "2022-11-18T00:13:57.000000",
        "1668730437",
        "1668730437.0",
        "1668730437000",
    ],
)
def test_one_time_in_many_spellings(text: str) -> None:
    assert parse_time(text) == datetime(2022, 11, 18, 0, 13, 57, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "09:39:39", "yesterday", "nan", "inf", "1e30", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


def test_times_are_written_with_microseconds_in_utc() -> None:
    assert rfc3339(parse_time("2022-11-18T01:13:57.25+01:00")) == "2022-11-18T00:13:57.250000Z"
