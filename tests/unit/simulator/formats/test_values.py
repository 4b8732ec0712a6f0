"""Whatever the format, who reads it as it is described finds what the machine's sensors measured, and nothing else."""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile

import pytest

from simulator.demo import demo_fleet
from simulator.fleet import Fleet, FleetError
from simulator.formats import EVENT, FORMATS
from simulator.heard import as_heard
from simulator.measurement import Measurement
from simulator.publishing import Message
from simulator.run import first_states, messages
from simulator.sensing import profiles, readings
from simulator.transport import Due
from simulator.truth import truth_of
from tests.unit.simulator.formats.reading import READERS, Quantities

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
LASTS, INTERVAL = 300.0, 10.0
RESOLUTION = 0.06  # of the coarsest format, in m/s² and mm/s


def slow_fleet() -> Fleet:
    """Return the demo with a reading every ten seconds: its bearing fails within the time that is looked at."""
    fleet = demo_fleet()
    machines = [
        machine.model_copy(
            update={"sensors": [sensor.model_copy(update={"interval": INTERVAL}) for sensor in machine.sensors]}
        )
        for machine in fleet.machines
    ]
    return fleet.model_copy(update={"machines": machines})


FLEET = slow_fleet()


def published(name: str, fleet: Fleet = FLEET, lasts: float = LASTS) -> list[Due]:
    due = messages(fleet, profiles(fleet, 1), FORMATS[name], seed=1, start=START)
    return [each for each in takewhile(lambda each: each.after < lasts, due) if isinstance(each, Due)]


@cache
def measured(name: str) -> dict[str, list[tuple[float, Measurement]]]:
    heard = as_heard(FLEET, FORMATS[name])
    found = defaultdict(list)
    for each in takewhile(lambda each: each.elapsed < LASTS, readings(heard, 1, profiles(FLEET, 1))):
        found[each.sensor.id].append((each.elapsed, each.measurement))
    return found


@cache
def read(name: str) -> list[tuple[str, float, Quantities]]:
    state: dict[str, object] = {}
    return [
        (sensor, due.after if time is None else (time - START).total_seconds(), found)
        for due in published(name)
        for sensor, time, found in READERS[name](due.message, state)
    ]


def nearest(taken: list[tuple[float, Measurement]], elapsed: float) -> Measurement:
    moment, found = min(taken, key=lambda each: abs(each[0] - elapsed))
    assert abs(moment - elapsed) < 1.1
    return found


def test_every_format_has_a_reader() -> None:
    assert list(READERS) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_values_are_those_of_the_machine(name: str) -> None:
    taken, compared = measured(name), 0
    for sensor, elapsed, found in read(name):
        true = nearest(taken[sensor], elapsed)
        expected = {
            "level": true.level,
            "velocity": true.velocity_rms,
            "peak": true.peak,
            "kurtosis": true.kurtosis,
        }
        for quantity in expected.keys() & found.keys():
            assert found[quantity] == pytest.approx(expected[quantity], rel=0.01, abs=RESOLUTION), (sensor, quantity)
            compared += 1
    assert compared or name == "tasmota"


@pytest.mark.parametrize("name", FORMATS)
def test_the_temperature_is_that_of_the_first_axis_or_its_last_one_while_that_cannot_be_read(name: str) -> None:
    taken, axes = measured(name), FORMATS[name].axes
    compared = 0
    for sensor, elapsed, found in read(name):
        first = f"{sensor.rpartition('-')[0]}-{axes[0]}" if axes else sensor
        if "temperature" in found and elapsed > 1:
            near = [nearest(taken[first], moment).temperature for moment in (elapsed, elapsed - INTERVAL) if moment > 0]
            assert any(found["temperature"] == pytest.approx(each, abs=1.0) for each in near)
            compared += 1
    assert compared > 20


@pytest.mark.parametrize("name", FORMATS)
def test_every_reading_of_every_sensor_is_published_under_the_id_that_the_truth_names(name: str) -> None:
    counted: dict[str, set[int]] = defaultdict(set)
    for sensor, elapsed, _ in read(name):
        counted[sensor].add(round(elapsed / INTERVAL))
    truth = truth_of(as_heard(FLEET, FORMATS[name]), profiles(FLEET, 1), seed=1, start=START)
    assert set(counted) == {each.sensor_id for each in truth.sensors}
    assert {fault.sensor_id for fault in truth.faults} <= set(counted)
    assert min(len(moments) for moments in counted.values()) >= (24 if name == "sparkplug-b" else LASTS / INTERVAL - 1)


@pytest.mark.parametrize("name", FORMATS)
def test_the_failing_bearing_shows_in_every_format(name: str) -> None:
    """By what the format says of it: a level, a peak, or the values of a sine."""
    failing = as_heard(FLEET, FORMATS[name]).machines[0].sensors[0].id
    said = [found for sensor, _, found in read(name) if sensor == failing]
    quantity = next(each for each in ("level", "peak", "instant") if any(each in found for found in said))
    values = [abs(found[quantity]) for found in said if quantity in found]
    assert max(values[-8:]) > 2.5 * max(values[:2]) or quantity == "instant"


def test_tasmotas_values_are_those_of_a_sine_of_the_level_with_gravity_along_z() -> None:
    taken = measured("tasmota")
    values = defaultdict(list)
    for sensor, elapsed, found in read("tasmota"):
        level = nearest(taken[sensor], elapsed).level
        instant = found["instant"] - (9.80665 if sensor.endswith("-z") else 0.0)
        assert abs(instant) <= math.sqrt(2) * level + 0.01
        values[sensor[-1]].append(instant / level)
    for relative in values.values():
        assert math.sqrt(sum(each * each for each in relative) / len(relative)) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_seed_and_start_publish_the_same_bytes(name: str) -> None:
    assert published(name, lasts=60) == published(name, lasts=60)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_said_with_each_connection_is_retained_and_is_no_reading(name: str) -> None:
    said = first_states(FLEET, profiles(FLEET, 1), START, FORMATS[name])
    assert all(message.retain for message in said)
    assert len({message.topic for message in said}) == len(said)
    assert not [found for message in said for found in READERS[name](message, {})]


def test_ids_that_a_format_would_make_one_are_refused() -> None:
    sensors = [FLEET.machines[0].sensors[0].model_copy(update={"id": name}) for name in ("VB_1", "vb-1")]
    fleet = FLEET.model_copy(update={"machines": [FLEET.machines[0].model_copy(update={"sensors": sensors})]})
    assert as_heard(fleet, EVENT) == fleet
    with pytest.raises(FleetError, match="in this format more than one sensor would be vb-1: rename them"):
        as_heard(fleet, FORMATS["esphome"])


def test_the_axes_of_one_device_look_in_their_directions() -> None:
    heard = as_heard(FLEET, FORMATS["ncd"])
    x, y, z = heard.machines[0].sensors[:3]
    assert [each.direction for each in (x, y, z)] == ["radial", "radial", "axial"]
    assert x.baseline == FLEET.machines[0].sensors[0].baseline > y.baseline > z.baseline


def test_time_stamps_of_a_day_in_winter_and_one_in_summer_are_local() -> None:
    def time(start: datetime) -> str:
        due = messages(FLEET, profiles(FLEET, 1), FORMATS["tasmota"], seed=1, start=start)
        first: Message = next(each.message for each in due if isinstance(each, Due))
        return first.payload.decode().split('"')[3]

    assert time(datetime(2026, 1, 15, 9, tzinfo=UTC)) == "2026-01-15T10:00:00"
    assert time(datetime(2026, 7, 15, 9, tzinfo=UTC) + timedelta(minutes=5)) == "2026-07-15T11:05:00"
