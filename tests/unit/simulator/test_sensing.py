from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from pydantic import TypeAdapter

from simulator.demo import demo_fleet
from simulator.fleet import Machine
from simulator.machine import FLOOR
from simulator.scenario import SensorFault
from simulator.sensing import BLOCK, Reading, machine_readings, profiles

INTERVAL = 10.0
MANY = 3 * BLOCK  # so that a fault goes on from one block to the next
BEGIN, END = 1000.0, 5000.0


def fault(kind: str, **more: object) -> SensorFault:
    window = {"kind": kind, "after": f"{BEGIN}s", "lasts": f"{END - BEGIN}s"}
    return TypeAdapter[SensorFault](SensorFault).validate_python(window | more)


def taken(*faults: SensorFault, number: int = MANY) -> list[Reading]:
    """Return the readings that one healthy sensor with these faults sends."""
    return list(islice((each for each in all_of(*faults) if each.sent), number))


def all_of(*faults: SensorFault) -> Iterator[Reading]:
    fleet = demo_fleet()
    machine = fleet.machines[2]
    sensor = machine.sensors[0].model_copy(update={"interval": INTERVAL, "faults": faults})
    alone = machine.model_copy(update={"sensors": [sensor]})
    return machine_readings(alone, 1, profiles(fleet, 1)[machine.place])


def parted(readings: list[Reading]) -> tuple[list[Reading], list[Reading]]:
    """Return the readings inside the window of the faults, and the others."""
    inside = [each for each in readings if BEGIN <= each.elapsed < END]
    return inside, [each for each in readings if not BEGIN <= each.elapsed < END]


HEALTHY = {each.sequence: each for each in taken()}


@pytest.mark.parametrize(
    "broken",
    [
        fault("dropout"),
        fault("stuck"),
        fault("drift", over="1000s"),
        fault("spike", share=0.5),
        fault("floor"),
        fault("clock", by="-1h"),
    ],
)
def test_a_fault_changes_its_window_and_nothing_else(broken: SensorFault) -> None:
    inside, outside = parted(taken(broken))
    healthy = [HEALTHY[sequence] for sequence in range(MANY) if BEGIN <= HEALTHY[sequence].elapsed < END]
    assert [(each.clock, each.measurement) for each in inside] != [(0.0, each.measurement) for each in healthy]
    assert len(outside) >= MANY - len(healthy)
    compared = [each for each in outside if each.sequence in HEALTHY]
    assert [each.measurement for each in compared] == [HEALTHY[each.sequence].measurement for each in compared]


def test_a_dropout_sends_nothing() -> None:
    inside, outside = parted(taken(fault("dropout")))
    assert not inside
    assert len(outside) == MANY


def test_the_time_of_an_endless_dropout_passes_like_any_other() -> None:
    endless = TypeAdapter[SensorFault](SensorFault).validate_python({"kind": "dropout", "after": f"{BEGIN}s"})
    found = list(islice(all_of(endless), MANY))
    assert [each.elapsed for each in found] == [each.elapsed for each in HEALTHY.values()]
    assert [each.sent for each in found] == [each.elapsed < BEGIN for each in found]


def test_a_stuck_sensor_repeats_one_measurement_over_the_edge_of_a_block() -> None:
    inside, _ = parted(taken(fault("stuck")))
    assert inside[0].sequence < BLOCK < inside[-1].sequence
    assert {each.measurement for each in inside} == {HEALTHY[inside[0].sequence].measurement}


def test_a_drift_goes_slowly_to_its_end() -> None:
    inside, _ = parted(taken(fault("drift", over="2000s", to=0.5)))
    gains = [each.measurement.level / HEALTHY[each.sequence].measurement.level for each in inside]
    assert gains == sorted(gains, reverse=True) or np.diff(gains).max() < 1e-4
    assert gains[100] == pytest.approx(0.75, abs=0.01)
    assert gains[-1] == pytest.approx(0.5, abs=0.001)


def test_spikes_are_single_readings() -> None:
    inside, _ = parted(taken(fault("spike", share=0.05, to=8.0)))
    high = [each for each in inside if each.measurement.level > 4 * HEALTHY[each.sequence].measurement.level]
    assert 5 <= len(high) <= 40
    assert all(each.measurement.kurtosis > 20 for each in high)


def test_a_sensor_on_the_floor_reads_little_and_seldom_anything_else() -> None:
    inside, _ = parted(taken(fault("floor")))
    assert {each.measurement.level for each in inside} <= {0.01, 0.02, 0.03, 0.04, 0.05}
    assert np.mean([each.measurement.level for each in inside]) == pytest.approx(FLOOR, abs=0.005)


def test_sensors_of_one_machine_with_one_interval_measure_at_one_moment() -> None:
    fleet = demo_fleet()
    machine: Machine = fleet.machines[0]
    first, second = islice(machine_readings(machine, 1, profiles(fleet, 1)[machine.place]), 2)
    assert first.elapsed == second.elapsed
    assert {first.sensor.id, second.sensor.id} == {"VB-PUMP1-DE", "VB-PUMP1-NDE"}


def test_machines_of_one_name_in_two_areas_do_what_each_of_them_does() -> None:
    fleet = demo_fleet()
    stopped = fleet.machines[0].model_copy(update={"area": "elsewhere", "state": "stopped"})
    doing = profiles(fleet.model_copy(update={"machines": [fleet.machines[0], stopped]}), 1)
    assert {place: each.phase(0.0).step.state for place, each in doing.items()} == {
        "pump-house/pump-1": "running",
        "elsewhere/pump-1": "stopped",
    }
