import struct
from base64 import b64encode
from math import pi, sin, sqrt
from typing import Any

import cbor2
import pytest

from gateway.domain.inputs import waveforms
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.waveform_reading import reading_of, with_features
from tests.unit.domain.inputs.trying import G, family, message, outcome, reading, readings

SINE = [3 + sin(2 * pi * at / 16) for at in range(160)]
JSON = """
topic = "{sensor}"
axes = ["x", "y"]
time = "t"
fields = { temperature = "temp" }
waveform = { samples = "acc.{axis}", rate = "sr", unit = "g" }
"""


def test_a_block_is_a_waveform_and_its_features_are_a_reading() -> None:
    out = outcome(JSON, "vb", {"t": 1_796_034_600, "sr": 16, "temp": 20, "acc": {"x": SINE}})
    assert out.readings == []
    (wave,) = out.waveforms
    assert (wave.sensor, wave.axis, wave.rate, wave.unit, wave.sensor_unit) == ("vb-x", "x", 16, "m/s²", "g")
    assert list(wave.samples) == pytest.approx([sample * G for sample in SINE])
    found = reading_of(wave)
    assert found is not None
    assert found.level == pytest.approx(G / sqrt(2))
    assert found.quantities == {
        "peak": pytest.approx(G),
        "crest_factor": pytest.approx(sqrt(2)),
        "kurtosis": pytest.approx(1.5),
        "temperature": 20,
    }
    assert (found.time_us, found.event_id) == (wave.time_us, wave.event_id)


@pytest.mark.parametrize(
    ("encoding", "samples"),
    [
        ("base64+i16le", b64encode(struct.pack("<3h", 100, -100, 250)).decode()),
        ("base64+i16be", b64encode(struct.pack(">3h", 100, -100, 250)).decode()),
        ("hex+f32be", struct.pack(">3f", 100, -100, 250).hex(" ")),
        ("hex+i32le", "0x" + struct.pack("<3i", 100, -100, 250).hex()),
        ("base64+f64le", b64encode(struct.pack("<3d", 100, -100, 250)).decode().rstrip("=")),
        ("i16le", struct.pack("<3h", 100, -100, 250)),
    ],
)
def test_samples_come_in_texts_and_bytes(encoding: str, samples: str | bytes) -> None:
    toml = f"""
        topic = "{{sensor}}"
        format = "cbor"
        waveform = {{ samples = "d", encoding = "{encoding}", interval = "dt", scale = "k", unit = "@u" }}
        """
    (wave,) = outcome(toml, "vb", cbor2.dumps({"d": samples, "dt": 0.001, "k": 0.01, "u": "mm/s"})).waveforms
    assert list(wave.samples) == pytest.approx([1, -1, 2.5])
    assert (wave.rate, wave.unit) == (1000, "mm/s")


def test_the_rms_of_a_velocity_is_one_and_has_no_peak_of_an_acceleration() -> None:
    found = reading('topic = "{sensor}"\nwaveform = { samples = "d", rate = 10, unit = "mm/s" }', "vb", {"d": [1, -1]})
    assert (found.level, found.quantities) == (1, {"velocity_rms": 1, "crest_factor": 1, "kurtosis": 1})


def test_the_blocks_of_elements_share_the_rate_of_their_message() -> None:
    toml = 'topic = "{sensor}"\neach = "axes"\nsensor = "{sensor}-{a}"\n'
    toml += 'waveform = { samples = "raw", rate = "fs", scale = "lsb", unit = "@unit" }'
    axes = [{"a": "x", "raw": [100, -100]}, {"a": "y", "raw": [200, -200]}]
    found = readings(toml, "vb", {"fs": 1000, "lsb": 0.25, "unit": "m/s²", "axes": axes})
    assert [(each.sensor, each.level) for each in found] == [("vb-x", 25), ("vb-y", 50)]


def test_a_block_that_does_not_move_has_no_shape() -> None:
    found = reading('topic = "{sensor}"\nwaveform = { samples = "d", rate = 10 }', "vb", {"d": [1, 1, 1]})
    assert (found.level, found.quantities) == (0, {"peak": 0})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"d": [1, "x"], "sr": 1}, "sample 1 is no number"),
        ({"d": [1, None], "sr": 1}, "no number"),
        ({"d": [1, 1e39], "sr": 1}, "no finite number"),
        ({"d": [-1e39, 1e39], "sr": 1}, "no finite number"),
        ({"d": "text", "sr": 1}, "no array"),
        ({"d": [1, 2], "sr": 0}, "how fast"),
        ({"d": [1, 2]}, "how fast"),
        ({"d": [1, 2], "sr": "fast"}, "how fast"),
    ],
)
def test_a_block_that_is_none_is_said(payload: dict[str, Any], reason: str) -> None:
    out = outcome('topic = "{sensor}"\nwaveform = { samples = "d", rate = "sr" }', "vb", payload)
    assert out.waveforms == []
    assert reason in out.rejected[0].detail


def test_a_block_of_one_sample_is_no_reading() -> None:
    out = outcome('topic = "{sensor}"\nwaveform = { samples = "d", rate = 1 }', "vb", {"d": [1]})
    assert len(out.waveforms) == 1
    assert with_features(out) == []


PARTS = """
topic = "{sensor}"
time = "t"
waveform = { samples = "d", rate = 10, parts = { id = "id", index = "n", count = "of" } }
"""


def part(index: int, capture: object = "c1", of: int = 3) -> dict[str, Any]:
    return {"t": 1_796_034_600 + index, "id": capture, "n": index, "of": of, "d": [index, -index]}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (3, 1, 2), (0, 0, 2, 1)])
def test_parts_are_put_together_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    inputs, memory = family(PARTS), Memory()
    outs = []
    for index in order:
        memory = Memory(kept(memory))  # as after a restart
        outs.append(inputs.read(message("vb", part(index)), memory))
    assert [len(out.waveforms) for out in outs] == [0] * (len(order) - 1) + [1]
    (wave,) = outs[-1].waveforms
    expected = sorted(set(order))
    assert list(wave.samples) == [sample for index in expected for sample in (index, -index)]
    assert wave.time_us == (1_796_034_600 + max(order)) * 1_000_000
    assert all(out.waits and not out.is_ignored for out in outs[:-1])
    assert all("c1" not in key for key in kept(memory))


def kept(memory: Memory) -> dict[str, bytes]:
    return dict(memory.blobs)


def test_captures_that_are_never_complete_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waveforms, "MAX_CAPTURES", 3)
    inputs, memory = family(PARTS), Memory()
    for number in range(10):
        inputs.read(message("vb", part(0, capture=number)), memory)
    assert len(kept(memory)) == 3 + 1


@pytest.mark.parametrize("bad", [{"n": -1}, {"n": 4}, {"of": 0}, {"of": 10_000}, {"id": None}, {"n": "x"}])
def test_a_part_that_does_not_say_which_it_is_is_said(bad: dict[str, Any]) -> None:
    out = outcome(PARTS, "vb", part(0) | bad)
    assert "which part" in out.rejected[0].detail
