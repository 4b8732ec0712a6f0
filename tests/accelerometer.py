"""A decoder of a third party: an ESP32 that sends a measurement as five CBOR messages, which no table can join.

They are `meta` (device, time in µs, samples a second), `dt` (µs between the samples) and `x`, `y`, `z` (mg), the latter
four as blobs of 16-bit numbers, which may come in parts. Each axis is a waveform once all of its parts are there.
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2

AT_ONCE = 4
"""Measurements of a topic that may be under way; an older one will not be completed any more."""
ENTRY_POINT = "[vibration_gateway.decoders]\nesp32-accelerometer = accelerometer:decode\n"


def decode(topic: str, payload: bytes, _received_ns: int, state: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the waveform that a message completes. ValueError if its measurement has not begun."""
    message = cbor2.loads(payload)
    measurements = state.setdefault(topic, {})
    if message["type"] == "meta":
        measurements[message["id"]] = {"about": message, "parts": {}}
        while len(measurements) > AT_ONCE:
            del measurements[next(iter(measurements))]
    elif message["id"] not in measurements:
        raise ValueError(f"nothing is known of measurement {message['id']!r}: its meta message has not come")
    elif message["type"] in {"x", "y", "z"}:
        yield from _axis(measurements[message["id"]], message)


def _axis(measurement: dict[str, Any], message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    about, parts = measurement["about"], measurement["parts"].setdefault(message["type"], {})
    parts[str(message["idx"])] = message["a"]
    if len(parts) < message["parts"]:
        return
    samples = array("h", b"".join(parts[str(part)] for part in range(message["parts"])))
    yield {
        "sensor": about["dev"],
        "axis": message["type"],
        "time": about["t0_us"],
        "units": {"level": "mg"},
        "samples": samples.tolist(),
        "rate": about["fs"],
    }


def install(folder: Path) -> Path:
    """Put it into a folder for PYTHONPATH, with its entry point."""
    information = folder / "accelerometer-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "accelerometer.py").write_text(Path(__file__).read_text(encoding="utf-8"))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: accelerometer\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINT)
    return folder
