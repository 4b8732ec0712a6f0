"""What the devices do beside measuring: several uplinks, frames that leave out, births, bad quality, presence."""

import json
from base64 import b64decode
from collections import defaultdict
from dataclasses import replace
from itertools import islice

import pytest

from simulator.fleet import Fleet
from simulator.formats import FORMATS, home, industrial, sparkplug
from simulator.formats.sample import Device, Memory, Sample
from simulator.heard import as_heard, places
from simulator.measurement import Measurement
from simulator.publishing import Message
from simulator.run import farewells, messages, presences
from simulator.scenario import Dropout, Stuck, Transport
from simulator.sensing import profiles
from simulator.transport import Due, disturb
from tests.unit.simulator.formats.reading import (
    netvox_frame,
    protobuf,
    sparkplug_metrics,
    wise_frame,
    yosensi_frame,
)
from tests.unit.simulator.formats.test_values import FLEET, START, published

MEASURED = Measurement(2.5, 1.75, 9.0, 3.6, 3.25, 41.5, 1480.0, 0.75)


def said(name: str, number: int = 10) -> list[dict[str, object]]:
    return [json.loads(due.message.payload) for due in published(name)[:number]]


def sample(memory: Memory, sequence: int = 0, **axes: Measurement) -> Sample:
    place = places(FLEET)[0]
    device = Device(
        place=place,
        id="pump-1/VB-PUMP1-DE",
        time=START,
        sequence=sequence,
        state="running",
        axes=axes or {"x": MEASURED, "z": MEASURED},
    )
    return Sample(devices=[device], memory=memory, origin="test")


def stuck_fleet() -> Fleet:
    fault = Stuck.model_validate({"kind": "stuck"})
    sensor = FLEET.machines[0].sensors[0].model_copy(update={"faults": (fault,)})
    return FLEET.model_copy(update={"machines": [FLEET.machines[0].model_copy(update={"sensors": [sensor]})]})


def test_chirpstack_takes_three_uplinks_for_one_measurement_and_counts_them() -> None:
    by_device = defaultdict(list)
    for due in published("chirpstack"):
        uplink = json.loads(due.message.payload)
        by_device[uplink["deviceInfo"]["deviceName"]].append(uplink)
    assert set(by_device) == {place.sensor for place in places(FLEET)}
    for uplinks in by_device.values():
        assert [each["fCnt"] for each in uplinks] == list(range(len(uplinks)))
        assert len({each["deduplicationId"] for each in uplinks}) == len(uplinks)
        times = [each["time"] for each in uplinks]
        assert times == sorted(set(times))
        kinds = ["rmsAccelerationX" in uplinks[0]["object"], "kurtosisX" in uplinks[1]["object"]]
        assert [*kinds, "rmsVelocityX" in uplinks[2]["object"]] == [True, True, True]


def test_the_frame_of_a_yosensi_is_what_its_object_says() -> None:
    first, second, third = (json.loads(due.message.payload) for due in published("chirpstack")[:3])
    frame, found = yosensi_frame(first["data"]), first["object"]
    assert frame["16/00"] == [round(1000 * found[f"rmsAcceleration{axis}"]) for axis in "XYZ"]
    assert frame["16/01"] == [round(1000 * found[f"peakAcceleration{axis}"]) for axis in "XYZ"]
    assert frame["3/00"] == [round(10 * found["externalTemperature"])]
    assert frame["2/"] == [found["batteryVoltage"]] == [3600]
    assert yosensi_frame(second["data"])["16/05"] == [
        round(100 * second["object"][f"kurtosis{axis}"]) for axis in "XYZ"
    ]
    assert yosensi_frame(third["data"])["16/06"] == [
        round(100 * third["object"][f"rmsVelocity{axis}"]) for axis in "XYZ"
    ]


def test_the_frame_of_a_wise_2410_is_what_its_object_says() -> None:
    (uplink,) = said("advantech-wise-2410", 1)
    blocks, found = wise_frame(str(uplink["data"])), uplink["object"]
    assert isinstance(found, dict)
    assert int.from_bytes(blocks[0x50][4:8], "little") == found["TempHumi"]["SenVal"]
    for place, axis in enumerate("XYZ"):
        features = blocks[0x54][2 + 18 * place : 20 + 18 * place]
        read = [int.from_bytes(features[start : start + 2], "little", signed=True) for start in range(0, 18, 2)]
        assert read == list(found["Accelerometer"][f"{axis}-Axis"].values())


def test_the_things_stack_gets_accelerations_first_and_leaves_out_what_is_zero() -> None:
    first, second = (json.loads(due.message.payload)["uplink_message"] for due in published("ttn")[:2])
    decoded = first["decoded_payload"]
    assert netvox_frame(first["frm_payload"]) == (1, [*(decoded[f"Acceleration{axis}"] for axis in "XYZ"), 3.6])
    decoded = second["decoded_payload"]
    velocities = [decoded[f"Velocity{axis}"] for axis in "XYZ"]
    assert netvox_frame(second["frm_payload"]) == (2, [*velocities, pytest.approx(decoded["Temp"])])
    cold = replace(MEASURED, temperature=0.0, velocity_rms=0.0)
    uplink = json.loads(FORMATS["ttn"].messages(sample(Memory(), x=cold))[1].payload)
    assert uplink["uplink_message"]["decoded_payload"] == {"Device": "R718E"}
    assert b64decode(uplink["uplink_message"]["frm_payload"])[-2:] == b"\0\0"


def test_kepware_puts_all_sensors_of_a_machine_into_one_message_and_one_tag_in_twelve_messages_is_bad() -> None:
    devices = {tag["id"].split(".")[1] for tag in json.loads(published("kepware")[3].message.payload)["values"]}
    assert devices == {"VB-PUMP1-DE", "VB-PUMP1-NDE"}
    memory = Memory()
    last = [json.loads(industrial.kepware(sample(memory))[0].payload)["values"][-1] for _ in range(24)]
    assert [number for number, tag in enumerate(last) if not tag["q"]] == [11, 23]
    assert last[11]["v"] == 0


def test_opc_ua_describes_once_and_then_says_what_has_changed() -> None:
    memory = Memory()
    first = industrial.opcua_pubsub(sample(memory, x=MEASURED))
    assert [message.retain for message in first] == [True, False]
    assert json.loads(first[0].payload)["MetaData"]["Name"] == "pump-1/VB-PUMP1-DE"
    (frame,) = json.loads(first[1].payload)["Messages"]
    assert (frame["MessageType"], set(frame["Payload"])) == ("ua-keyframe", {"aRms", "vRms", "Temperature"})
    (second,) = industrial.opcua_pubsub(sample(memory, x=replace(MEASURED, level=2.75)))
    (frame,) = json.loads(second.payload)["Messages"]
    assert (frame["MessageType"], {name: node["Value"] for name, node in frame["Payload"].items()}) == (
        "ua-deltaframe",
        {"aRms": 2.75},
    )
    (third,) = industrial.opcua_pubsub(sample(memory, x=replace(MEASURED, level=2.75)))
    (frame,) = json.loads(third.payload)["Messages"]
    assert (frame["MessageType"], frame["Payload"], frame["SequenceNumber"]) == ("ua-keepalive", {}, 2)
    later = [json.loads(industrial.opcua_pubsub(sample(memory, x=MEASURED))[0].payload) for _ in range(9)]
    kinds = [each["Messages"][0]["MessageType"] for each in later]
    assert kinds.count("ua-keyframe") == 1
    temperature = later[-1]["Messages"][0]["Payload"]["Temperature"]
    assert (temperature["StatusCode"]["Code"], "Value" in temperature) == (0x80310000, False)


def test_a_port_without_a_sensor_says_so_and_a_value_beyond_the_range_is_over() -> None:
    payload = json.loads(published("ifm-vvb001")[3].message.payload)["data"]["payload"]
    codes = [said["code"] for path, said in payload.items() if path.endswith("pdin")]
    assert codes == [200, 200, 503]
    assert industrial.process_data(replace(MEASURED, level=5000.0))[16:24] == "7FF8FF00"
    assert industrial.process_data(MEASURED)[:24] == "0012FC00" + "005AFF00" + "0019FF00"


def test_senml_thingsboard_and_csv_send_two_measurements_at_once() -> None:
    for name in ("senml", "thingsboard-gateway", "csv"):
        memory = Memory()
        assert FORMATS[name].messages(sample(memory)) == []
        assert len(FORMATS[name].messages(sample(memory, 1))) == 1
        assert FORMATS[name].messages(sample(memory, 2)) == []


def test_line_protocol_and_csv_quote_what_would_part_them() -> None:
    place = replace(places(FLEET)[0], sensor='VB,1="a"')
    device = replace(sample(Memory()).devices[0], place=place, id=place.sensor)
    odd = Sample(devices=[device], memory=Memory(), origin="test")
    (line,) = industrial.telegraf_line(odd)
    assert b',name=VB\\,1\\="a",' in line.payload
    FORMATS["csv"].messages(odd)
    (csv,) = FORMATS["csv"].messages(odd)
    assert csv.payload.split(b"\n")[0].startswith(b'1782907200,"VB,1=""a""",0.255,')


def test_ncd_tells_its_settings_now_and_then_and_the_battery_as_a_text() -> None:
    first = said("ncd", 2)
    assert [each["type"] for each in first] == ["sensor_mode", "sensor_data"]
    assert first[1]["battery"] == "3.28"


def births_and_data(found: list[Message]) -> list[str]:
    return [message.topic.split("/")[2] for message in found]


def sequence(message: Message) -> int:
    number: int = dict(protobuf(message.payload))[3]
    return number


def test_sparkplug_begins_with_births_then_says_by_alias_what_has_changed() -> None:
    memory = Memory()
    born = sparkplug.sparkplug_b(sample(memory))
    assert births_and_data(born) == ["NBIRTH", "DBIRTH"]
    assert [metric[1] for metric in sparkplug_metrics(born[0].payload)] == [b"bdSeq", b"Node Control/Rebirth"]
    metrics = sparkplug_metrics(born[1].payload)
    units = [dict(protobuf(dict(protobuf(metric[9]))[2]))[8].decode() for metric in metrics]
    assert [metric[1].decode() for metric in metrics][:2] == ["Accel RMS X", "Accel RMS Z"]
    assert units == ["g", "g", "mm/s", "mm/s", "°C"]
    assert len({metric[2] for metric in metrics}) == 5
    changed = sparkplug.sparkplug_b(sample(memory, 1, x=replace(MEASURED, level=5.0), z=MEASURED))
    (metric,) = sparkplug_metrics(changed[0].payload)
    assert births_and_data(changed) == ["DDATA"]
    assert (1 in metric, metric[2], metric[12]) == (False, metrics[0][2], pytest.approx(5 / 9.80665, abs=0.001))
    assert sparkplug.sparkplug_b(sample(memory, 2, x=replace(MEASURED, level=5.0), z=MEASURED)) == []
    assert [sequence(message) for message in (*born, *changed)] == [0, 1, 2]


def test_the_sequence_of_a_node_has_no_gap_over_all_its_devices_and_begins_again_after_255() -> None:
    of_node = defaultdict(list)
    for due in published("sparkplug-b", lasts=2000.0):
        of_node[due.message.topic.split("/")[3]].append(sequence(due.message))
    for numbers in of_node.values():
        assert numbers == [number % 256 for number in range(len(numbers))]
    assert max(map(len, of_node.values())) > 256


def test_who_asks_for_a_rebirth_gets_the_births_again() -> None:
    memory = Memory()
    sparkplug.sparkplug_b(sample(memory))
    sparkplug.obey(memory, sparkplug.payload([sparkplug.Metric("Node Control/Reboot", None, sparkplug.BOOLEAN, 1)]))
    assert sparkplug.sparkplug_b(sample(memory, 1)) == []
    sparkplug.obey(memory, sparkplug.payload([sparkplug.Metric("Node Control/Rebirth", None, sparkplug.BOOLEAN, 1)]))
    again = sparkplug.sparkplug_b(sample(memory, 2))
    assert births_and_data(again) == ["NBIRTH", "DBIRTH"]
    assert [sequence(message) for message in again] == [0, 1]


def test_the_death_of_a_node_carries_the_number_of_its_birth_and_is_not_retained() -> None:
    deaths = farewells(FLEET, FORMATS["sparkplug-b"])
    assert [death.topic.split("/")[2:] for death in deaths] == [["NDEATH", machine.id] for machine in FLEET.machines]
    assert not any(death.retain for death in deaths)
    (metric,) = sparkplug_metrics(deaths[0].payload)
    assert (metric[1], metric[11]) == (b"bdSeq", 0)
    born = sparkplug.sparkplug_b(sample(Memory()))[0]
    assert sparkplug_metrics(born.payload)[0][11] == 0


@pytest.mark.parametrize("name", ["sparkplug-b", "opcua-pubsub"])
def test_of_a_stuck_sensor_the_time_passes_though_there_is_nothing_to_say(name: str) -> None:
    fleet = stuck_fleet()
    due = list(islice(messages(fleet, profiles(fleet, 1), FORMATS[name], seed=1, start=START), 500))
    assert due[-1].after > 1500


def test_esphome_knows_no_temperature_at_first_and_is_discovered_by_home_assistant() -> None:
    first = {message.topic: message.payload for message in home.esphome(sample(Memory(), x=MEASURED))}
    later = {message.topic: message.payload for message in home.esphome(sample(Memory(), 1, x=MEASURED))}
    (topic,) = [each for each in first if "temperature" in each]
    assert (first[topic], later[topic]) == (b"nan", b"41.5")
    discovered = [json.loads(each.payload) for each in home.esphome_online(places(FLEET)[0]) if "config" in each.topic]
    units = {each["stat_t"].split("/")[2]: each["unit_of_meas"] for each in discovered}
    assert units == {"acceleration_rms": "m/s²", "velocity_rms": "mm/s", "temperature": "°C"}
    assert {each["stat_t"] for each in discovered} == {
        message.topic.replace("pump-1/VB-PUMP1-DE", "vb-pump1-de") for message in home.esphome(sample(Memory()))
    }


@pytest.mark.parametrize(
    ("name", "topic", "payload"),
    [
        ("event", "vibration/demo-plant/pump-house/pump-1/VB-PUMP1-DE/status", b"offline"),
        ("tasmota", "tele/VB-PUMP1-DE/LWT", b"Offline"),
        ("esphome", "vb-pump1-de/status", b"offline"),
        ("zigbee2mqtt", "zigbee2mqtt/VB-PUMP1-DE vibration/availability", b'{"state":"offline"}'),
    ],
)
def test_who_says_that_it_is_there_leaves_a_will_and_says_it_again_when_it_is_back(
    name: str, topic: str, payload: bytes
) -> None:
    lost = Transport.model_validate({"kind": "last-will", "after": "10s", "lasts": "20s", "sensors": ["VB-PUMP1-DE"]})
    fleet = FLEET.model_copy(update={"transport": (lost,)})
    (present,) = [each for each in presences(fleet, 2.0, FORMATS[name]) if each.losses]
    assert present.will == Message(topic, payload, retain=True)
    assert present.losses == ((5.0, 15.0),)
    assert topic in {message.topic for message in present.back}
    assert [(due.after, due.message) for due in published(name, fleet) if due.message.topic == topic] == [
        (30.0, next(message for message in present.back if message.topic == topic))
    ]


def test_devices_without_a_word_for_it_leave_no_will() -> None:
    silent = [name for name, form in FORMATS.items() if not presences(FLEET, 1.0, form)]
    assert set(FORMATS) - set(silent) == {"event", "tasmota", "esphome", "zigbee2mqtt", "sparkplug-b"}
    assert not [name for name in silent if farewells(FLEET, FORMATS[name])]


@pytest.mark.parametrize("name", FORMATS)
def test_what_happens_to_messages_on_their_way_happens_to_those_of_the_sensor_in_the_fleet_file(name: str) -> None:
    drop = Transport.model_validate({"kind": "drop", "sensors": ["VB-42345"]})
    fleet = FLEET.model_copy(update={"transport": (drop,)})
    due = messages(fleet, profiles(fleet, 1), FORMATS[name], seed=1, start=START)
    arrived = disturb(islice(due, 300), fleet.transport, seed=1, speed=1.0)
    found = [each for each in arrived if isinstance(each, Due) and not each.message.retain]
    assert found
    assert not [each for each in found if "VB-42345" in each.sensors]
    heard = as_heard(fleet, FORMATS[name])
    assert len(heard.transport[0].sensors) == max(1, len(FORMATS[name].axes))
    assert heard.transport[0].sensors <= {sensor.id for machine in heard.machines for sensor in machine.sensors}


def test_a_sensor_that_is_silent_is_missing_from_the_message_of_its_machine() -> None:
    fault = Dropout.model_validate({"kind": "dropout", "after": "25s"})
    pump = FLEET.machines[0]
    first, *others = pump.sensors
    sensors = [first.model_copy(update={"faults": (fault,)}), *others]
    fleet = FLEET.model_copy(update={"machines": [pump.model_copy(update={"sensors": sensors})]})
    said = [json.loads(due.message.payload)["metrics"] for due in published("telegraf-json", fleet, 60.0)]
    names = [{metric["tags"]["name"] for metric in metrics} for metrics in said]
    assert names == [{"VB-PUMP1-DE", "VB-PUMP1-NDE"}] * 2 + [{"VB-PUMP1-NDE"}] * 4
