"""Readings without a level, from the broker to everything that follows the journal."""

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.export import _reading
from gateway.consumers.influx.lines import to_lines
from gateway.consumers.live_state import Live
from gateway.consumers.notification_planning import notification_of
from gateway.domain.detection.rules import Rules, Threshold
from gateway.domain.engine.event_log import StoredReading
from gateway.domain.notification.model import Planned, item_of
from gateway.handlers.text import wording
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant

RULES = Rules(baseline=4.0, iso_group=2, thresholds=(Threshold("temperature", warning=80.0, warning_below=-20.0),))


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path, RULES) as opened:
        yield opened


def without_level(second: float, sensor: str = "VB-1", **data: Any) -> dict[str, Any]:
    made = event(second, None, sensor, **data)
    del made["data"]["vibrationLevel"]
    return made


def stored(plant_: Plant) -> list[StoredReading]:
    with plant_.reader() as reader:
        return reader.step(0, 1000).readings


def test_a_temperature_is_stored_without_a_level_and_raises_its_alert(made: Plant) -> None:
    made.take(*(message(without_level(second, temperature=-25.0)) for second in range(3)))
    assert [(each.level, each.baseline) for each in stored(made)] == [(None, None)] * 3
    with made.reader() as reader:
        (alert,) = reader.alerts(everything=False)
    assert (alert.severity, alert.level, alert.unit) == ("warning", None, "")
    assert alert.figure == "temperature -25.0 °C, below its limit -20.0"


def test_what_was_concluded_survives_a_crash(made: Plant) -> None:
    made.take(*(message(without_level(second, temperature=85.0)) for second in range(2)))
    made.crash()
    made.take(message(without_level(2, temperature=85.0)))
    assert made.changes() == [("AlertRaised", "warning")]


def test_a_reading_that_measured_nothing_is_a_dead_letter_that_says_so(made: Plant) -> None:
    made.take(message(without_level(0)))
    with made.reader() as reader:
        (letter,) = reader.dead_letters(None, 10)
    assert letter["reason"] == "invalid"
    assert "neither vibrationLevel nor one of the quantities velocityRms" in letter["detail"]


def test_it_counts_as_heard_once_and_as_late(made: Plant) -> None:
    first, newer = message(without_level(0, temperature=40.0)), message(without_level(5, temperature=41.0))
    batch = made.take(first, first, newer, message(without_level(3, temperature=40.5)))
    assert (len(batch.readings), batch.duplicates, batch.late) == (3, 1, 1)
    (sensor,) = made.pipeline.sensors
    assert sensor.state.heard_ns > 0


def test_rollups_history_and_trends_are_of_levels_only(made: Plant) -> None:
    made.take(message(event(0, 4.0)), message(without_level(1, temperature=40.0)), message(event(2, 5.0)))
    with made.reader() as reader:
        assert [row[2:] for row in reader.summaries(10, 0, 100)] == [(4.0, 4.5, 5.0, 2)]
        assert [row[1] for row in reader.trend("VB-1", NOON_NS, NOON_NS + 10 * SECOND)] == [4.0, 5.0]
        noon = NOON_NS // SECOND
        assert reader.levels("rollups_10s", "VB-1", (noon, noon + 10), 10, 9) == [(noon, 4.0, 4.5, 5.0, 2)]


def test_it_has_no_level_in_influxdb_and_in_an_export(made: Plant) -> None:
    made.take(message(without_level(0, temperature=40.0)))
    (reading,) = stored(made)
    (line,) = to_lines([reading], [])
    assert line.decode().split(" ")[1] == "temperature=40.0"
    row = _reading(reading)
    assert (row["level"], row["unit"], row["temperature"]) == (None, None, 40.0)


async def test_the_page_shows_the_newest_values(made: Plant) -> None:
    made.take(message(without_level(0, temperature=40.0)), message(without_level(1, temperature=41.26, load=60)))
    live = Live()
    await live.consume(stored(made), [])
    shown = live.sensor("VB-1")
    assert shown is not None
    assert (shown["state"], shown["level"], shown["quantities"]) == ("ok", None, {"temperature": 41.26, "load": 60.0})
    (row,) = live.changes(0)["sensors"]
    assert row[6] == "Temperature 41.3 °C, Load 60 %"


async def test_a_level_stays_shown_beside_what_comes_without_one(made: Plant) -> None:
    made.take(message(event(0, 4.5)), message(without_level(1, temperature=41.0)))
    live = Live()
    await live.consume(stored(made), [])
    shown = live.sensor("VB-1")
    assert shown is not None
    assert (shown["level"], shown["unit"], shown["quantities"]) == (4.5, "m/s²", {"temperature": 41.0})


def test_a_message_names_the_quantity_its_limit_and_why(made: Plant) -> None:
    made.take(*(message(event(second, 4.0, velocityRms=6.2, unit="g")) for second in range(3)))
    with made.reader() as reader:
        (fact,) = (entry.fact for entry in reader.step(0, 1000).entries if entry.fact.type == "AlertRaised")
    item = item_of(fact, "raised")
    planned = Planned(
        "id", "sms", "route 1", "raised", (item,), 1, item.reason, fact.id, fact.correlation_id, NOON_NS + SECOND
    )
    said = notification_of(planned, "edge-1", "")
    assert wording.summary(said, UTC) == (
        "CRITICAL: pump-7 VB-1: velocity RMS 6.2 mm/s, trip of ISO 10816-3 5.62, since 12:00 UTC"
    )
    assert wording.details(said)[-1] == "for 3 readings in 2 s"
    assert ("Measured", "velocity RMS 6.2 mm/s, trip of ISO 10816-3 5.62") in wording.facts(said, UTC)


async def test_the_page_shows_the_level_in_the_sensors_own_unit_too(made: Plant) -> None:
    made.take(message(event(0, 4.5, sensorUnit="g")))
    live = Live()
    await live.consume(stored(made), [])
    (row,) = live.changes(0)["sensors"]
    assert (row[2], row[4], row[6]) == (4.5, "m/s²", "0.459 g")
