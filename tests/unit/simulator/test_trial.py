from collections import Counter

from simulator.trial import INTERVAL, KINDS, trial_fleet


def test_a_trial_holds_each_kind_so_often_and_a_tenth_stays_healthy() -> None:
    fleet = trial_fleet(20, seed=1)
    sensors = [sensor for machine in fleet.machines for sensor in machine.sensors]
    wears = Counter(sensor.wear.kind for sensor in sensors)
    faults = Counter(fault.kind for sensor in sensors for fault in sensor.faults)
    assert (len(fleet.machines), len(sensors)) == (50, 200)
    assert wears == {"none": 140, "growth": 20, "jump": 20, "steps": 20}
    assert faults == dict.fromkeys(("dropout", "stuck", "drift", "spike", "floor", "clock"), 20)
    assert len(KINDS) == 9
    assert INTERVAL == "5m"


def test_nothing_goes_wrong_before_there_was_time_to_learn() -> None:
    fleet = trial_fleet(5, seed=1)
    sensors = [sensor for machine in fleet.machines for sensor in machine.sensors]
    begins = [fault.after for sensor in sensors for fault in sensor.faults]
    begins += [sensor.wear.after for sensor in sensors if sensor.wear.kind != "none"]
    assert min(begins) >= 10 * 86_400
    assert max(begins) <= 20 * 86_400


def test_a_trial_is_its_seed() -> None:
    assert trial_fleet(2, seed=1) == trial_fleet(2, seed=1) != trial_fleet(2, seed=2)


def test_some_healthy_machines_shift_and_no_others() -> None:
    fleet = trial_fleet(20, seed=1)
    shifted = [machine for machine in fleet.machines if machine.shifts]
    assert len(shifted) == 3
    assert all(sensor.wear.kind == "none" and not sensor.faults for machine in shifted for sensor in machine.sensors)
