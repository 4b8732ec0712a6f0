import json
from typing import Any

import pytest

from tests.unit.domain.inputs.trying import RECEIVED_US, G, brief, outcome, reading, readings

AXES = """
topic = "line/{machine}/{sensor}"
axes = ["x", "y", "z"]
time = "at"
fields = { level = ["acc.{axis}.rms", "g"], velocity_rms = "vel.{axis}", temperature = ["t", "°F"] }
"""


def test_a_message_of_several_axes_is_a_reading_for_each_that_has_a_value() -> None:
    payload = {"at": "2026-11-30T10:30:00.5Z", "acc": {"x": {"rms": 0.5}, "z": {"rms": 1}}, "vel": {"x": 2.5}, "t": 212}
    found = readings(AXES, "line/pump/vb", payload)
    assert brief(found) == [
        ("vb-x", 0.5 * G, {"velocity_rms": 2.5, "temperature": pytest.approx(100)}),
        ("vb-z", G, {"temperature": pytest.approx(100)}),
    ]
    assert {(each.axis, each.source, each.unit, each.sensor_unit) for each in found} == {
        ("x", "vb", "m/s²", "g"),
        ("z", "vb", "m/s²", "g"),
    }
    assert {each.time_us for each in found} == {1_796_034_600_500_000}
    assert found[0].place == {"machine": "pump"}


def test_what_belongs_to_no_axis_is_a_reading_of_the_sensor_when_it_comes_alone() -> None:
    found = reading(AXES, "line/pump/vb", {"at": 1_796_034_600, "t": 32})
    assert brief([found]) == [("vb", None, {"temperature": pytest.approx(0)})]


@pytest.mark.parametrize(
    ("table", "payload", "value"),
    [
        ('["v", "in/s"]', {"v": 0.1}, 2.54),
        ('["v", "M/S"]', {"v": 0.0023}, 2.3),
        ('{ path = "v", scale = 0.01 }', {"v": 250}, 2.5),
        ('{ path = "v", scale = 0.01, offset = 1, unit = "cm/s" }', {"v": 250}, 35),
        ('{ path = "v", exponent = "e", unit = "m/s" }', {"v": 23, "e": -4}, 2.3),
        ('{ path = "v", exponent = -1 }', {"v": 23}, 2.3),
        ('{ path = "v", split = ";", item = 1 }', {"v": "1.5; 2.5"}, 2.5),
        ('["v", "@u"]', {"v": 1, "u": "ips"}, 25.4),
        ('"v"', {"v": "2.5"}, 2.5),
        ('"v"', {"v": "2,5"}, 2.5),
        ('"v"', {"v": "2,5 mm/s"}, 2.5),
        ('"v"', {"v": "0.1 in/s"}, 2.54),
        ('["v", "in/s"]', {"v": "2.5mm/s"}, 2.5),
        ('["v", "@u"]', {"v": "2.5 mm/s", "u": "in/s"}, 2.5),
        ('{ path = "v", scale = 0.5, split = ";", item = 1 }', {"v": "1.5 m/s; 5e0 mm/s"}, 2.5),
        ('"list.1"', {"list": [1, 2]}, 2),
        ('"body.a.v"', {"body": ' {"a": {"v": 2.5}}'}, 2.5),
        ('"body.1"', {"body": "[1, 2.5]"}, 2.5),
        ('"v"', '"{\\"v\\": 2.5}"', 2.5),
        ('"list.-1"', {"list": [1, 2, 3]}, 3),
        ("'\"a.b/c\".v'", {"a.b/c": {"v": 4}}, 4),
        ('"Device status.v-Rms"', {"Device status": {"v-Rms": 4}}, 4),
    ],
)
def test_a_value_is_converted(table: str, payload: Any, value: float) -> None:
    found = reading(f'topic = "{{sensor}}"\nfields = {{ velocity_rms = {table} }}', "vb", payload)
    assert found.quantities == {"velocity_rms": pytest.approx(value)}


@pytest.mark.parametrize(
    "raw",
    [
        "NaN",
        "1e400",
        "-Infinity",
        "null",
        "true",
        '"text"',
        '"nan"',
        '"1e400"',
        '"2026-03-02"',
        '"1_0"',
        "[1]",
        "{}",
        "32764",
        "1" + "0" * 400,
    ],
)
def test_what_is_no_finite_number_is_absent_and_the_rest_is_used(raw: str) -> None:
    toml = 'topic = "{sensor}"\nfields = { level = { path = "a", missing = [32764] }, temperature = "t" }'
    found = reading(toml, "vb", f'{{"a": {raw}, "t": 20}}'.encode())
    assert (found.level, found.quantities) == (None, {"temperature": 20})


def test_a_level_is_kept_in_the_unit_that_stands_behind_it() -> None:
    toml = 'topic = "{sensor}"\nfields = { level = "a", temperature = "t" }'
    found = reading(toml, "vb", {"a": "310 mg", "t": "104 °F"})
    assert found.level == pytest.approx(0.31 * G)
    assert (found.unit, found.sensor_unit) == ("m/s²", "mg")
    assert found.quantities == {"temperature": pytest.approx(40)}


def test_a_unit_in_a_text_that_nobody_knows_is_said_and_not_guessed() -> None:
    out = outcome('topic = "{sensor}"\nfields = { velocity_rms = "v", rpm = "n" }', "vb", {"v": "2.5 dB", "n": 1480})
    assert brief(out.readings) == [("vb", None, {"rpm": 1480})]
    assert "'dB'" in out.notes[0]


@pytest.mark.parametrize("body", ["{", "{]", "[" * 50_000, '{"v": ' + " " * 70_000 + "1}", "v", ""])
def test_a_text_that_is_no_json_has_nothing_in_it(body: str) -> None:
    assert outcome('topic = "{sensor}"\nfields = { velocity_rms = "body.v" }', "vb", {"body": body}).rejected


def test_an_unknown_unit_is_said_and_not_guessed() -> None:
    out = outcome(
        'topic = "{sensor}"\nfields = { level = ["a", "@u"], temperature = "t" }', "vb", {"a": 1, "u": "dB", "t": 2}
    )
    assert brief(out.readings) == [("vb", None, {"temperature": 2})]
    assert "'dB'" in out.notes[0]


def test_a_message_of_which_nothing_can_be_used_since_its_unit_is_unknown_is_a_dead_letter() -> None:
    out = outcome('topic = "{sensor}"\nfields = { level = ["a", "@u"] }', "vb", {"a": 1, "u": "dB"})
    assert "'dB'" in out.rejected[0].detail


def test_a_level_without_a_unit_keeps_none() -> None:
    found = reading('topic = "{sensor}"\nfields = { level = ["strength", ""] }', "vb", {"strength": 112})
    assert (found.level, found.unit, found.sensor_unit) == (112, "", "")


def test_velocity_is_the_level_where_no_acceleration_is_known_of() -> None:
    found = reading('topic = "{sensor}"\nfields = { velocity_rms = ["v", "in/s"] }', "vb", {"v": 1})
    assert (found.level, found.unit, found.quantities) == (25.4, "mm/s", {"velocity_rms": 25.4})


def test_velocity_is_not_the_level_of_a_sensor_that_gives_acceleration_in_other_messages() -> None:
    toml = """
        [[inputs]]
        topic = "{sensor}/acceleration/state"
        format = "value"
        fields = { level = ["value", "g"] }
        [[inputs]]
        topic = "{sensor}/velocity/state"
        format = "value"
        fields = { velocity_rms = "value" }
        """
    assert brief(readings(toml, "vb/velocity/state", "2.41")) == [("vb", None, {"velocity_rms": 2.41})]


def test_places_of_an_array_are_x_y_and_z() -> None:
    found = readings('topic = "{sensor}"\naxes = ["0", "1"]\nfields = { level = "a.{axis}" }', "vb", {"a": [1, 2]})
    assert [each.axis for each in found] == ["x", "y"]


def test_an_axis_may_be_a_level_of_the_topic() -> None:
    found = reading('topic = "{sensor}/accel/{axis}/rms"\nfields = { level = "Value" }', "vb/accel/X/rms", {"Value": 1})
    assert (found.sensor, found.axis) == ("vb-x", "x")


def test_a_part_of_a_text_may_be_chosen_by_axis() -> None:
    toml = """
        topic = "{sensor}"
        axes = ["x", "y"]
        fields = { velocity_rms = { path = "v", split = "|", item = { x = 0, y = 2 } } }
        """
    assert brief(readings(toml, "vb", {"v": "1|2|3"})) == [
        ("vb-x", 1, {"velocity_rms": 1}),
        ("vb-y", 3, {"velocity_rms": 3}),
    ]
    assert outcome(toml, "vb", {"v": "1"}).readings[0].sensor == "vb-x"


def test_columns_are_readings_one_step_apart() -> None:
    toml = (
        'topic = "{sensor}"\nbatch = { start = "t0", step = "dt" }\nfields = { velocity_rms = "v", temperature = "t" }'
    )
    found = readings(toml, "vb", {"t0": "2026-11-30T10:29:00Z", "dt": 10.0, "v": [1, None, 3], "t": 20})
    assert [(each.time_us - 1_796_034_540_000_000, each.level) for each in found] == [
        (0, 1),
        (10_000_000, None),
        (20_000_000, 3),
    ]


@pytest.mark.parametrize(
    ("batch", "times"),
    [
        ('{ start = "ms", step = "step" }', {"ms": 1_796_034_540_000, "step": 500}),
        ('{ start = "ms", step = 0.5 }', {"ms": 1_796_034_540_000}),
        ('{ start = "list" }', {"list": [1_796_034_540_000, 1_796_034_540_500]}),
    ],
)
def test_the_step_of_columns_is_in_the_unit_of_their_start(batch: str, times: dict[str, Any]) -> None:
    toml = f'topic = "{{sensor}}"\nbatch = {batch}\nfields = {{ velocity_rms = "v" }}'
    found = readings(toml, "vb", {**times, "v": [1, 2]})
    assert [each.time_us for each in found] == [1_796_034_540_000_000, 1_796_034_540_500_000]


def test_the_body_is_the_event_with_what_was_mapped() -> None:
    found = reading(
        'topic = "{sensor}"\nfields = { level = ["a", "g"], kurtosis = ["k", "excess"] }', "vb", {"a": 1, "k": 0}
    )
    assert json.loads(found.body) == {
        "eventType": "VibrationRecorded",
        "timestamp": "2026-11-30T10:31:40Z",
        "eventId": found.event_id,
        "data": {"sensorId": "vb", "vibrationLevel": G, "kurtosis": 3, "unit": "m/s²", "sensorUnit": "g"},
    }
    assert (found.time_us, found.time_from) == (RECEIVED_US, "received")
