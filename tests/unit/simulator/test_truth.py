import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulator.fleet import Fleet, load_fleet
from simulator.scenario import Growth, wear_factor
from simulator.sensing import profiles
from simulator.truth import BAND, encode_truth, leaves_band, truth_of

START = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[3] / "config" / "fleet.toml"
HOUR = 3600.0


def fleet(sensor: Mapping[str, object], **machine: object) -> Fleet:
    return Fleet.model_validate(
        {
            "site": "s",
            "machines": [
                {
                    "id": "m",
                    "area": "a",
                    "description": "M",
                    **machine,
                    "sensors": [{"id": "S", "baseline": 2, **sensor}],
                }
            ],
        }
    )


def truth(made: Fleet, *, until: float | None = 24 * HOUR, speed: float = 1.0) -> dict[str, Any]:
    found = truth_of(made, profiles(made, 1), seed=1, start=START, speed=speed, until=until)
    decoded: dict[str, Any] = json.loads(encode_truth(found))
    return decoded


GROWING = {"wear": {"kind": "growth", "after": "1h", "over": "4h", "to": 4.0, "repaired": "20h"}}


def test_a_growing_fault_says_when_its_level_leaves_the_band() -> None:
    (fault,) = truth(fleet(GROWING))["faults"]
    leaves = (datetime.fromisoformat(fault.pop("leavesBand")) - START).total_seconds()
    assert fault == {
        "scope": "machine",
        "kind": "growth",
        "sensorId": "S",
        "machine": "m",
        "detail": "outer-race, shows in the acceleration",
        "growing": True,
        "from": "2026-01-01T01:00:00.000000Z",
        "to": "2026-01-01T20:00:00.000000Z",
    }
    made = fleet(GROWING)
    factor = wear_factor(made.machines[0].sensors[0].wear, np.array([leaves - 5, leaves + 5]))
    edge = 1 + BAND * np.hypot(0.04, 0.02)
    assert factor[0] < edge < factor[1]


def test_on_a_stopped_machine_nothing_shows_before_it_turns_again() -> None:
    cycle = [{"lasts": "1h"}, {"state": "stopped", "lasts": "10h", "speed": 0, "load": 0}]
    made = fleet(GROWING, cycle=cycle)
    (fault,) = truth(made)["faults"]
    begins = profiles(made, 1)["a/m"].running_from(2 * HOUR)
    assert begins > 8 * HOUR
    assert (datetime.fromisoformat(fault["leavesBand"]) - START).total_seconds() == pytest.approx(begins, abs=0.01)


def test_what_is_over_before_it_shows_never_does() -> None:
    short = {"wear": {"kind": "growth", "after": "1h", "over": "40h", "repaired": "2h"}}
    assert truth(fleet(short))["faults"][0]["leavesBand"] is None


def test_what_hardly_shows_where_the_sensor_looks_never_leaves_the_band() -> None:
    along = fleet({"direction": "axial"})
    wear = Growth.model_validate({"kind": "growth", "fault": "imbalance", "after": "1h", "over": "1h", "to": 1.5})
    machine = along.machines[0]
    assert leaves_band(machine.mounting(machine.sensors[0]), wear) is None


def test_what_begins_after_the_end_is_left_out_and_what_goes_on_is_open() -> None:
    assert truth(fleet(GROWING), until=0.5 * HOUR)["faults"] == []
    (fault,) = truth(fleet(GROWING), until=2 * HOUR)["faults"]
    assert fault["to"] is None


def test_times_are_those_of_the_events() -> None:
    found = truth(fleet(GROWING | {"interval": "10s"}), speed=60.0)
    assert found["faults"][0]["from"] == "2026-01-01T00:01:00.000000Z"
    assert (found["start"], found["end"]) == ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:24:00.000000Z")
    assert found["sensors"] == [
        {"sensorId": "S", "site": "s", "area": "a", "machine": "m", "interval": pytest.approx(10 / 60)}
    ]


def test_a_run_without_an_end_has_none() -> None:
    assert truth(fleet({}), until=None)["end"] is None


def test_the_truth_of_the_example_holds_everything_in_it() -> None:
    found = truth(load_fleet(EXAMPLE), until=7 * 24 * HOUR)["faults"]
    assert {fault["scope"] for fault in found} == {"machine", "sensor", "transport", "benign"}
    assert {fault["kind"] for fault in found} == {
        *("growth", "jump", "steps", "shift"),
        *("dropout", "stuck", "drift", "spike", "floor", "clock"),
        *("duplicate", "reorder", "delay", "drop", "corrupt", "burst", "last-will"),
    }
    assert [fault["sensorId"] for fault in found if fault["kind"] == "burst"] == ["VB-42345", "VB-42346"]
