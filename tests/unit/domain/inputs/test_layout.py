import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.layout import Layout
from tests.unit.domain.inputs.trying import G, brief, outcome, reading, readings

BINARY = """
topic = "{sensor}"
format = "binary"
axes = ["x", "y"]
binary = { endian = "little", layout = ["n:u8", "_:1", "ax:i24", "ay:i24be", "t:i8"] }
fields = { level = { path = "a{axis}", scale = 0.001, unit = "g" }, temperature = "t" }
"""


def test_bytes_have_a_layout() -> None:
    block = b"\x01\xff" + (-500).to_bytes(3, "little", signed=True) + (250).to_bytes(3, "big") + b"\x14rest"
    assert brief(readings(BINARY, "vb", block)) == [
        ("vb-x", pytest.approx(-0.5 * G), {"temperature": 20}),
        ("vb-y", pytest.approx(0.25 * G), {"temperature": 20}),
    ]


def test_what_a_layout_has_beyond_the_end_is_absent() -> None:
    block = b"\x01\xff" + (500).to_bytes(3, "little")
    assert brief(readings(BINARY, "vb", block)) == [("vb-x", pytest.approx(0.5 * G), {})]
    assert outcome(BINARY, "vb", b"\x01").rejected


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("base64", "ASw="),
        ("base64", "ASw"),
        ("hex", "01 2C"),
        ("hex", "0x012c"),
        ("raw", [1, 44]),
        ("raw", {"type": "Buffer", "data": [1, 44]}),
    ],
)
def test_bytes_come_in_a_message_too(encoding: str, data: Any) -> None:
    toml = f"""
        topic = "{{sensor}}"
        where = {{ port = 2 }}
        binary = {{ from = "up.data", encoding = "{encoding}", layout = ["v:u16"] }}
        fields = {{ velocity_rms = {{ path = "v", scale = 0.01 }} }}
        """
    assert reading(toml, "vb", {"port": 2, "up": {"data": data}}).level == 3


@pytest.mark.parametrize("data", ["!", None, 5, [300], "z", {}])
def test_what_is_no_bytes_is_a_dead_letter(data: Any) -> None:
    toml = """
        topic = "{sensor}"
        binary = { from = "d", encoding = "base64", layout = ["v:u8"] }
        fields = { level = "v" }
        """
    assert outcome(toml, "vb", {"d": data}).rejected


def test_records_are_columns() -> None:
    toml = """
        topic = "{sensor}"
        format = "binary"
        binary = { repeat = true, layout = ["a:i16", "t:u8"] }
        waveform = { samples = "a", rate = 100, unit = "mg" }
        fields = { temperature = "t.0" }
        """
    block = b"".join(struct.pack(">hB", value, 20) for value in (1000, -1000, 1000, -1000)) + b"\x01"
    found = reading(toml, "vb", block)
    assert found.level == pytest.approx(G)
    assert found.quantities["temperature"] == 20


FIELDS = st.lists(st.tuples(st.sampled_from("ui"), st.integers(1, 64)), min_size=1, max_size=8)


@given(FIELDS, st.data(), st.sampled_from(["big", "little"]))
def test_bits_are_read_as_they_were_put_together(
    fields: list[tuple[str, int]], data: st.DataObject, endian: Any
) -> None:
    spare = -sum(bits for _, bits in fields) % 8
    texts = [f"f{at}:{kind}{bits}" for at, (kind, bits) in enumerate(fields)] + [f"_:u{spare}"] * bool(spare)
    whole, at, expected = 0, 0, {}
    for number, (kind, bits) in enumerate(fields):
        raw = data.draw(st.integers(0, (1 << bits) - 1))
        whole = whole << bits | raw if endian == "big" else whole | raw << at
        at += bits
        expected[f"f{number}"] = raw - (1 << bits) if kind == "i" and raw >> (bits - 1) else raw
    block = (whole << spare if endian == "big" else whole).to_bytes((at + spare) // 8, endian)
    layout = Layout(tuple(texts), endian)
    assert layout.size == len(block)
    assert layout.record(block) == expected
    assert layout.records(block * 2 + b"?" * (layout.size > 1), 0) == [expected, expected]


@pytest.mark.parametrize(
    "fields", [("a:u12",), ("a:u65",), ("a:u0",), ("a:f24",), ("a:u4", "b:f32", "_:u4"), ("_:u8",)]
)
def test_a_layout_that_cannot_be_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"layout|byte"):
        Layout(fields)


def test_records_behind_a_header_are_elements() -> None:
    toml = """
        topic = "{bridge}"
        format = "binary"
        each = "nodes"
        sensor = "{bridge}/{id}"
        time = "at"
        binary = { header = ["at:u32", "_:1"], endian = "little", repeat = "nodes", layout = ["id:u8", "v:u16"] }
        fields = { velocity_rms = { path = "v", scale = 0.01 } }
        """
    block = struct.pack("<IBBHBH", 1_796_034_600, 2, 7, 250, 8, 120) + b"!"
    found = readings(toml, "gw", block)
    assert [(each.sensor, each.level, each.time_from) for each in found] == [
        ("gw/7", 2.5, "message"),
        ("gw/8", 1.2, "message"),
    ]


@pytest.mark.parametrize("endian", ["big", "little"])
def test_registers_of_16_bits_make_values_of_several(endian: str) -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", 2.5))
    words = [high, low] if endian == "big" else [low, high]
    toml = f"""
        topic = "{{sensor}}"
        binary = {{ from = "values", encoding = "registers", endian = "{endian}", layout = ["v:f32", "t:i16"] }}
        fields = {{ velocity_rms = "v", temperature = "t" }}
        """
    assert reading(toml, "vb", {"values": [*words, -5]}).quantities == {"velocity_rms": 2.5, "temperature": -5}
    assert outcome(toml, "vb", {"values": [70_000, "x"]}).rejected
