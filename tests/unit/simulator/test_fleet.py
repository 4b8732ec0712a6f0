from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter

from simulator.bearing import ZA_2115
from simulator.demo import demo_fleet
from simulator.fleet import Fleet, FleetError, load_fleet
from simulator.scenario import Transport, Wear, wear_factor

EXAMPLE = Path(__file__).parents[3] / "config" / "fleet.toml"
SMALLEST = """
site = "plant"
[[machines]]
id = "pump"
area = "hall"
description = "Pump"
[[machines.sensors]]
id = "VB-1"
baseline = 2.0
"""


def load(tmp_path: Path, text: str) -> Fleet:
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    return load_fleet(file)


def first_above(ratio: float, wear: Wear) -> float:
    return float(np.flatnonzero(wear_factor(wear, np.arange(1000.0)) > ratio)[0])


def test_the_example_holds_everything_that_can_go_wrong() -> None:
    fleet = load_fleet(EXAMPLE)
    sensors = [sensor for machine in fleet.machines for sensor in machine.sensors]
    assert (len(fleet.machines), len(sensors)) == (8, 12)
    assert {sensor.wear.kind for sensor in sensors} == {"none", "growth", "jump", "steps"}
    faults = {fault.kind for sensor in sensors for fault in sensor.faults}
    assert faults == {"dropout", "stuck", "drift", "spike", "floor", "clock"}
    assert {fault.kind for fault in fleet.transport} == set(get_args(Transport.model_fields["kind"].annotation))
    assert any(machine.cycle and machine.shifts for machine in fleet.machines)


def test_the_smallest_fleet(tmp_path: Path) -> None:
    (machine,) = load(tmp_path, SMALLEST).machines
    (sensor,) = machine.sensors
    assert (sensor.interval, sensor.wear.kind, sensor.send_baseline) == (10.0, "none", True)
    assert (machine.mounting(sensor).velocity, machine.mounting(sensor).bearing) == (1.5, ZA_2115)


def test_a_velocity_that_is_not_given_fits_the_level(tmp_path: Path) -> None:
    (machine,) = load(tmp_path, SMALLEST.replace("baseline = 2.0", "baseline = 0.5")).machines
    fast = machine.model_copy(update={"rpm": 6000.0})
    assert fast.mounting(fast.sensors[0]).velocity == pytest.approx(0.398, abs=0.001)


def test_a_machine_without_a_cycle_stays_as_it_is(tmp_path: Path) -> None:
    (machine,) = load(tmp_path, SMALLEST).machines
    (running,) = machine.steps()
    (stopped,) = machine.model_copy(update={"state": "Off"}).steps()
    assert (running.state, running.speed) == ("running", 1.0)
    assert (stopped.state, stopped.speed) == ("Off", 0.0)


def test_a_repair_heals() -> None:
    wear = TypeAdapter[Wear](Wear).validate_python({"kind": "jump", "after": "10s", "repaired": "1m"})
    assert wear_factor(wear, np.array([5.0, 30.0, 59.0, 60.0, 90.0])).tolist() == [1.0, 3.0, 3.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("baseline = 2.0", "baseline = -2.0", "machines[0].sensors[0].baseline: Input should be greater than 0"),
        ("baseline = 2.0", "baseline = nan", "machines[0].sensors[0].baseline: "),
        ("baseline = 2.0", "base = 2.0", "machines[0].sensors[0].base: Extra inputs are not permitted"),
        ("baseline = 2.0", "", "machines[0].sensors[0].baseline: Field required"),
        ("baseline = 2.0", "baseline = 2\ninterval = 10", "interval: Value error, write a duration as text"),
        ("baseline = 2.0", 'baseline = 2\ninterval = "10"', "interval: Value error, '10' is not a duration"),
        ("baseline = 2.0", 'baseline = 2\nwear = { kind = "rust" }', "wear: Input tag 'rust'"),
        ("baseline = 2.0", 'baseline = 2\nwear = { kind = "jump" }', "wear.jump.after: Field required"),
        (
            "baseline = 2.0",
            'baseline = 2\nwear = { kind = "jump", after = "2h", fault = "noise" }',
            "noise is no fault",
        ),
        (
            "baseline = 2.0",
            'baseline = 2\nwear = { kind = "jump", after = "2h", repaired = "1h" }',
            "comes before `after`",
        ),
        ("baseline = 2.0", 'baseline = 2\nfaults = [{ kind = "rust" }]', "sensors[0].faults[0]: Input tag 'rust'"),
        ("baseline = 2.0", 'baseline = 2\nfaults = [{ kind = "clock", after = "1h", by = "-1" }]', "by: Value error"),
        ("baseline = 2.0", "baseline = 0.1\nvelocity = 9", "the sensor VB-1: a velocity of 9 mm/s at 1480 rpm alone"),
        ('site = "plant"', 'site = "plant"\ntransport = [{ kind = "burst", after = "1h" }]', "a burst needs `lasts`"),
        (
            'site = "plant"',
            'site = "plant"\ntransport = [{ kind = "drop", after = "1h", sensors = ["VB-9"] }]',
            "there is no sensor VB-9",
        ),
        ('site = "plant"', 'site = "a/b"', "site: String should match pattern"),
        ('site = "plant"', 'site = "a+"', "site: String should match pattern"),
        ('site = "plant"', "site = ", "not a TOML file: "),
        ("baseline = 2.0", 'baseline = 2\n[[machines.sensors]]\nid = "VB-1"\nbaseline = 2', "the sensor VB-1 is there"),
    ],
)
def test_an_error_names_file_and_key(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(FleetError) as raised:
        load(tmp_path, SMALLEST.replace(old, new))
    assert f"{tmp_path / 'fleet.toml'}: " in str(raised.value)
    assert problem in str(raised.value)


def test_every_error_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(FleetError) as raised:
        load(tmp_path, SMALLEST.replace("baseline = 2.0", "baseline = 0\nnoise = 9"))
    assert len(str(raised.value).splitlines()) == 2


def test_a_missing_file_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"none\.toml: cannot be read: No such file"):
        load_fleet(tmp_path / "none.toml")


def test_in_the_built_in_fleet_one_bearing_fails_while_you_watch() -> None:
    fleet = demo_fleet()
    sensors = [sensor for machine in fleet.machines for sensor in machine.sensors]
    (failing,) = [sensor for sensor in sensors if sensor.wear.kind != "none"]
    assert (len({machine.area for machine in fleet.machines}), len(fleet.machines), len(sensors)) == (2, 4, 6)
    assert {sensor.interval for sensor in sensors} == {1.0}
    assert wear_factor(failing.wear, np.array([15.0]))[0] == 1.0
    assert first_above(1.6, failing.wear) == pytest.approx(40, abs=3)
    assert first_above(2.5, failing.wear) == pytest.approx(75, abs=3)
    assert wear_factor(failing.wear, np.array([300.0]))[0] == pytest.approx(4.0, abs=0.1)
