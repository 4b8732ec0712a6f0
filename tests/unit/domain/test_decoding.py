import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.inputs.native import (
    EVENT,
    KEPT_BYTES,
    MARGIN,
    MAX_ELEMENTS,
    MAX_ID,
    MAX_MESSAGE_BYTES,
    REASONS,
    decode,
)
from gateway.domain.model.events import Rejected
from gateway.domain.model.reading import VibrationRecorded
from tests.readings import event

TAGS = {"sensor": "VB-1", "machine": "pump-7"}


def encoded(**changes: Any) -> bytes:
    return json.dumps({**event(), **changes}).encode()


def only(payload: bytes, tags: dict[str, str] | None = TAGS) -> VibrationRecorded | Rejected:
    (found,) = decode(payload, tags)
    return found if isinstance(found, Rejected) else found[0]


def reason(payload: bytes, tags: dict[str, str] | None = TAGS) -> str:
    found = only(payload, tags)
    assert isinstance(found, Rejected), found
    assert found.detail
    return found.reason


def with_level(text: str) -> bytes:
    return encoded().replace(b'"vibrationLevel": 4.0', f'"vibrationLevel": {text}'.encode())


def test_the_documented_event_is_read_whole_and_kept_as_it_came() -> None:
    payload = """
    {"eventId": "a1b2c3d4-5678-90ef-ghij-klmnopqrstuv", "eventType": "VibrationRecorded",
     "timestamp": "2023-09-29T16:30:25Z", "source": "VibrationSensor",
     "sensorLocation": "Motor Assembly Line B, Conveyor Unit 4", "version": "v1.2",
     "data": {"sensorId": "VB-42345", "vibrationLevel": 12.5, "baselineVibrationLevel": 4.0, "unit": "m/s²",
              "difference": 8.5},
     "metadata": {"model": "VibroMonitor Pro X1", "calibrationDate": "2023-06-15"},
     "systemMessage": "Vibration level recorded exceeds the acceptable threshold."}
    """.encode()
    ((found, body),) = [item for item in decode(payload, {"sensor": "VB-42345"}) if not isinstance(item, Rejected)]
    assert found.event_id == "a1b2c3d4-5678-90ef-ghij-klmnopqrstuv"
    assert (found.data.sensor_id, found.data.vibration_level) == ("VB-42345", 12.5)
    assert (found.data.baseline_vibration_level, found.data.unit) == (4.0, "m/s²")
    assert found.sensor_location == "Motor Assembly Line B, Conveyor Unit 4"
    assert body == payload


def test_the_optional_features_are_read() -> None:
    features = {"velocityRms": 2.0, "peak": 9, "crestFactor": 3.5, "kurtosis": 3, "temperature": 41, "rpm": 1480}
    found = only(encoded(data={**event()["data"], **features, "load": 0.7, "operatingState": "run", "sequence": 8}))
    assert isinstance(found, VibrationRecorded)
    data = found.data
    assert (data.velocity_rms, data.peak, data.crest_factor, data.kurtosis) == (2.0, 9.0, 3.5, 3.0)
    assert (data.temperature, data.rpm, data.load, data.operating_state, data.sequence) == (41, 1480, 0.7, "run", 8)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "0x10", ""])
def test_what_is_no_number_in_json_is_no_json(text: str) -> None:
    assert reason(with_level(text)) == "not_json"


@pytest.mark.parametrize("text", ["1e400", "-1e400", "9" * 5000, "true", '"12.5"', "null", "[1]", "{}"])
def test_a_level_is_a_finite_number(text: str) -> None:
    assert reason(with_level(text)) == "invalid"


@pytest.mark.parametrize("text", ["0", "-0.0", "-4", "1e308", "5e-324", "0." + "1" * 3000])
def test_every_finite_number_is_a_level(text: str) -> None:
    found = only(with_level(text))
    assert isinstance(found, VibrationRecorded)
    assert found.data.vibration_level == float(text)


@pytest.mark.parametrize("missing", ["eventType", "timestamp", "data"])
def test_required_fields_are_required(missing: str) -> None:
    whole = event()
    del whole[missing]
    assert reason(json.dumps(whole).encode()) == "invalid"


@pytest.mark.parametrize("missing", ["sensorId", "vibrationLevel"])
def test_required_data_is_required(missing: str) -> None:
    whole = event()
    del whole["data"][missing]
    assert reason(json.dumps(whole).encode()) == "invalid"


@pytest.mark.parametrize("time", ["", "noon", "2023-09-29", "2023-13-01T00:00:00Z", "2016-12-31T23:59:60Z", 1696005025])
def test_a_timestamp_is_a_time_in_rfc_3339(time: object) -> None:
    assert reason(encoded(timestamp=time)) == "invalid"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "empty"),
        (b" \t\r\n", "empty"),
        (b"[]", "empty"),
        (b"null", "invalid"),
        (b"5", "invalid"),
        (b'"', "not_json"),
        (b"[1", "not_json"),
        (b"\xef\xbb\xbf" + encoded(), "not_json"),
        (encoded().decode().encode("utf-16"), "not_json"),
        (b"\x00" + encoded(), "not_json"),
        (encoded(sensorLocation="here").replace(b"here", b"\xff"), "not_json"),
        (encoded(sensorLocation="here").replace(b"here", rb"\ud800"), "not_json"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"x":' * 100_000 + b"1" + b"}" * 100_000, "too_deep"),
        (encoded(eventType="TemperatureRecorded"), "unknown_type"),
        (encoded(eventId=""), "bad_id"),
        (encoded(eventId="x" * (MAX_ID + 1)), "bad_id"),
        (encoded(eventId="a\nb"), "bad_id"),
        (encoded(eventId="\x1b[2J"), "bad_id"),
        (encoded(data={"sensorId": "", "vibrationLevel": 1}), "bad_id"),
        (encoded(data={"sensorId": "x" * (MAX_ID + 1), "vibrationLevel": 1}), "bad_id"),
        (encoded(data={"sensorId": "a\u202eb", "vibrationLevel": 1}), "bad_id"),
        (encoded(data={"sensorId": "VB-2", "vibrationLevel": 1}), "topic_mismatch"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_has_a_reason(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize("tags", [TAGS, None])
def test_of_a_message_beyond_the_bound_only_the_beginning_is_kept_and_nothing_is_parsed(
    monkeypatch: pytest.MonkeyPatch, tags: dict[str, str] | None
) -> None:
    """15 million elements took 2.3 GB; the gateway was killed, and the message came again for ever."""
    monkeypatch.delattr("gateway.domain.inputs.native._ARRAY")
    payload = b"[" + b"1," * (MAX_MESSAGE_BYTES // 2) + b"1]"
    found = only(payload, tags)
    assert isinstance(found, Rejected)
    assert (found.reason, found.payload) == ("too_large", payload[:KEPT_BYTES])
    assert f"{len(payload)} bytes" in found.detail
    assert f"only the first {KEPT_BYTES} are kept" in found.detail


def test_as_many_elements_as_are_promised_fit_into_a_message() -> None:
    body = encoded(extra="x" * 300)
    payload = b"[" + b",".join([body] * MAX_ELEMENTS) + b"]"
    assert MAX_MESSAGE_BYTES // 2 < len(payload) < MAX_MESSAGE_BYTES
    assert len([item for item in decode(payload, TAGS) if not isinstance(item, Rejected)]) == MAX_ELEMENTS


def test_a_topic_that_no_template_fits_is_named_first() -> None:
    assert reason(b"", None) == "topic_mismatch"


def test_without_a_sensor_in_the_topic_the_event_alone_says_whose_it_is() -> None:
    found = only(encoded(data={"sensorId": "anything", "vibrationLevel": 1}), {"machine": "pump-7"})
    assert isinstance(found, VibrationRecorded)


def test_an_id_need_not_be_a_uuid_and_may_be_as_long_as_promised() -> None:
    found = only(encoded(eventId="é" * MAX_ID))
    assert isinstance(found, VibrationRecorded)
    assert found.event_id == "é" * MAX_ID


def test_an_event_without_an_id_gets_one_from_its_content() -> None:
    first, again, other = (only(json.dumps(event(0, level, id_=None)).encode()) for level in (4.0, 4.0, 5.0))
    assert isinstance(first, VibrationRecorded)
    assert isinstance(again, VibrationRecorded)
    assert isinstance(other, VibrationRecorded)
    assert first.event_id == again.event_id
    assert first.event_id != other.event_id


def test_in_an_array_each_bad_element_is_a_dead_letter_of_its_own() -> None:
    items = decode(b"[" + encoded(eventId="a") + b" , 5, " + encoded(eventId="b") + b', {"eventType": 1}]', TAGS)
    assert [item.element if isinstance(item, Rejected) else item[0].event_id for item in items] == ["a", 1, "b", 3]
    assert [item.payload for item in items if isinstance(item, Rejected)] == [b"5", b'{"eventType": 1}']


def test_what_is_stored_can_be_read_again_deeper_down_the_stack() -> None:
    """A body that only just fitted would stop the gateway at its next start."""

    def at_depth(depth: int, body: bytes) -> str:
        return EVENT.decode(body).event_type if depth == 0 else at_depth(depth - 1, body)

    accepted = 0
    for depth in range(50, 1000, 50):
        payload = encoded(extra="here").replace(b'"here"', b"[" * depth + b"]" * depth)
        found = only(payload)
        if isinstance(found, Rejected):
            assert found.reason == "too_deep"
        else:
            accepted += 1
            assert at_depth(MARGIN - 20, payload) == "VibrationRecorded"
    assert accepted > 5


def test_many_brackets_are_not_depth() -> None:
    spectrum = [[float(frequency), 0.1] for frequency in range(2000)]
    assert isinstance(only(encoded(spectrum=spectrum)), VibrationRecorded)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
almost_events = st.fixed_dictionaries(
    {},
    optional={
        "eventId": st.text(max_size=3) | json_values,
        "eventType": st.sampled_from(["VibrationRecorded", "Other", "", 1]),
        "timestamp": st.sampled_from(["2026-03-01T12:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
        | json_values,
        "data": st.fixed_dictionaries(
            {},
            optional={
                "sensorId": st.sampled_from(["VB-1", "VB-2", ""]) | json_values,
                "vibrationLevel": st.floats() | json_values,
                "unit": json_values,
                "sequence": st.integers() | json_values,
            },
        ),
    },
)


@given(st.binary() | st.one_of(json_values, st.lists(almost_events | json_values)).map(json.dumps).map(str.encode))
@example(b"[" + encoded() + b"," + b"[" * 2000 + b"]" * 2000 + b"]")
def test_nothing_raises_and_all_of_it_becomes_events_or_dead_letters(payload: bytes) -> None:
    items = decode(payload, TAGS)
    assert items
    assert all(item.reason in REASONS for item in items if isinstance(item, Rejected))
    if any(isinstance(item, Rejected) and item.element is None for item in items):
        assert len(items) == 1
        assert not isinstance(items[0], Rejected) or items[0].payload == payload


@given(st.lists(almost_events | json_values, min_size=1, max_size=8))
def test_every_element_becomes_exactly_one_event_or_one_dead_letter(elements: list[Any]) -> None:
    """Python writes NaN, which is no JSON: then it is one dead letter for the whole array."""
    items = decode(json.dumps(elements).encode(), TAGS)
    if len(items) == 1 and isinstance(items[0], Rejected) and items[0].element is None:
        assert items[0].reason == "not_json"
        assert any(word in json.dumps(elements) for word in ("NaN", "Infinity", "\\ud"))
        return
    assert len(items) == len(elements)
    for index, item in enumerate(items):
        if isinstance(item, Rejected):
            assert item.element == index
            assert json.loads(item.payload) == elements[index]
        else:
            assert json.loads(item[1]) == elements[index]
