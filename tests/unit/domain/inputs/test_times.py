from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.results import timestamp
from gateway.domain.inputs.times import EARLIEST_US, LATEST_US, TimeSpec, epoch_us, microseconds_of
from tests.unit.domain.inputs.trying import RECEIVED_US, outcome

STOCKHOLM = ZoneInfo("Europe/Stockholm")


@pytest.mark.parametrize(
    "value",
    [
        1_796_034_600.25,
        1_796_034_600_250,
        1_796_034_600_250_000,
        1_796_034_600_250_000_999,
        "1796034600.25",
        "1796034600250",
        "2026-11-30T10:30:00.25Z",
        "2026-11-30T10:30:00.2500009Z",
        "2026-11-30T17:30:00.250000+07:00",
        "2026-11-30 10:30:00.25",
        "2026-11-30 10:30:00.25 UTC",
        "2026/11/30 10:30:00.25",
        "2026-11-30 12:30:00.25 +0200",
        "2026-11-30 11:30:00.25 +0100 CET",
        "/Date(1796034600250)/",
        "/Date(1796034600250+0200)/",
        datetime(2026, 11, 30, 10, 30, 0, 250_000, UTC),
    ],
)
def test_a_time_is_told_by_its_magnitude_or_its_text(value: Any) -> None:
    assert microseconds_of(value, TimeSpec(), RECEIVED_US) == 1_796_034_600_250_000


@pytest.mark.parametrize(
    "value",
    [
        0,
        123_456,
        1e300,
        -1,
        float("nan"),
        float("inf"),
        10**400,
        True,
        None,
        "",
        "soon",
        "2026-11-30 10:30:00 CET",
        "2026/30/11 10:30:00",
        "/Date(5)/",
        "123456",
        [1],
        {},
        "1" * 5000,
    ],
)
def test_a_number_far_from_any_plausible_epoch_is_no_time(value: Any) -> None:
    assert microseconds_of(value, TimeSpec(), RECEIVED_US) is None


@given(st.integers(EARLIEST_US, LATEST_US - 1))
def test_every_time_is_the_same_in_each_unit(time_us: int) -> None:
    assert epoch_us(time_us) == time_us
    assert epoch_us(time_us * 1000) == time_us
    assert epoch_us(time_us // 1000) == time_us // 1000 * 1000
    assert epoch_us(time_us // 1_000_000) == time_us // 1_000_000 * 1_000_000


def test_a_time_has_the_format_and_the_zone_that_are_configured() -> None:
    spec = TimeSpec(format="%m/%d/%Y %I:%M:%S %p", zone=STOCKHOLM)
    found = microseconds_of("07/14/2026 01:30:00 PM", spec, RECEIVED_US)
    assert found == datetime(2026, 7, 14, 11, 30, tzinfo=UTC).timestamp() * 1_000_000


@pytest.mark.parametrize("hour", [0, 1])
def test_an_hour_that_exists_twice_is_the_one_nearer_to_when_the_message_came(hour: int) -> None:
    then = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)  # 02:30 in Stockholm, both times
    received = then + timedelta(seconds=3)
    found = microseconds_of("2026-10-25T02:30:00", TimeSpec(zone=STOCKHOLM), int(received.timestamp()) * 1_000_000)
    assert found == then.timestamp() * 1_000_000


@pytest.mark.parametrize("payload", [{"v": 1, "t": 123_456}, {"v": 1}])
def test_where_a_message_has_no_time_the_receive_time_counts_and_that_is_said(payload: dict[str, Any]) -> None:
    out = outcome('topic = "{sensor}"\ntime = "t"\nfields = { velocity_rms = "v" }', "vb", payload)
    assert (out.readings[0].time_us, out.readings[0].time_from) == (RECEIVED_US, "received")
    assert "receive time" in out.notes[0]


@pytest.mark.parametrize(
    ("payload", "time_from"),
    [({"date": "29.11.2026", "at": {"clock": "08:59:00"}}, "message"), ({"date": "29.11.2026"}, "received")],
)
def test_date_and_time_of_day_may_stand_apart(payload: dict[str, Any], time_from: str) -> None:
    toml = """
        topic = "{sensor}"
        time = "{date} {at.clock}"
        time_format = "%d.%m.%Y %H:%M:%S"
        timezone = "Europe/Stockholm"
        fields = { velocity_rms = "v" }
        """
    out = outcome(toml, "vb", payload | {"v": 2.5})
    assert [each.time_from for each in out.readings] == [time_from]
    if time_from == "message":
        assert timestamp(out.readings[0].time_us) == "2026-11-29T07:59:00Z"
