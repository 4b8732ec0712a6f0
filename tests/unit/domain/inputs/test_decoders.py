import struct
from collections.abc import Iterator
from typing import Any

import cbor2
import pytest

from gateway.domain.inputs.decoders import MAX_STATE
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Outcome
from gateway.domain.inputs.waveform_reading import with_features
from tests.unit.domain.inputs.trying import RECEIVED_US, G, brief, family, message


def linked(_topic: str, payload: bytes, _received_ns: int, state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read what says its rate and time in one message, and the samples of each axis in later ones."""
    said = cbor2.loads(payload)
    if said["kind"] == "head":
        state[said["id"]] = {"rate": said["rate"], "time": said["time_us"]}
    elif head := state.get(said["id"]):
        samples = [each[0] for each in struct.iter_unpack("<h", said["data"])]
        yield {
            "sensor": said["id"],
            "axis": said["kind"],
            "time": head["time"],
            "samples": samples,
            "rate": head["rate"],
            "units": {"level": "mg"},
        }


def heard(decode: Any, *payloads: bytes) -> list[Outcome]:
    inputs = family('topic = "d/{machine}"\ndecoder = "own"', {"own": decode})
    memory = Memory()
    outs = []
    for payload in payloads:
        memory = Memory(memory.blobs)
        outs.append(inputs.read(message("d/pump", payload), memory))
    return outs


def test_a_decoder_remembers_what_earlier_messages_said() -> None:
    time_us = 1_796_034_600_123_456
    head = cbor2.dumps({"kind": "head", "id": "esp", "rate": 1000, "time_us": time_us})
    block = cbor2.dumps({"kind": "X", "id": "esp", "data": struct.pack("<4h", 100, -100, 100, -100)})
    first, second = heard(linked, head, block)
    assert first.is_ignored
    (found,) = with_features(second)
    assert (found.sensor, found.time_us, found.place) == ("esp-x", time_us, {"machine": "pump"})
    assert found.level == pytest.approx(0.1 * G)


def test_a_decoder_gives_values_in_its_own_units() -> None:
    def decode(*_: Any) -> list[dict[str, Any]]:
        return [
            {"sensor": "a", "values": {"level": 1, "temperature": 32}, "units": {"level": "g", "temperature": "°F"}},
            {"sensor": "b", "values": {"velocity_rms": 2}, "place": {"site": "North"}},
        ]

    (out,) = heard(decode, b"")
    assert brief(out.readings) == [("a", G, {"temperature": pytest.approx(0)}), ("b", 2, {"velocity_rms": 2})]
    assert out.readings[0].time_us == RECEIVED_US
    assert out.readings[1].place == {"machine": "pump", "site": "North"}


def raising(*_: Any) -> list[dict[str, Any]]:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("decode", "says"),
    [
        (raising, "RuntimeError: broken"),
        (lambda *_: None, "failed"),
        (lambda *_: [{}], "missing required field `sensor`"),
        (lambda *_: [{"sensor": "a", "value": 1}], "unknown field `value`"),
        (lambda *_: [{"sensor": "", "values": {"level": 1}}], "cannot be a sensor's id"),
        (lambda *_: [{"sensor": "a", "values": {"speed": 1}}], "'speed' is no quantity"),
        (lambda *_: [{"sensor": "a", "samples": [1.0, 2.0]}], "need their rate"),
        (lambda *_: [{"sensor": "a", "samples": [1.0], "rate": 1.0, "units": {"level": "dB"}}], "'dB'"),
        (lambda *_: ({"sensor": "a"} for _ in range(20_000)), "more than 10000"),
        (lambda _t, _p, _r, state: state.update(a="x" * (MAX_STATE + 1)) or [], "keeps more than"),
        (lambda _t, _p, _r, state: state.update(a=object()) or [], "failed"),
    ],
)
def test_whatever_is_wrong_with_a_decoder_makes_a_dead_letter(decode: Any, says: str) -> None:
    (out,) = heard(decode, b"payload")
    assert (out.rejected[0].reason, out.rejected[0].payload) == ("decoder_failed", b"payload")
    assert says in out.rejected[0].detail
    assert not out.is_understood
