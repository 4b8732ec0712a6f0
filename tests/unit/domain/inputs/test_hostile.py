"""Whatever a message is, an input makes readings of it or says why not; nothing raises, and no number is not finite."""

import json
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import example, given, note
from hypothesis import strategies as st

from gateway.domain.inputs.family import Family
from gateway.domain.inputs.formats import FORMATS
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.native import EVENT
from gateway.domain.inputs.results import MAX_ID, Outcome
from gateway.domain.inputs.waveform_reading import with_features
from gateway.domain.model.events import Message
from tests.unit.domain.inputs.trying import RECEIVED_NS, family

FIELDS = """
fields.level = ["a.{axis}.v", "@a.unit"]
fields.velocity_rms = { path = "{axis}", scale = 1e200, exponent = "e" }
fields.peak = { path = "text", split = "|", item = { x = 0, y = 1 }, missing = [1] }
fields.temperature = ["t", "°F"]
"""
KINDS = {
    "mapped": 'time = "t"\naxes = ["x", "y"]\n' + FIELDS,
    "each": 'each = "a"\nwhere_each = { q = [true, 1] }\nsensor = "{id}"\ntime = "t"\naxes = ["x", "y"]\n' + FIELDS,
    "keyed": 'each = "*"\nsensor = "{key}-{a.id}"\naxes = ["x", "y"]\n' + FIELDS,
    "columns": 'batch = { start = "t", step = "e" }\nfields = { level = "a", temperature = "t" }',
    "rows": """
        [inputs.rows]
        each = "a"
        name = "{id}/{n}"
        value = "v"
        time = "t"
        unit = "unit"
        names = "{sensor}/{field}"
        keep_last = true
        fields = { a = ["x level"], t = ["temperature"] }
        """,
    "senml": """
        rows = { senml = true, names = "{sensor}{field}", fields = { a = ["x level"], t = ["temperature"] } }
        """,
    "bytes": """
        binary = { from = "a", encoding = "base64", repeat = true, layout = ["x:f32", "y:i24", "_:1"] }
        waveform = { samples = "x", rate = "e", scale = "t", unit = "@unit" }
        """,
    "parts": """
        axes = ["x", "y"]
        waveform = { samples = "a.{axis}", interval = "e", parts = { id = "id", index = "n", count = "t" } }
        """,
    "hex": 'waveform = { samples = "a", encoding = "hex+f32be", rate = 10 }',
    "status": 'status = { path = "a", online = true, offline = [false, 0] }\nfields = { level = "t" }',
}


def inputs_of(kind: str, format_: str = "json") -> Family:
    sensor = "" if 'sensor = "' in KINDS[kind] or kind in {"rows", "senml"} else 'sensor = "{id}"\n'
    return family(f'topic = "t/{{rest...}}"\nformat = "{format_}"\n{sensor}{KINDS[kind]}')


ALL = {kind: inputs_of(kind) for kind in KINDS}
NAMES = st.sampled_from(
    ["a", "x", "y", "v", "t", "e", "n", "id", "q", "unit", "text", "u", "bn", "bt", "bv", "bu", "0"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 2, 1e308, 1e-320, 10**30, 1_796_034_600, 1_796_034_600_000, -1])
    | st.sampled_from(
        ["g", "mm/s", "°F", "1|2", "a/t", "a", "AAAAAA==", "3f800000", "2026-11-30T10:30:00Z", "1e400", "NaN", "\ud800"]
    )
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8) | st.lists(st.dictionaries(NAMES, VALUES, max_size=6), max_size=4)


def checked(out: Outcome, sent: Message) -> None:
    for reading in with_features(out):
        assert 0 < len(reading.sensor) <= MAX_ID + 10
        assert reading.sensor.isprintable()
        event = json.loads(reading.body, parse_constant=pytest.fail)
        assert event["data"].get("vibrationLevel") == reading.level
        assert event["eventId"] == reading.event_id
        assert EVENT.decode(reading.body) == reading.event
    for rejected in out.rejected:
        assert rejected.payload == sent.payload
        assert rejected.detail
    assert out.is_understood or out.rejected or out.ignored


@given(payload=OBJECTS)
def test_no_json_is_too_strange(payload: Any) -> None:
    """To make up JSON takes longer than to read it: every input is given the same."""
    sent = Message("t/a", json.dumps(payload).encode(), RECEIVED_NS)
    for kind, inputs in ALL.items():
        note(kind)
        checked(inputs.read(sent, Memory()), sent)


@given(payloads=st.lists(OBJECTS, max_size=6))
@pytest.mark.parametrize("kind", ["rows", "parts"])
def test_what_is_remembered_of_strange_messages_can_be_read_again(kind: str, payloads: list[Any]) -> None:
    memory = Memory()
    for payload in payloads:
        sent = Message("t/a", json.dumps(payload).encode(), RECEIVED_NS)
        checked(ALL[kind].read(sent, memory), sent)
        memory = Memory(memory.blobs)


BY_FORMAT = [
    (format_, inputs_of(kind, format_))
    for format_ in FORMATS
    if format_ not in {"sparkplug", "binary"}
    for kind in ("mapped", "each", "rows", "bytes")
]


@given(
    payload=st.binary(max_size=100)
    | st.text(max_size=60).map(lambda text: text.encode(errors="replace"))
    | st.text("0123456789.,;|=:# \n'\"\\{}[]()ateiTFN-", max_size=60).map(str.encode)
    | VALUES.map(lambda value: json.dumps(value).encode())
    | VALUES.map(lambda value: cbor2.dumps(_encodable(value)))
    | VALUES.map(lambda value: msgspec.msgpack.encode(_small(_encodable(value))))
)
@example(payload=b"\xd8\x1c\x81\xd8\x1d\x00")  # CBOR: an array that is its own element
@example(payload=b"\xd8\x1c\xa1\x61a\xd8\x1d\x00")  # and an object that is its own member
@example(payload=b"\xa1aa\xc4\x82\x1a\x7f\xff\xff\xff\x01")  # a decimal fraction of two thousand million digits
@example(payload=b"\xa1at\xc2\x59\x03\xe8" + b"\xff" * 1000)  # a number of 8,000 bits
def test_no_payload_is_too_strange(payload: bytes) -> None:
    sent = Message("t/a", payload, RECEIVED_NS)
    for format_, inputs in BY_FORMAT:
        note(format_)
        out = inputs.read(sent, Memory())
        checked(out, sent)
        inputs.unused_in(sent, out)
        inputs.steps(sent, out)


def _encodable(value: Any) -> Any:
    """Return a value without what is no Unicode."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_encodable(member) for member in value]
    return (
        {_encodable(name): _encodable(member) for name, member in value.items()} if isinstance(value, dict) else value
    )


def _small(value: Any) -> Any:
    """Return a value without numbers that MessagePack has no place for."""
    if isinstance(value, int):
        return max(-(2**63), min(value, 2**64 - 1))
    if isinstance(value, list):
        return [_small(member) for member in value]
    return {name: _small(member) for name, member in value.items()} if isinstance(value, dict) else value


@given(topic=st.text(max_size=300))
def test_no_topic_is_too_strange(topic: str) -> None:
    sent = Message(topic, b'{"v": 1}', RECEIVED_NS)
    inputs = family('topic = "{a}/{rest...}"\nsensor = "{rest}"\nplace = { machine = "{a}" }\nfields = { level = "v" }')
    checked(inputs.read(sent, Memory()), sent)
