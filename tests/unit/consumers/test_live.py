import asyncio
import math
import tracemalloc
from itertools import pairwise

import pytest

from gateway.consumers.live_state import POINTS, ROW, SHOWN_ALERTS, SHOWN_SENSORS, TRENDS, Live
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import Flag
from tests.plant import KnownSensor, alert_entry, alert_of, place, stored


@pytest.fixture
def live() -> Live:
    return Live()


def state_of(live: Live, sensor: str = "VB-1") -> str:
    found = live.sensor(sensor)
    assert found is not None
    return str(found["state"])


async def test_a_reading_is_shown_with_its_place_and_what_it_was_compared_with(live: Live) -> None:
    await live.consume([stored("VB-1", 12.5, baseline=4.0, data={"unit": "g"})], [])
    assert live.sensor("VB-1") == {
        "id": "VB-1",
        "site": "plant-1",
        "area": "hall-2",
        "machine": "pump-7",
        "tags": place("VB-1"),
        "state": "ok",
        "level": 12.5,
        "baseline": 4.0,
        "ratio": 3.125,
        "shownLevel": 12.5,
        "shownBaseline": 4.0,
        "shownUnit": "g",
        "unit": "g",
        "time": "2023-09-29T15:06:40.000Z",
        "quantities": {},
        "spark": [12.5],
    }


async def test_a_unit_that_is_left_out_is_the_same_as_in_the_event(live: Live) -> None:
    reading = stored()
    await live.consume([reading], [])
    assert live.sensors(1)[0]["unit"] == reading.event().data.unit == "m/s²"


async def test_a_sensor_that_has_moved_is_shown_where_it_is_now(live: Live) -> None:
    live.seed([KnownSensor("VB-1", {**place("VB-1"), "machine": "pump-6"})], [])
    await live.consume([stored("VB-1")], [])
    assert live.sensors(1)[0]["machine"] == "pump-7"


async def test_an_unknown_sensor_is_none(live: Live) -> None:
    assert live.sensor("VB-404") is None


async def test_a_sensor_learns_until_it_has_a_baseline(live: Live) -> None:
    await live.consume([stored(baseline=None)], [])
    assert state_of(live) == "learning"
    await live.consume([stored(second=1)], [])
    assert state_of(live) == "ok"


async def test_a_sensor_known_from_before_the_start_waits_for_its_first_reading(live: Live) -> None:
    live.seed([KnownSensor("VB-1", place("VB-1"))], [])
    assert state_of(live) == "waiting"
    await live.consume([stored()], [])
    assert state_of(live) == "ok"


async def test_an_alert_open_from_before_the_start_counts(live: Live) -> None:
    live.seed([KnownSensor("VB-1")], [alert_of("VB-1", "critical")])
    assert state_of(live) == "critical"
    assert [alert["id"] for alert in live.changes(0)["alerts"]] == ["alert-VB-1-1"]


async def test_an_alert_is_raised_escalated_and_cleared(live: Live) -> None:
    await live.consume([stored()], [alert_entry(alert_of())])
    assert state_of(live) == "warning"
    await live.consume([stored(second=1)], [alert_entry(alert_of(severity="critical"))])
    assert state_of(live) == "critical"
    await live.consume([stored(second=2)], [alert_entry(alert_of(state="cleared"))])
    assert state_of(live) == "ok"
    assert live.changes(0)["alerts"] == []


async def test_of_two_alerts_of_a_sensor_the_worse_one_counts(live: Live) -> None:
    alerts = [alert_of(severity="critical", number=1), alert_of(severity="warning", number=2)]
    await live.consume([stored()], [alert_entry(alert) for alert in alerts])
    assert state_of(live) == "critical"
    await live.consume([], [alert_entry(alert_of(severity="critical", number=1, state="cleared"))])
    assert state_of(live) == "warning"


async def test_a_stale_alert_is_still_open(live: Live) -> None:
    await live.consume([stored()], [alert_entry(alert_of(state="stale"))])
    assert state_of(live) == "warning"


async def test_other_facts_change_no_alert(live: Live) -> None:
    entry = alert_entry(alert_of())
    other = DomainEvent("f", "NotificationSent", 0, "VB-1", "c", "c", entry.fact.data)
    await live.consume([stored()], [type(entry)(1, other, 0)])
    assert state_of(live) == "ok"


@pytest.mark.parametrize("flag", [Flag.LATE, Flag.RETAINED])
async def test_what_is_not_judged_is_not_shown_as_the_present(live: Live, flag: int) -> None:
    await live.consume([stored(level=4.0, second=9), stored(level=99.0, second=5, flags=flag)], [])
    assert live.sensors(1)[0]["spark"] == [4.0]
    assert live.sensors(1)[0]["level"] == 4.0


async def test_the_trend_keeps_the_newest_points(live: Live) -> None:
    await live.consume([stored(level=float(second), second=second) for second in range(POINTS + 7)], [])
    assert live.sensors(1)[0]["spark"] == [float(second) for second in range(7, POINTS + 7)]


async def test_readings_closer_than_half_a_second_share_a_point(live: Live) -> None:
    levels = [(0.0, 1.0), (0.2, 2.0), (0.4, 3.0), (0.6, 4.0), (1.5, 5.0)]
    await live.consume([stored(level=level, second=second) for second, level in levels], [])
    assert live.sensors(1)[0]["spark"] == [3.0, 4.0, 5.0]


async def test_levels_beyond_single_precision_stay_numbers_and_leave_the_trend_usable(live: Live) -> None:
    await live.consume([stored(level=1e300), stored(level=1.23456789, second=1)], [])
    shown = live.sensors(1)[0]
    assert shown["level"] == 1.23456789
    assert shown["spark"] == [math.inf, 1.235]


async def test_the_worst_sensors_come_first(live: Live) -> None:
    live.seed([KnownSensor("waiting")], [])
    readings = [stored("ok", 4.0), stored("ok-higher", 6.0), stored("learning", baseline=None)]
    alerts = [alert_of("warning"), alert_of("critical", "critical")]
    readings += [stored("warning", 5.0), stored("critical", 5.0)]
    await live.consume(readings, [alert_entry(alert) for alert in alerts])
    ids = ["critical", "warning", "learning", "ok-higher", "ok", "waiting"]
    assert [sensor["id"] for sensor in live.sensors(10)] == ids
    assert [sensor["id"] for sensor in live.sensors(2)] == ids[:2]


async def test_changes_are_what_happened_since_and_coalesce(live: Live) -> None:
    await live.consume([stored("VB-1"), stored("VB-2")], [])
    seen = live.version
    await live.consume([stored("VB-2", 5.0, second=1)], [])
    await live.consume([stored("VB-2", 6.0, second=2), stored("VB-3")], [])
    changes = live.changes(seen)
    assert [(sensor[0], sensor[2]) for sensor in changes["sensors"]] == [("VB-2", 6.0), ("VB-3", 4.0)]
    assert [len(sensor) == len(ROW) for sensor in changes["sensors"]] == [False, True]
    assert "alerts" not in changes
    assert live.changes(live.version)["sensors"] == []


async def test_changes_bring_the_alerts_when_one_changed(live: Live) -> None:
    await live.consume([stored()], [])
    seen = live.version
    await live.consume([], [alert_entry(alert_of())])
    changes = live.changes(seen)
    assert changes["alerts"][0]["sensorId"] == "VB-1"
    assert changes["sensors"][0][1] == "warning"
    assert changes["counts"] == {
        **dict.fromkeys(("critical", "learning", "ok", "waiting"), 0),
        "warning": 1,
        "sensors": 1,
        "alerts": 1,
    }


async def test_alerts_come_worst_first_then_newest(live: Live) -> None:
    alerts = [alert_of("a", number=1), alert_of("b", number=3), alert_of("c", "critical", number=2)]
    live.seed([], alerts)
    assert [alert["sensorId"] for alert in live.changes(0)["alerts"]] == ["c", "b", "a"]


async def test_a_large_fleet_is_counted_but_only_partly_streamed(live: Live) -> None:
    live.seed([KnownSensor(f"VB-{number}") for number in range(SHOWN_SENSORS + 100)], [])
    seen = live.version
    assert len(live.changes(0)["sensors"]) == SHOWN_SENSORS
    assert live.changes(0)["counts"]["sensors"] == SHOWN_SENSORS + 100
    hidden = f"VB-{SHOWN_SENSORS + 50}"
    await live.consume([stored(hidden)], [])
    assert live.changes(seen)["sensors"] == []
    await live.consume([], [alert_entry(alert_of(hidden))])
    assert [(sensor[0], len(sensor) == len(ROW)) for sensor in live.changes(seen)["sensors"]] == [(hidden, True)]


async def test_a_flood_of_alerts_is_counted_but_only_partly_streamed(live: Live) -> None:
    live.seed([], [alert_of(f"VB-{number}") for number in range(SHOWN_ALERTS + 50)])
    assert len(live.changes(0)["alerts"]) == SHOWN_ALERTS
    assert live.changes(0)["counts"]["alerts"] == SHOWN_ALERTS + 50


async def test_a_viewer_waits_until_something_is_newer(live: Live) -> None:
    waiting = asyncio.create_task(live.changed(live.version))
    await asyncio.sleep(0)
    assert not waiting.done()
    await live.consume([stored()], [])
    await waiting
    await live.changed(live.version - 1)  # returns at once


async def test_versions_grow(live: Live) -> None:
    versions = [live.version]
    for second in range(3):
        await live.consume([stored(second=second)], [])
        versions.append(live.version)
    assert all(earlier < later for earlier, later in pairwise(versions))


async def test_a_sensor_takes_about_a_kilobyte(live: Live) -> None:
    fleet = 100
    tracemalloc.start()
    try:
        for second in range(POINTS + 5):
            await live.consume([stored(f"VB-{number}", second=second) for number in range(fleet)], [])
        assert tracemalloc.get_traced_memory()[0] / fleet < 1300
    finally:
        tracemalloc.stop()


async def test_of_a_large_fleet_only_sensors_with_an_alert_bring_their_trend(live: Live) -> None:
    await live.consume([stored(f"VB-{number}") for number in range(TRENDS + 1)], [alert_entry(alert_of("VB-7"))])
    rows = live.changes(0)["sensors"]
    assert [row[0] for row in rows if row[-1]] == ["VB-7"]


async def test_a_row_is_what_the_names_say(live: Live) -> None:
    await live.consume([stored("VB-1", 4.1234567)], [])
    (row,) = live.changes(0)["sensors"]
    assert dict(zip(ROW, row, strict=True)) == {
        "id": "VB-1", "state": "ok", "level": 4.1235, "baseline": 4.0, "unit": "m/s²", "time": 1_696_000_000.0,
        "measured": None, "site": "plant-1", "area": "hall-2", "machine": "pump-7", "spark": [4.123],
    }  # fmt: skip
