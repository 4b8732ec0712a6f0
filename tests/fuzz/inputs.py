"""The inputs that fuzzing reads with, one or more for each format, and what has to hold for each message."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Final

import cbor2
import msgspec

from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.native import REASONS, decode_event
from gateway.domain.inputs.results import Outcome
from gateway.domain.inputs.stored_waveforms import from_row, to_row
from gateway.domain.inputs.times import EARLIEST_US, LATEST_US
from gateway.domain.inputs.waveform_reading import with_features
from gateway.domain.model.events import Message
from gateway.plugins.decoders import load_decoder

RECEIVED_NS: Final = 1_796_034_700_000_000_000
_FIELDS = 'axes = ["x", "y"]\nfields = { level = ["{axis}", "@u"], temperature = { path = "t", exponent = "e" } }'
_PLACE = 'place = { machine = "{m}" }\ntime = "t"\n'
_ROWS = """
[inputs.rows]
each = "r"
name = "{n}"
value = "v"
time = "t"
unit = "u"
names = "{sensor}/{axis}/{field}"
keep_last = true
fields = { a = "level", b = "temperature" }
"""
_PARTS = 'parts = { id = "id", index = "n", count = "c" }'
_PLAIN = ("json", "cbor", "msgpack", "line", "csv", "pairs", "python")
_BINARY = """
format = "binary"
binary = { repeat = true, layout = ["x:f32", "y:i24le", "_:1"] }
batch = { start = "t", step = 0.1 }
fields = { level = "x", temperature = "y" }
"""
_SPARKPLUG = """
topic = "spBv1.0/{group}/{kind}/{node}/{device}"
format = "sparkplug"
sensor = "{device}"
[inputs.rows]
each = "rows"
name = "{name}"
value = "value"
time = "time"
unit = "unit"
names = "{field}"
fields = { a = "level", b = "temperature" }
"""
TABLES: Final = [
    *(f'format = "{format_}"\n{_PLACE}{_FIELDS}' for format_ in _PLAIN),
    f'each = "a"\nwhere_each = {{ q = [true, 1] }}\n{_PLACE}{_FIELDS}',
    f'each = "*"\nsensor = "{{key}}"\n{_PLACE}{_FIELDS}',
    'batch = { start = "t", step = "e" }\nfields = { level = "x", temperature = "y" }',
    _ROWS,
    'format = "cbor"\n' + _ROWS,
    'rows = { senml = true, names = "{sensor}_{field}", fields = { a = "level", b = "temperature" } }',
    f'waveform = {{ samples = "w", rate = "r", scale = "k", unit = "@u", {_PARTS} }}',
    'waveform = { samples = "w", encoding = "hex+f64be", interval = "r" }',
    'format = "cbor"\nwaveform = { samples = "w", encoding = "i16le", rate = 1000 }',
    _BINARY,
    'format = "value"\nfields = { level = ["value", "@unit"] }',
    'status = { path = "s", online = "on", offline = "off" }\nplace = { machine = "{m}" }\nfields = { level = "x" }',
    _SPARKPLUG,
]  # fmt: skip
"""Tables of inputs; the topic is `t/{sensor}` where they do not say another."""

TOPICS: Final = {"sparkplug": [f"spBv1.0/g/{kind}/n/d" for kind in ("DBIRTH", "DDATA", "DDEATH")]}
_NODE = [f"spBv1.0/g/{kind}/n" for kind in ("NBIRTH", "NDATA", "NDEATH")]


def family(table: str) -> Family:
    """Return the one input of a table."""
    problems: list[str] = []
    topic = "" if "topic =" in table else 'topic = "t/{sensor}"\n'
    sensor = "" if 'sensor = "' in table or "rows" in table else 'sensor = "{sensor}"\n'
    specs = compiled(tomllib.loads(f"[[inputs]]\n{topic}{sensor}{table}")["inputs"], load_decoder, problems)
    assert not problems, problems
    return Family(specs)


def topics_of(table: str) -> list[str]:
    """Return what messages of an input are published on."""
    return [*TOPICS["sparkplug"], *_NODE] if '"sparkplug"' in table else ["t/S-1"]


CONTENT: Mapping[str, object] = {
    "m": "pump", "t": 1_796_034_600, "x": 1.5, "y": [1, "2"], "u": "g", "e": 2, "s": "on", "q": 1,
    "a": [{"q": True, "x": 1}], "r": [{"n": "S/x/a", "v": 1, "t": "2026-11-30T10:30:00Z", "u": "mm/s"}],
    "w": [1, -1, 2.5], "id": "c1", "n": 0, "c": 2, "k": 0.5,
}  # fmt: skip
SEEDS: Final = [
    json.dumps(CONTENT).encode(),
    json.dumps({**CONTENT, "t": "2026-11-30T10:30:00+01:00", "x": "\ud800", "m": "\ud800", "id": "\ud800"}).encode(),
    json.dumps({**CONTENT, "t": 10**400, "e": 1e300, "r": 1e-320, "w": "7ff0000000000000"}).encode(),
    json.dumps([{"bn": "S_", "bt": -1e12, "bu": "g", "n": "a", "v": 1}, {"n": "b", "bv": 3, "t": 5}]).encode(),
    cbor2.dumps(CONTENT),
    cbor2.dumps({**CONTENT, "w": b"\x01\x00\xff\xff", "t": 2**900}),
    msgspec.msgpack.encode(CONTENT),
    b'vib,m=pump,sensor=S x=1.5,y=2i,u="g" 1796034600000000000\nvib x=t',
    b"m,t,x,y,u\npump,1796034600,1.5,2,g\n",
    b"12.5 mm/s",
    b"x|1.5|y|2#t|1796034600|x|2",
    b"m=pump;x=1.5;y=2;t=1796034600",
    b"{'x': 1.5, 'y': (1, None), 't': True,}",
    json.dumps({**CONTENT, "c": 1, "r": 100}).encode(),
    json.dumps({**CONTENT, "w": "3ff0000000000000bff0000000000000", "r": 0.01}).encode(),
    b"{'m': 'pump', 'x': 1.5, 'y': (1, None), 't': u'\\x41\\ud800'}",
    b"\x00\x00\xc0?\x01\x02\x03\x00" * 3,
    b"\x08\x80\x80\x01\x12\x0d\x0a\x01a\x10\x01\x18\x05\x20\x0a\x6d\x00\x00\xc0?\x18\x00",
    b"\x1f\x8b",
]  # fmt: skip


def check(out: Outcome, sent: Message, memory: Memory) -> None:
    """Check what reading promises for one message: everything that it makes can be judged and stored."""
    assert out.is_understood or out.rejected or out.ignored or out.publications
    for wave in out.waveforms:
        assert EARLIEST_US <= wave.time_us < LATEST_US
        assert from_row(*to_row(wave)) == wave
    for reading in with_features(out):
        assert EARLIEST_US <= reading.time_us < LATEST_US
        assert reading.sensor.isprintable()
        assert decode_event(reading.body).data.vibration_level == reading.level
        _storable(reading.sensor, *reading.place, *reading.place.values())
    for rejected in out.rejected:
        assert rejected.reason in REASONS
        assert rejected.payload == sent.payload
        _storable(rejected.detail)
    for status in out.statuses:
        _storable(status.source, *status.place.values())
    _storable(*out.notes, *out.unused, *(each.reason for each in out.ignored), *memory.changes())


def _storable(*texts: str) -> None:
    for text in texts:
        text.encode()
