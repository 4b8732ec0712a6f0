import base64
import gzip
import json
import struct
import tomllib
from typing import Any, NamedTuple

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.learning.learned import configuration, learned
from gateway.domain.inputs.learning.proposal import text
from gateway.domain.inputs.learning.recognising import recognised
from gateway.domain.inputs.learning.unexplained import is_modbus
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Reading, Waveform
from gateway.domain.inputs.waveform_reading import with_features
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder
from tests.sparkplug import DOUBLE, field, metric, payload, properties

NOW_S = 1_794_909_600
NOW = "2026-11-17T10:00:00Z"
G = 9.80665


class Tried(NamedTuple):
    text: str
    tables: list[dict[str, Any]]
    readings: list[Reading]
    waveforms: list[Waveform]

    def values(self) -> dict[str, dict[str, float]]:
        """Return what each sensor measured, and its level."""
        return {
            reading.sensor: {**reading.values, **({} if reading.level is None else {"level": round(reading.level, 4)})}
            for reading in self.readings
        }


def tried(*messages: tuple[str, object]) -> Tried:
    """Learn from messages, and read them with what was learned."""
    heard = [
        Message(topic, content if isinstance(content, bytes) else json.dumps(content).encode(), NOW_S * 10**9)
        for topic, content in messages
    ]
    found = configuration(learned(heard))
    tables = tomllib.loads(found).get("inputs", [])
    problems: list[str] = []
    family = Family(compiled(tables, load_decoder, problems))
    assert problems == []
    memory = Memory()
    outcomes = [family.read(message, memory) for message in heard]
    readings = [reading for out in outcomes for reading in out.readings]
    return Tried(found, tables, readings, [block for out in outcomes for block in out.waveforms])


def test_an_uplink_with_three_axes() -> None:
    decoded = {f"{name}{axis}": value for axis in "XYZ" for name, value in (("accRms", 0.05), ("velRms", 1.5))}
    found = tried(("application/3/device/70b3d5000000a1/event/up", {"time": NOW, "object": {**decoded, "temp": 31.5}}))
    assert found.values() == {
        f"70b3d5000000a1-{axis}": {"velocityRms": 1.5, "temperature": 31.5, "level": round(0.05 * G, 4)}
        for axis in "xyz"
    }
    assert found.readings[0].time_us == NOW_S * 1_000_000


def test_devices_on_topics_that_differ_are_one_input() -> None:
    found = tried(*[(f"plant/{name}/vibration", {"velocity_rms": 2.5}) for name in ("north fan", "south fan")])
    assert [table["topic"] for table in found.tables] == ["plant/{sensor}/vibration"]
    assert found.values() == {name: {"velocityRms": 2.5, "level": 2.5} for name in ("north fan", "south fan")}


def test_sensors_of_the_same_name_in_two_places_are_told_apart() -> None:
    found = tried(*[(f"line{line}/pump1/vib", {"velocity_rms": 2.5}) for line in (1, 2)])
    assert set(found.values()) == {"line1/pump1", "line2/pump1"}


def test_kinds_of_messages_on_one_topic_are_apart() -> None:
    found = tried(
        ("vib/dev-1", {"type": "features", "id": "dev-1", "acc_rms_g": 0.2}),
        ("vib/dev-1", {"type": "status", "id": "dev-1", "uptime": 77}),
    )
    assert [table["where"] for table in found.tables] == [{"type": "features"}]
    assert found.values() == {"dev-1": {"level": round(0.2 * G, 4)}}


def test_an_array_of_devices_of_which_one_is_not_connected() -> None:
    found = tried(
        (
            "rack/values",
            {
                "devices": [
                    {"name": "pump 3", "VelX": 1.5, "VelZ": 2.5, "Status": "Connected", "at": NOW},
                    {"name": "pump 4", "VelX": 0, "VelZ": 0, "Status": "Disconnected", "at": NOW},
                ]
            },
        )
    )
    assert set(found.values()) == {"pump 3-x", "pump 3-z"}


def test_an_object_keyed_by_device() -> None:
    reading = {"acc_rms": 0.25, "vel_rms": 2.0}
    found = tried(("gw/all", {"time": NOW_S, "sensors": {"S1": reading, "S2": reading}}))
    assert found.tables[0]["each"] == "sensors"
    assert set(found.values()) == {"S1", "S2"}


def test_tags_whose_names_have_the_sensor_in_them() -> None:
    rows = [
        {"id": f"Works.Line.pump{pump}.{field}", "v": value, "q": True, "t": NOW_S * 1000}
        for pump in (1, 2)
        for field, value in (("X_RMS_Velocity_ips", 0.1), ("Temperature_F", 104))
    ]
    rows.append({"id": "Works.Line.pump2.Z_RMS_Velocity_ips", "v": 0, "q": False, "t": NOW_S * 1000})
    found = tried(("kep", {"values": rows}))
    assert found.tables[0]["rows"]["names"] == "Works.Line.{sensor}.{field}"
    assert found.values() == {
        f"pump{pump}-x": {"velocityRms": pytest.approx(2.54), "temperature": pytest.approx(40), "level": 2.54}
        for pump in (1, 2)
    }


def test_tags_with_a_source_and_rows_with_an_axis() -> None:
    sourced = tried(("edge/tags", [{"source": "QM-07", "tagName": "x_rms_velocity_mm_s", "dataValue": 2.5}]))
    assert sourced.values() == {"QM-07-x": {"velocityRms": 2.5, "level": 2.5}}
    axes = [{"type": "velocity_rms", "axis": axis, "value": 1.5, "unit": "mm/s"} for axis in "xy"]
    assert set(tried(("plant/fan-3", {"values": axes})).values()) == {"fan-3-x", "fan-3-y"}


def test_an_object_whose_names_are_tags_of_several_sensors() -> None:
    found = tried(("opc/all", {"Pump1.VelocityRMS": 2.5, "Pump1.Temperature": 40, "Pump2.VelocityRMS": 1.5, "n": 3}))
    assert found.values() == {
        "Pump1": {"velocityRms": 2.5, "temperature": 40.0, "level": 2.5},
        "Pump2": {"velocityRms": 1.5, "level": 1.5},
    }


def test_elements_that_are_axes_of_one_sensor() -> None:
    axes = [{"axis": axis, "vel_rms": 2.5} for axis in "xy"]
    assert set(tried(("s/1", {"serial": "SN0042", "axes": axes})).values()) == {"SN0042-x", "SN0042-y"}


def test_numbered_channels_are_axes() -> None:
    found = tried(("daq/unit-1", {"ch1_acc_rms_g": 0.1, "ch2_acc_rms_g": 0.2}))
    assert set(found.values()) == {"unit-1-1", "unit-1-2"}


@pytest.mark.parametrize("level", ["AABBCCDDEEFF", "AA:BB:CC:DD:EE:FF", "fan"])
def test_a_level_is_open_that_is_an_address_or_what_the_message_calls_itself(level: str) -> None:
    found = tried((f"home/ble/{level}", {"device_id": level, "acc_rms_g": 0.1}))
    assert (found.tables[0]["topic"], set(found.values())) == ("home/ble/{sensor}", {level})


def test_a_velocity_too_small_for_its_acceleration_is_in_metres() -> None:
    values = tried(("iol/port3", {"a_RMS": 1.2, "v_RMS": 0.0023})).values()
    assert values["port3"]["velocityRms"] == pytest.approx(2.3)


def test_senml_says_names_and_units() -> None:
    pack = [
        {"bn": "urn:dev:ow:10e2073a01080063:", "bt": NOW_S, "n": "x", "u": "m/s2", "v": 2.0},
        {"n": "t", "u": "Cel", "v": 40},
    ]
    found = tried(("senml/1", pack))
    assert found.values() == {"urn:dev:ow:10e2073a01080063-x": {"level": 2.0, "temperature": 40.0}}


def test_a_topic_for_each_value_and_axis() -> None:
    found = tried(*[(f"hall2/pump3/vibration/{axis}/velocity_rms", b"2.5") for axis in "xyz"])
    assert [table["topic"] for table in found.tables] == ["{area}/{sensor}/vibration/{axis}/velocity_rms"]
    assert set(found.values()) == {"pump3-x", "pump3-y", "pump3-z"}


def test_discovery_messages_say_names_and_units() -> None:
    found = tried(
        (
            "homeassistant/sensor/node7/v/config",
            {"name": "Velocity RMS", "stat_t": "node7/out", "unit_of_meas": "in/s", "val_tpl": "{{ value_json.s1 }}"},
        ),
        ("node7/out", {"s1": 0.1, "s2": 17}),
    )
    assert found.values() == {"node7": {"velocityRms": pytest.approx(2.54), "level": 2.54}}


@pytest.mark.parametrize(
    ("topic", "content", "expected"),
    [
        ("csv/log", b"time,sensor,x_rms_g,temp_c\n2026-11-17T10:00:00Z,S-1,0.5,40", {"S-1-x": (0.5 * G, 40.0)}),
        ("csv/bare", b"1794909600;S-1;0.31;2.5;40.5", {"S-1": (0.31 * G, 40.5)}),
        ("ul/dev-9/attrs", b"acc|0.5|temp|40", {"dev-9": (0.5 * G, 40.0)}),
        ("pairs/x", b"id=VB1;rms_g=0.5;temp=40", {"VB1": (0.5 * G, 40.0)}),
        ("tele/line", b"vib,sensor=S-1 acc_rms_g=0.5,temp=40 1794909600000000000", {"S-1": (0.5 * G, 40.0)}),
        ("py/S-1", b"{'acc_rms_g': 0.5, 'temp': 40, 'ok': True}", {"S-1": (0.5 * G, 40.0)}),
        ("mp/S-1", msgspec.msgpack.encode({"acc_rms_g": 0.5, "temp": 40}), {"S-1": (0.5 * G, 40.0)}),
        ("gz/S-1", gzip.compress(b'{"acc_rms_g": 0.5, "temp": 40}', mtime=0), {"S-1": (0.5 * G, 40.0)}),
    ],
)
def test_formats_are_told_by_their_look(topic: str, content: bytes, expected: dict[str, tuple[float, float]]) -> None:
    values = tried((topic, content)).values()
    assert list(values) == list(expected)
    for sensor, (level, temperature) in expected.items():
        assert values[sensor]["level"] == pytest.approx(level, abs=1e-4)
        assert values[sensor]["temperature"] == temperature


def test_columns_of_values() -> None:
    found = tried(("batch/vb-1", {"t0": NOW, "dt": 5, "vrms": [2.0, 2.1, 2.2, 2.3], "temp": 40}))
    assert [reading.time_us - NOW_S * 1_000_000 for reading in found.readings] == [0, 5_000_000, 10_000_000, 15_000_000]


def test_a_text_of_several_numbers_with_labels() -> None:
    found = tried(("m/9", {"sensorID": "1234", "value": "1.5|2.5|40", "labels": "X Speed|Y Speed|Temperature"}))
    assert found.values() == {
        f"1234-{axis}": {"velocityRms": value, "temperature": 40.0, "level": value}
        for axis, value in (("x", 1.5), ("y", 2.5))
    }


def test_a_block_of_samples_in_numbers_and_in_bytes() -> None:
    numbers = {"id": "W-1", "fs": 500, **{f"acc_{axis}": [0.1, -0.1] * 20 for axis in "xyz"}}
    block = base64.b64encode(struct.pack("<40h", *range(40))).decode()
    as_bytes = {"id": "W-2", "rate": 500, "format": "int16", "samples": block, "scale": 0.01, "unit": "m/s2"}
    found = tried(("wf/1", numbers), ("block/1", as_bytes))
    assert {(block.sensor, block.rate, len(block.samples)) for block in found.waveforms} == {
        *((f"W-1-{axis}", 500.0, 40) for axis in "xyz"),
        ("W-2", 500.0, 40),
    }


def test_a_rate_that_the_message_does_not_say_is_left_to_the_user() -> None:
    found = tried(("wf/1", {"id": "W-1", "samples": [0.1, -0.1] * 20}))
    assert "does not say how many samples a second" in found.text


def test_sparkplug_births_say_names_and_units() -> None:
    unit = field(9, properties(engUnit="in/s"))
    birth = payload(metric("fan 2/DE/Velocity RMS X", 0.1, DOUBLE, alias=1, more=unit), seq=1)
    data = payload(metric(value=0.2, alias=1), seq=2)
    found = tried(("spBv1.0/works/DBIRTH/edge1/vib", birth), ("spBv1.0/works/DDATA/edge1/vib", data))
    assert [reading.level for reading in found.readings] == [pytest.approx(2.54), pytest.approx(5.08)]
    assert {reading.sensor for reading in found.readings} == {"fan 2/DE-x"}


@pytest.mark.parametrize(
    ("content", "level"),
    [
        ({"ax": 0.1, "ay": -0.2, "az": 9.75}, 9.75),
        ({"ax": 0.01, "ay": -0.02, "az": 1.0}, G),
        ({"ax": 10, "ay": -20, "az": 1000}, G),
        ({"acc_rms": 3.0, "vel_rms": 2.2}, 3.0),
        ({"acc_rms": 0.3, "vel_rms": 2.2}, 0.3 * G),
        ({"acc_rms": 0.3, "unit": "m/s^2"}, 0.3),
        ({"acc_rms": 300, "acc_unit": "mg", "velocity_rms": 2.2}, 0.3 * G),
    ],
)
def test_the_unit_of_an_acceleration_is_said_or_follows_from_physics(content: object, level: float) -> None:
    assert tried(("a/dev-1", content)).readings[-1].level == pytest.approx(level)


def test_kurtosis_below_one_is_an_excess_one() -> None:
    found = [tried(("a/dev-1", {"acc_rms_g": 0.1, "kurtosis": kurtosis})) for kurtosis in (0.25, 3.5)]
    assert [each.readings[0].values["kurtosis"] for each in found] == [3.25, 3.5]


def test_whole_numbers_are_tenths_where_the_temperature_could_not_be_otherwise() -> None:
    values = tried(("port/VV-1", {"v-Rms": 25, "a-Rms": 8, "Temperature": 412})).values()
    assert values == {"VV-1": {"velocityRms": 2.5, "level": pytest.approx(0.8), "temperature": pytest.approx(41.2)}}


def test_whole_numbers_are_hundredths_where_the_crest_factor_could_not_be_otherwise() -> None:
    content = {"rms_mg": 95, "velocity": 212, "crest": 326, "kurtosis": -42, "temp": 33_250}
    assert tried(("port/VV-1", content)).values() == {
        "VV-1": {
            "velocityRms": pytest.approx(2.12),
            "crestFactor": pytest.approx(3.26),
            "kurtosis": pytest.approx(2.58),
            "temperature": pytest.approx(33.25),
            "level": round(0.095 * G, 4),
        }
    }


def test_a_speed_with_a_fraction_is_in_hertz() -> None:
    found = tried(
        ("m/motor-1", {"velocity_rms": 2.0, "speed": 24.5}), ("n/motor-2", {"velocity_rms": 2.0, "rpm": 24.5})
    )
    assert [reading.values["rpm"] for reading in found.readings] == [1470.0, 24.5]


def test_a_level_whose_unit_nothing_says_has_that_of_the_same_name_elsewhere() -> None:
    found = tried(("a/b/dev-1", {"acc_rms": 3.0, "vel_rms": 2.2, "n": 1}), ("dev-2", {"acc_rms": 3.0, "k": 1, "l": 1}))
    assert [reading.level for reading in found.readings] == [3.0, 3.0]


def test_an_uptime_is_no_time_and_a_local_time_is_told_by_the_receive_time() -> None:
    uptime = tried(("a/dev-1", {"acc_rms_g": 0.1, "timestamp": 123_456}))
    assert "time" not in uptime.tables[0]
    local = tried(("a/dev-1", {"acc_rms_g": 0.1, "Time": "2026-11-17T12:00:00"}))
    assert (local.tables[0]["timezone"], local.readings[0].time_us) == ("Etc/GMT-2", NOW_S * 1_000_000)
    american = tried(("a/dev-1", {"acc_rms_g": 0.1, "date": "11/17/2026 10:00:00 AM"}))
    assert american.readings[0].time_us == NOW_S * 1_000_000


def test_a_bare_array_is_told_by_its_values() -> None:
    assert tried(("a/dev-1", {"features": [2.0, 5.0, 2.5]})).values() == {
        "dev-1": {"peak": pytest.approx(5.0 * G), "crestFactor": 2.5, "level": round(2.0 * G, 4)}
    }


def test_an_id_of_one_of_a_few_is_put_together_with_the_topics() -> None:
    found = tried(("Asset/B200/Vib", {"asset": "B200", "sensorId": "channel2", "acc_rms_g": 0.1}))
    assert set(found.values()) == {"B200-channel2"}


def test_what_has_no_vibration_in_it_gives_nothing() -> None:
    assert tried(("a/b", {"humidity": 40}), ("c", b"\x00\x01\x02"), ("d", b""), ("e", b"hello")).tables == []


def completed(
    table: dict[str, Any], messages: list[tuple[str, bytes]], names: dict[str, str]
) -> set[tuple[str, float]]:
    """Name words of a layout, as somebody does with a manual in hand, and return sensors with their levels."""
    table["binary"]["layout"] = [
        f"{names.get(word.split(':')[0], word.split(':')[0])}:{word.split(':')[1]}"
        for word in table["binary"]["layout"]
    ]
    family, memory = Family(compiled([table], load_decoder, [])), Memory()
    outcomes = [family.read(Message(topic, content, NOW_S * 10**9), memory) for topic, content in messages]
    return {(reading.sensor, round(reading.level or 0, 3)) for out in outcomes for reading in with_features(out)}


XYZ = {"w1": "ax", "w2": "ay", "w3": "az"}


def modbus(*registers: int) -> bytes:
    frame = bytes([7, 3, 2 * len(registers)]) + struct.pack(f">{len(registers)}h", *registers)
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return frame + struct.pack("<H", crc)


def test_an_answer_of_modbus_is_framed_and_its_slave_is_a_part_of_the_id() -> None:
    message = ("dtu/unit-4/up", modbus(1, 2, 3, 40))
    found = tried(message)
    assert found.readings == []
    assert found.tables[0]["binary"]["layout"][:4] == ["slave:u8", "function:u8", "count:u8", "w1:i16"]
    levels = {(f"unit-4/7-{axis}", round(each * G, 3)) for axis, each in zip("xyz", (1, 2, 3), strict=True)}
    assert completed(found.tables[0], [message], XYZ) == levels


@pytest.mark.parametrize("change", [b"\x01", b""])
def test_a_frame_with_another_checksum_or_length_is_no_modbus(change: bytes) -> None:
    frame = modbus(1, 2, 3)
    assert is_modbus(frame)
    assert not is_modbus(frame[:-1] + (change and bytes([frame[-1] ^ 1])))


def test_bytes_in_a_message_are_framed_for_their_port() -> None:
    block = base64.b64encode(struct.pack(">3h", 1, 2, 3)).decode()
    uplink = {"time": NOW, "fPort": 9, "data": block, "rxInfo": [{"rssi": -90}]}
    message = ("application/3/device/70b3d5000000a1/event/up", json.dumps(uplink).encode())
    table = tried(message).tables[0]
    assert (table["where"], table["binary"]["from"], table["binary"]["encoding"]) == ({"fPort": 9}, "data", "base64")
    assert ("70b3d5000000a1-y", round(2 * G, 3)) in completed(table, [message], XYZ)


def test_records_are_told_by_what_repeats() -> None:
    swings = [axis * (1 + 0.1 * (k % 3)) for k in range(40) for axis in (1, 2, 3)]
    records = b"".join(struct.pack("<I3f", 1000 + k, *swings[3 * k : 3 * k + 3]) for k in range(40))
    message = ("esp/stream-1", records)
    table = tried(message).tables[0]
    assert table["binary"]["layout"] == ["w1:u32", "w2:f32", "w3:f32", "w4:f32"]
    found = completed(table, [message], {"w2": "ax", "w3": "ay", "w4": "az"})
    assert {sensor for sensor, _ in found} == {"stream-1-x", "stream-1-y", "stream-1-z"}


def test_a_payload_in_hex_is_framed() -> None:
    message = ("hex/unit-4", struct.pack(">3h", 1, -2, 3).hex().encode())
    found = completed(tried(message).tables[0], [message], XYZ)
    assert ("unit-4-y", round(-2 * G, 3)) in found


def test_hostile_texts_stay_texts() -> None:
    evil = 'x"\n[mqtt]\nhost = "evil'
    found = tried((f"a/{evil}1/b", {evil: 1, "id": evil, "vel.rms": 2.5, "unit": evil, "type": evil}))
    assert set(tomllib.loads(found.text)) == {"inputs"}


@given(st.text(max_size=40))
def test_a_text_is_read_from_toml_as_it_was(value: str) -> None:
    written = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    assert tomllib.loads(f"a = {text(written)}") == {"a": written}


NAMES = st.sampled_from(
    ["x", "acc", "rms", "id", "time", "value", "v", "values", "unit", "type", "axis", "fs", "data", 'a"b', "{x}", "\n"]
)
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["x", NOW, "1|2", "mm/s"]),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=30,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["a/dev-1", "a/dev-2", "b/x/rms", "spBv1.0/g/NDATA/n", "homeassistant/sensor/a/config", "{x}/+/#", ""]
            ),
            st.binary(max_size=30) | TREES.map(lambda tree: json.dumps(tree).encode()),
        ),
        max_size=5,
    )
)
def test_nothing_that_is_heard_raises_and_what_is_written_is_toml(heard: list[tuple[str, bytes]]) -> None:
    found = configuration(learned([Message(topic, content, NOW_S * 10**9) for topic, content in heard]))
    assert set(tomllib.loads(found)) <= {"inputs"}


def test_samples_of_floats_are_told_from_whole_numbers_and_parts_by_short_names() -> None:
    samples = [0.5, -0.5] * 49 + [0.0, 6e-17]
    parts = [
        ("wf/m3/raw", {"cap": "c17", "i": at, "n": 2, "fs": 1000, "d": base64.b64encode(block).decode()})
        for at, block in enumerate([struct.pack("<50f", *samples[:50]), struct.pack("<50f", *samples[50:])])
    ]
    found = tried(*parts)
    assert found.tables[0]["waveform"]["encoding"] == "base64+f32le"
    (block,) = found.waveforms
    assert list(block.samples) == pytest.approx([each * G for each in samples])


@pytest.mark.parametrize(
    ("content", "format_"),
    [
        (cbor2.dumps({0: "pump-9", 2: {0: 0.31}, -1: 2.4}), "cbor"),
        (cbor2.dumps([{"v": 2.4}]), "cbor"),
        (cbor2.dumps(["fan", 2.4]), "cbor"),
        (msgspec.msgpack.encode([["fan-1", 2.4, 1480], ["fan-2", 1.2, 1490]]), "msgpack"),
        (msgspec.msgpack.encode([{"v": 2.4}]), "msgpack"),
        (b"\xa1\x01\x02", None),
        (b"\x92\x01\x02", None),
        ("41,5 °C".encode(), "value"),
    ],
)
def test_packed_arrays_and_numbers_as_names_are_known_for_what_they_are(content: bytes, format_: str | None) -> None:
    found = recognised("c/node", content)
    assert (found.format if found else None) == format_


def test_json_within_a_text_is_looked_into() -> None:
    body = json.dumps({"vib": {"velocity_mm_s": 2.4}, "temperature": 41})
    found = tried(("hub/press-4", {"body": body}), ("hub/press-5", {"body": body}))
    assert {sensor: values["velocityRms"] for sensor, values in found.values().items()} == {
        "press-4": 2.4,
        "press-5": 2.4,
    }


def test_a_word_that_is_the_same_on_all_topics_names_no_sensor() -> None:
    found = tried(*[(f"app/{name}/json", {"GroupName": "Mixer", "fVelRms": 2.5}) for name in ("mill1", "mill2")])
    assert found.values().keys() == {"mill1", "mill2"}


def test_the_address_of_a_session_is_not_the_device() -> None:
    uplinks = [
        {"meta": {"device_addr": "01a2b3c4", "device": f"f0d1a0000000001{at}"}, "velocityRms": 2.5} for at in range(2)
    ]
    found = tried(*[("network/up", uplink) for uplink in uplinks])
    assert found.values().keys() == {"f0d1a00000000010", "f0d1a00000000011"}


def test_the_sensor_and_the_time_of_rows_stand_around_them() -> None:
    rows = [{"name": "vel_rms", "value": 2.5}, {"name": "acc_rms_g", "value": 0.2}, {"name": "temp", "error": 2014}]
    found = tried(*[("/plc/up", {"timestamp": NOW_S * 1000, "node": f"mb{at}", "tags": rows}) for at in (1, 2)])
    assert found.values() == {f"mb{at}": {"velocityRms": 2.5, "level": round(0.2 * G, 4)} for at in (1, 2)}
    assert {reading.time_us for reading in found.readings} == {NOW_S * 1_000_000}


def test_an_enveloped_acceleration_is_no_level_and_a_row_without_an_axis_has_none() -> None:
    rows = [
        {"type": "Velocity RMS", "direction": "X", "value": 0.1, "unit": "in/s"},
        {"type": "Acceleration Enveloped", "direction": "X", "value": 0.8, "unit": "gE"},
        {"type": "Shock acceleration", "direction": "X", "value": 12, "unit": "dBsv"},
        {"type": "Temperature", "value": 41, "unit": "C"},
    ]
    found = tried(("node/im-1", {"measuredAt": NOW, "rows": rows}))
    assert found.values() == {"im-1-x": {"velocityRms": 2.54, "level": 2.54}}
    assert "None" not in found.text


def test_a_unit_behind_a_number_is_that_numbers_and_no_other_is_guessed() -> None:
    found = tried(("mill/m1", {"vel": "0,1 in/s", "acc": "310 mg", "temp": "104 °F", "note": "12 apples"}))
    assert found.values() == {"m1": {"velocityRms": 2.54, "temperature": 40.0, "level": round(0.31 * G, 4)}}
    assert "guessed" not in found.text


def test_numbers_with_a_decimal_comma_are_numbers() -> None:
    found = tried(("mill/m1", {"Schwinggeschwindigkeit_eff": "2,41", "Temperatur": "41,5"}))
    assert found.values() == {"m1": {"velocityRms": 2.41, "temperature": 41.5, "level": 2.41}}


def test_codes_of_units_are_units() -> None:
    parts = {"velocityRms": (0.0025, "MTS"), "accelerationRms": (0.21, "K40"), "temperature": (104, "FAH")}
    entity = {name: {"value": value, "unitCode": code, "observedAt": NOW} for name, (value, code) in parts.items()}
    found = tried(("ngsi/v1", entity))
    assert found.values() == {"v1": {"velocityRms": 2.5, "temperature": 40.0, "level": round(0.21 * G, 4)}}


def test_a_time_without_its_signs_is_one() -> None:
    found = tried(("mill/m1", {"tsUtc": "20261117T095900Z", "vrms": 2.5}))
    assert [reading.time_us for reading in found.readings] == [(NOW_S - 60) * 1_000_000]


def test_a_number_that_bits_have_for_no_value_is_missing() -> None:
    messages = [("mill/m1", {"vrms": 2.5, "rpm": rpm, "temp": temp}) for rpm, temp in ((1480, 41), (65535, 32767))]
    found = tried(*messages)
    assert [reading.values for reading in found.readings] == [
        {"velocityRms": 2.5, "rpm": 1480.0, "temperature": 41.0},
        {"velocityRms": 2.5},
    ]


def test_a_large_number_among_others_as_large_is_a_value() -> None:
    messages = [("mill/m1", {"vrms": 2.5, "rpm": rpm}) for rpm in (32767, 30000)]
    assert [reading.values["rpm"] for reading in tried(*messages).readings] == [32767.0, 30000.0]


def test_an_acceleration_of_hundreds_beside_a_usual_velocity_is_in_mg() -> None:
    found = tried(("mill/m1", {"velocity": 2.4, "acceleration": 310}))
    assert found.values() == {"m1": {"velocityRms": 2.4, "level": round(0.31 * G, 4)}}


def test_lines_apart_by_semicolons_have_decimal_commas() -> None:
    found = tried(*[(f"ser2net/m{at}", b"VIB;2026-11-17 10:00:00;0,31;2,41;41,5\r\n") for at in (1, 2)])
    assert {name: values["velocityRms"] for name, values in found.values().items()} == {"m1": 2.41, "m2": 2.41}


def test_a_value_with_its_status_and_its_time_is_a_row() -> None:
    rows = [
        {"NodeId": f"ns=2;s=Plant.Pump{at}.VelocityRms", "Value": {"Value": at + 0.5, "SourceTimestamp": NOW}}
        for at in (1, 2)
    ]
    found = tried(("opc/samples", rows))
    assert found.values() == {f"Pump{at}": {"velocityRms": at + 0.5, "level": at + 0.5} for at in (1, 2)}
    assert {reading.time_us for reading in found.readings} == {NOW_S * 1_000_000}


def test_bytes_in_hex_with_signs_between_and_before_them_have_a_frame() -> None:
    for name, text_ in (("pdi", "00 18 00 0C 01 9F"), ("payload", "0x0018000c019f")):
        found = tried(("io/m1", {name: text_}))
        assert [table["binary"]["layout"] for table in found.tables] == [["w1:i16", "w2:i16", "w3:i16"]]


def test_what_is_below_zero_is_no_rms() -> None:
    assert tried(("node/m1", {"v": -0.4})).tables == []
    found = tried(("node/m1", {"acceleration_g": -0.03}))
    assert found.values() == {"m1": {"level": round(-0.03 * G, 4)}}
    assert "no RMS" in found.text
