from typing import Any

import cbor2
import pytest

from gateway.domain.inputs.explain import steps
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.rows import pattern_of
from tests.unit.domain.inputs.trying import RECEIVED_US, G, brief, family, message, outcome, readings

TAGS = """
topic = "scada"
[inputs.rows]
each = "values"
name = "id"
value = "v"
time = "t"
unit = "u"
where = { q = true }
names = "Line.{machine}.{sensor}.{field}"
fields = { X_VRMS = ["x velocity_rms"], Y_VRMS = ["y velocity_rms", "in/s"], TEMP = ["temperature"], ARMS = ["level"] }
"""
T0 = 1_796_034_600_000


def tag(name: str, value: Any, **changes: Any) -> dict[str, Any]:
    return {"id": f"Line.{name}", "v": value, "q": True, "t": T0, **changes}


def test_rows_of_one_sensor_and_time_are_one_reading_an_axis() -> None:
    rows = [
        tag("m1.a.X_VRMS", 2),
        tag("m1.a.Y_VRMS", 0.1),
        tag("m1.a.TEMP", 104, u="°F"),
        tag("m1.a.X_VRMS", 3, t=T0 + 1000),
        tag("m1.b.ARMS", 0.5, u="g"),
        tag("m1.b.X_VRMS", 9, q=False),
        tag("m1.b.OTHER", 1),
    ]
    out = outcome(TAGS, "scada", {"values": rows})
    assert brief(out.readings) == [
        ("a-x", None, {"velocity_rms": 2, "temperature": pytest.approx(40)}),
        ("a-y", None, {"velocity_rms": pytest.approx(2.54), "temperature": pytest.approx(40)}),
        ("b", 0.5 * G, {}),
        ("a-x", None, {"velocity_rms": 3}),
    ]
    assert out.readings[0].place == {"machine": "m1"}
    assert out.unused == ["Line.m1.b.OTHER"]
    assert out.filtered == 2


def test_a_message_without_a_row_that_means_something_is_left_out() -> None:
    out = outcome(TAGS, "scada", {"values": [tag("m1.b.OTHER", 1)]})
    assert out.is_ignored
    assert out.unused == ["Line.m1.b.OTHER"]


def test_a_message_without_rows_is_a_dead_letter() -> None:
    assert outcome(TAGS, "scada", {"valeus": []}).rejected[0].reason == "not_understood"


def test_rows_may_be_the_members_of_an_object() -> None:
    toml = """
        topic = "scada"
        [inputs.rows]
        each = "tags"
        name = "key"
        value = "value"
        names = "{sensor}/{axis}/{field}"
        fields = { V = ["velocity_rms"] }
        """
    assert brief(readings(toml, "scada", {"tags": {"a/H/V": 2, "b/V/V": {"value": 3}}})) == [
        ("a-h", 2, {"velocity_rms": 2}),
        ("b-v", 3, {"velocity_rms": 3}),
    ]


@pytest.mark.parametrize(
    ("names", "name", "captured"),
    [
        ("{sensor}_{field}", "pump_7_x_rms", {"sensor": "pump_7", "field": "x_rms"}),
        ("{a}/{sensor}/{field}", "l/p/q/rms", {"a": "l", "sensor": "p/q", "field": "rms"}),
        ("{field}@{sensor}", "rms@p@q", {"field": "rms", "sensor": "p@q"}),
        ("{a...}.{sensor}.{field}", "l.m.p.rms", {"a": "l.m", "sensor": "p", "field": "rms"}),
        ("{field}", "x_rms", {"field": "x_rms"}),
    ],
)
def test_names_are_taken_apart(names: str, name: str, captured: dict[str, str]) -> None:
    found = pattern_of(names, ["rms", "x_rms"]).fullmatch(name)
    assert found is not None
    assert found.groupdict() == captured


@pytest.mark.parametrize("names", ["{sensor}", "{field}/{field}"])
def test_names_need_a_field(names: str) -> None:
    with pytest.raises(ValueError, match=r"field|twice"):
        pattern_of(names, ["x"])


SENML = """
topic = "senml/{device}"
rows = { senml = true, names = "{sensor}:{field}", fields = { x = ["x level"], temperature = ["temperature"] } }
"""


def test_senml_has_bases_that_hold_for_what_follows() -> None:
    pack = [
        {"bn": "urn:dev:1:", "bt": 1_796_034_600, "bu": "m/s2", "bv": 1, "n": "x", "v": 0.5},
        {"n": "temperature", "u": "Cel", "v": 40},
        {"n": "x", "t": -60},
        {"bn": "urn:dev:2:", "n": "x", "v": 2, "vs": "text"},
        {"n": "other", "vs": "text"},
    ]
    assert brief(readings(SENML, "senml/1", pack)) == [
        ("urn:dev:1-x", 1, {}),
        ("urn:dev:1-x", 1.5, {"temperature": 41}),
        ("urn:dev:2-x", 3, {}),
    ]


def test_small_times_of_senml_are_relative_to_now() -> None:
    found = readings(SENML, "senml/1", [{"n": "a:x", "u": "m/s2", "v": 1, "t": -5}, {"n": "b:x", "v": 1}])
    assert [(each.sensor, each.time_us - RECEIVED_US, each.time_from) for each in found] == [
        ("a-x", -5_000_000, "received"),
        ("b-x", 0, "received"),
    ]


def test_senml_in_cbor_has_numbers_for_its_names() -> None:
    pack = [{-2: "a:", -3: 1_796_034_600, 0: "x", 1: "m/s2", 2: 1.5}]
    toml = SENML + 'format = "cbor"\n'
    (found,) = readings(toml, "senml/1", cbor2.dumps(pack))
    assert (found.sensor, found.level, found.time_from) == ("a-x", 1.5, "message")


KEEPING = """
topic = "delta"
[inputs.rows]
each = "rows"
name = "name"
time = "time"
names = "{sensor}/{field}"
keep_last = true
fields = { X = ["x level", "g"], VX = ["x velocity_rms"], Y = ["y level", "g"], T = ["temperature"] }
"""


def test_what_has_not_changed_counts_again_for_an_axis_that_has() -> None:
    inputs, memory = family(KEEPING), Memory()

    def heard(seconds: int, **values: float) -> list[Any]:
        rows = [{"name": f"a/{name}", "value": value, "time": T0 + seconds * 1000} for name, value in values.items()]
        found: list[Any] = brief(inputs.read(message("delta", {"rows": rows}), memory).readings)
        return found

    heard(0, X=1, VX=2, Y=3, T=40)
    memory = Memory({key: blob for key, blob in memory.changes().items() if blob is not None})  # as after a restart
    assert heard(5, X=2) == [("a-x", 2 * G, {"velocity_rms": 2, "temperature": 40})]
    assert heard(6, T=41) == [("a", None, {"temperature": 41})]
    assert heard(7, VX=4) == [("a-x", 2 * G, {"velocity_rms": 4, "temperature": 41})]
    assert heard(1, VX=9) == [("a-x", None, {"velocity_rms": 9})]
    assert memory.changes().keys() == {"last\x1f1\x1fa"}


def test_one_id_on_two_machines_is_two_sensors_in_one_message_and_in_what_is_kept() -> None:
    inputs, memory = family(KEEPING.replace("{sensor}/", "{machine}/{sensor}/")), Memory()

    def heard(**values: float) -> list[Any]:
        rows = [{"name": name.replace("_", "/"), "value": value, "time": T0} for name, value in values.items()]
        found = inputs.read(message("delta", {"rows": rows}), memory).readings
        return sorted((each.place["machine"], each.event.data.temperature or 0) for each in found)

    assert heard(fan_DE_T=40, pump_DE_T=50) == [("fan", 40), ("pump", 50)]
    assert heard(fan_DE_X=1, pump_DE_X=2) == [("fan", 40), ("pump", 50)]


def test_too_many_rows_are_a_dead_letter() -> None:
    out = outcome(TAGS, "scada", {"values": [{}] * 10_001})
    assert out.rejected[0].reason == "too_many"


def test_a_row_without_a_sensor_is_said_and_the_others_are_used() -> None:
    toml = """
        topic = "scada"
        sensor = "{where}"
        rows = { each = ".", name = "n", value = "v", fields = { V = ["velocity_rms"] } }
        """
    out = outcome(toml, "scada", [{"n": "V", "v": 1, "where": "a"}, {"n": "V", "v": 1}])
    assert brief(out.readings) == [("a", 1, {"velocity_rms": 1})]
    assert "nothing in the message says what sensor" in out.rejected[0].detail


def test_values_of_rows_are_used_and_what_stands_beside_them_is_told() -> None:
    toml = 'topic = "{sensor}"\nrows = { each = "vals", name = "n", value = "v", fields = { a = ["level"] } }'
    inputs = family(toml)
    seen = message("vb", {"battery": 3.6, "vals": [{"n": "a", "v": 1}]})
    assert inputs.unused_in(seen, inputs.read(seen, Memory())) == ["battery"]


OF_ELEMENTS = """
topic = "cloud"
each = "assets"
where_each = { live = true }
sensor = "{asset}"
time = "at"
[inputs.rows]
each = "values"
name = "{what}.{point}"
value = "value"
fields = { "vib.rms" = ["velocity_rms"], "vib.temp" = ["temperature"] }
"""


def asset(name: str, *, live: bool = True, at: int = T0, **points: float) -> dict[str, Any]:
    rows = [{"point": point, "value": value} for point, value in points.items()]
    return {"asset": name, "live": live, "what": "vib", "at": at, "values": rows}


def test_each_element_has_rows_of_its_own() -> None:
    assets = [asset("a", rms=2, temp=40), asset("b", rms=3, at=T0 + 1000, other=1), asset("c", live=False, rms=9)]
    out = outcome(OF_ELEMENTS, "cloud", {"assets": assets})
    assert brief(out.readings) == [
        ("a", 2, {"velocity_rms": 2, "temperature": 40}),
        ("b", 3, {"velocity_rms": 3}),
    ]
    assert [reading.time_us for reading in out.readings] == [T0 * 1000, (T0 + 1000) * 1000]
    assert out.unused == ["vib.other"]
    assert out.filtered == 2


def test_the_rows_of_all_elements_are_counted_together() -> None:
    assets = [asset(f"a{at}", rms=2, temp=40) for at in range(5001)]
    out = outcome(OF_ELEMENTS, "cloud", {"assets": assets})
    assert (out.readings, [each.reason for each in out.rejected]) == ([], ["too_many"])


def test_rows_of_elements_are_explained() -> None:
    content = {"assets": [asset("a", rms=2), asset("b", temp=40)]}
    route = next(iter(family(OF_ELEMENTS).routes("cloud")))
    assert [(step.path, step.value) for step in steps(route, content)] == [("vib.rms", 2), ("vib.temp", 40)]
