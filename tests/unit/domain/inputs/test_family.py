from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.inputs.family import MAX_MESSAGE_BYTES, Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Status
from tests.unit.domain.inputs.trying import RECEIVED_NS, brief, family, message, outcome, reading

SEVERAL = """
[[inputs]]
name = "metrics"
topic = "plant/{sensor}"
where = { type = ["metrics", "m"], "meta.port" = 2 }
fields = { velocity_rms = "v" }
[[inputs]]
name = "battery"
topic = "plant/{sensor}"
where = { type = "metrics", battery = true }
fields = { temperature = "t" }
[[inputs]]
name = "text"
topic = "plant/{sensor}"
format = "value"
where = { value = "on" }
status = { path = "value", online = ["on", "1"], offline = "off" }
"""


@pytest.mark.parametrize(
    ("payload", "input_"),
    [
        ({"type": "metrics", "meta": {"port": 2}, "v": 1}, "metrics"),
        ({"type": "m", "meta": {"port": 2.0}, "v": 1}, "metrics"),
        ({"type": "m", "meta": {"port": "2"}, "v": 1}, "metrics"),
        ({"type": "metrics", "battery": True, "t": 1}, "battery"),
        (b"on", "text"),
    ],
)
def test_the_first_input_whose_where_holds_reads_a_message(payload: Any, input_: str) -> None:
    assert outcome(SEVERAL, "plant/vb", payload).input == input_


def test_a_message_that_no_where_holds_for_is_left_out_and_the_reasons_are_said() -> None:
    out = outcome(SEVERAL, "plant/vb", {"type": "other", "battery": True})
    assert (out.input, out.is_ignored, out.rejected) == (None, True, [])
    assert [(each.input, each.reason) for each in out.ignored] == [
        ("metrics", "type is 'other'"),
        ("battery", "type is 'other'"),
        ("text", """value is '{"type": "other", "battery": true}'"""),
    ]


def test_a_condition_may_be_about_a_level_of_the_topic() -> None:
    toml = 'topic = "{kind}/{sensor}"\nwhere = { kind = "data" }\nfields = { velocity_rms = "v" }'
    assert outcome(toml, "data/vb", {"v": 1, "kind": "x"}).readings
    assert outcome(toml, "meta/vb", {"v": 1, "kind": "data"}).is_ignored


@pytest.mark.parametrize(
    ("topic", "payload", "reason", "says"),
    [
        ("other", {"v": 1}, "not_understood", "no input's topic fits"),
        ("a/vb", {"x": 1}, "not_understood", "none of its paths is in the message"),
        ("a/vb", b"hello", "not_json", "not JSON"),
        ("a/vb", b"", "empty", "no payload"),
        ("a/", {"v": 1}, "bad_id", "cannot be a sensor's id"),
        ("a/" + "x" * 200, {"v": 1}, "bad_id", "cannot be a sensor's id"),
        ("a/x\ty", {"v": 1}, "bad_id", "cannot be a sensor's id"),
        ("a/vb", {"end_device_ids": {}, "uplink_message": {}}, "not_understood", 'preset = "ttn"'),
        ("zigbee2mqtt/pump", {"v": 1}, "not_understood", 'preset = "zigbee2mqtt"'),
        ("s", [{"bn": "a", "n": "x", "v": 1}], "not_understood", 'preset = "senml"'),
    ],
)
def test_a_message_that_no_input_understands_is_a_dead_letter(topic: str, payload: Any, reason: str, says: str) -> None:
    sent = message(topic, payload)
    out = family('topic = "a/{sensor}"\nfields = { velocity_rms = "v" }').read(sent, Memory())
    (rejected,) = out.rejected
    assert (rejected.reason, rejected.payload) == (reason, sent.payload)
    assert says in rejected.detail


def test_of_a_huge_message_only_the_beginning_is_kept() -> None:
    out = outcome('topic = "{sensor}"\nfields = { level = "v" }', "vb", b"[" * (MAX_MESSAGE_BYTES + 1))
    assert out.rejected[0].reason == "too_large"
    assert len(out.rejected[0].payload) < 100_000


EACH = """
topic = "gw"
each = "devices"
where_each = { status = "ok" }
sensor = "{name}"
place = { site = "{site.name}", machine = "pump" }
time = "at"
fields = { velocity_rms = "v" }
"""


def test_elements_take_what_they_do_not_say_from_the_whole_message() -> None:
    devices = [{"name": "a", "v": 1, "status": "ok"}, {"name": "b", "v": 2, "status": "lost"}, {"status": "ok"}]
    out = outcome(EACH, "gw", {"site": {"name": "North"}, "at": 1_796_034_600, "devices": devices})
    assert brief(out.readings) == [("a", 1, {"velocity_rms": 1})]
    assert out.readings[0].place == {"site": "North", "machine": "pump"}
    assert out.readings[0].time_from == "message"
    assert out.filtered == 2


COMMON = """
topic = "{sensor}"
each = "axes"
sensor = "{sensor}-{axis}"
fields = { velocity_rms = ["v.rms", "@unit"], temperature = "temp" }
"""


def test_what_no_element_has_belongs_to_all_that_measure_something() -> None:
    axes = [{"axis": "x", "v": {"rms": 1}}, {"axis": "y", "v": {"rms": 2}}, {"axis": "z"}]
    out = outcome(COMMON, "vb", {"unit": "cm/s", "temp": 41, "axes": axes})
    assert brief(out.readings) == [
        ("vb-x", 10, {"velocity_rms": 10, "temperature": 41}),
        ("vb-y", 20, {"velocity_rms": 20, "temperature": 41}),
    ]


def test_what_one_element_has_is_not_made_up_for_the_others() -> None:
    axes = [{"axis": "x", "v": {"rms": 1}, "temp": 35}, {"axis": "y", "v": {"rms": 2}}]
    out = outcome(COMMON, "vb", {"temp": 60, "axes": axes})
    assert brief(out.readings) == [
        ("vb-x", 1, {"velocity_rms": 1, "temperature": 35}),
        ("vb-y", 2, {"velocity_rms": 2}),
    ]


def test_elements_may_be_within_a_text_or_texts_themselves() -> None:
    toml = 'topic = "gw"\neach = "body"\nsensor = "{id}"\nfields = { velocity_rms = "v" }'
    for body in ('[{"id": 1, "v": 1}, {"id": 2, "v": 2}]', ['{"id": 1, "v": 1}', '{"id": 2, "v": 2}']):
        out = outcome(toml, "gw", {"body": body})
        assert [(each.sensor, each.level) for each in out.readings] == [("1", 1), ("2", 2)]


def test_an_element_without_a_sensor_makes_a_dead_letter_and_the_others_are_used() -> None:
    devices = [{"name": "a", "v": 1, "status": "ok"}, *[{"v": 2, "status": "ok"}] * 5]
    out = outcome(EACH, "gw", {"devices": devices})
    assert [each.sensor for each in out.readings] == ["a"]
    (rejected,) = out.rejected
    assert "and 2 more" in rejected.detail


@pytest.mark.parametrize(
    ("each", "payload"),
    [
        ("*", {"a": {"v": 1}, "b": {"v": 2}}),
        ("*", {"a": [{"v": 1}], "b": [{"v": 2}]}),
        ("all", {"all": {"a": {"v": 1}, "b": {"v": 2}}}),
        ("all.*", {"all": {"a": {"v": 1}, "b": {"v": 2}}}),
    ],
)
def test_elements_may_be_keyed_by_device(each: str, payload: Any) -> None:
    out = outcome(
        f'topic = "gw"\neach = "{each}"\nsensor = "{{key}}"\nfields = {{ velocity_rms = "v" }}', "gw", payload
    )
    assert [(each.sensor, each.level) for each in out.readings] == [("a", 1), ("b", 2)]


def test_a_message_may_be_the_array_or_its_only_element() -> None:
    toml = 'topic = "gw"\neach = "."\nsensor = "{id}"\nfields = { velocity_rms = "v" }'
    assert len(outcome(toml, "gw", [{"id": 1, "v": 1}, {"id": 2, "v": 2}]).readings) == 2
    assert len(outcome(toml, "gw", {"id": 1, "v": 1}).readings) == 1
    assert outcome(toml, "gw", []).is_ignored


def test_too_many_elements_are_a_dead_letter() -> None:
    out = outcome('topic = "gw"\neach = "."\nsensor = "x"\nfields = { level = "v" }', "gw", [0] * 10_001)
    assert out.rejected[0].reason == "too_many"


@pytest.mark.parametrize(
    ("said", "status"), [("Online", "online"), (True, "online"), ("Offline", "offline"), (0, "offline")]
)
def test_a_sensor_may_say_that_it_is_there(said: Any, status: Any) -> None:
    toml = """
        topic = "tele/{sensor}/LWT"
        status = { path = "state", online = ["Online", true], offline = ["Offline", 0] }
        """
    assert outcome(toml, "tele/vb/LWT", {"state": said}).statuses == [Status("1", "vb", {}, status)]
    assert outcome(toml, "tele/vb/LWT", {"state": "asleep"}).is_ignored
    assert outcome(toml, "tele/vb/LWT", {}).rejected


def test_a_message_that_is_delivered_again_makes_the_same_ids() -> None:
    toml = 'topic = "{sensor}"\naxes = ["x", "y"]\ntime = "t"\nfields = { level = "{axis}" }'
    sent = {"t": 1_796_034_600, "x": 1, "y": 2}
    first, again = (outcome(toml, "vb", sent).readings for _ in range(2))
    assert [each.event_id for each in first] == [each.event_id for each in again]
    assert len({each.event_id for each in first}) == 2
    other = outcome(toml, "vb", {**sent, "note": 1}).readings
    assert {each.event_id for each in first}.isdisjoint(each.event_id for each in other)


def test_equal_messages_without_a_time_are_two_readings() -> None:
    inputs = family('topic = "{sensor}"\nformat = "value"\nfields = { velocity_rms = "value" }')
    sent = message("vb", "2.5")
    later = message("vb", "2.5").__class__(sent.topic, sent.payload, RECEIVED_NS + 1_000_000)
    ids = {inputs.read(each, Memory()).readings[0].event_id for each in (sent, later, sent)}
    assert len(ids) == 2


def test_a_message_may_name_its_event() -> None:
    toml = 'topic = "{sensor}"\nevent_id = "id"\nfields = { velocity_rms = "v" }'
    assert reading(toml, "vb", {"id": "A-1", "v": 1}).event_id == "A-1"
    assert len(reading(toml, "vb", {"id": "A\n1" * 99, "v": 1}).event_id) < 100


def test_the_event_of_our_own_sensors_is_one_more_input() -> None:
    event = {
        "eventType": "VibrationRecorded",
        "timestamp": "2026-11-30T10:30:00Z",
        "eventId": "e-1",
        "data": {"sensorId": "vb", "vibrationLevel": 1.0, "unit": "in/s", "kurtosis": 3},
    }
    spec = family('topic = "vibration/{machine}/{sensor}/reading"\nfields = { level = "v" }').specs[0]
    inputs = Family([replace(spec, is_event=True)])
    out = inputs.read(message("vibration/pump/vb/reading", event), Memory())
    (found,) = out.readings
    assert (found.sensor, found.level, found.unit, found.event_id) == ("vb", 25.4, "mm/s", "e-1")
    assert (found.place, found.quantities) == ({"machine": "pump"}, {"kurtosis": 3})
    assert inputs.read(message("vibration/pump/other/reading", event), Memory()).rejected[0].reason == "topic_mismatch"


def test_numbers_that_no_field_uses_are_kept_for_each_input() -> None:
    inputs = family('name = "n"\ntopic = "{sensor}"\ntime = "t"\nfields = { velocity_rms = "v.rms" }')
    sent = {"t": 1_796_034_600, "v": {"rms": 1, "peak": 2}, "rssi": [-5, {"snr": 1}], "spectrum": [1] * 50, "name": "x"}
    inputs.read(message("vb", sent), Memory())
    assert list(inputs.unused["n"]) == ["v.peak", "rssi.0", "rssi.1.snr", "spectrum"]


def test_what_to_subscribe_to_is_named_once() -> None:
    inputs = family(
        SEVERAL + '[[inputs]]\nname = "x"\ntopics = ["a/{rest...}"]\nsensor = "s"\nfields = { level = "v" }'
    )
    assert inputs.filters == ["plant/+", "a/#"]


def test_numbers_within_a_text_that_no_field_uses_are_told_too() -> None:
    inputs = family('topic = "{sensor}"\nfields = { velocity_rms = "body.v" }')
    seen = message("vb", {"body": '{"v": 2.5, "peak": 7}'})
    assert inputs.unused_in(seen, inputs.read(seen, Memory())) == ["body.peak"]
